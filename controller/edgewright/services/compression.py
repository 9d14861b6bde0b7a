"""Use case: make the variants that levels stand for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright import __version__
from edgewright.core.levels import level
from edgewright.core.names import BASE_VARIANT
from edgewright.core.plain import to_plain
from edgewright.core.recipe import Fp16, Quantize, Recipe, recipe_to_dict
from edgewright.core.targets import int8_policy
from edgewright.core.values import Dataset, OutputSpec, Part, ProgressCallback, Task
from edgewright.services.datasets import parts_of
from edgewright.services.inputs import InputFile, InputSets, single_input
from edgewright.services.models import inputs_of, spec_of
from edgewright.services.variants import ANY_TARGET, variant_document
from edgewright.services.workspace import Workspace, waiting
from edgewright.store.records import ModelRecord, VariantArtifact, VariantRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode

if TYPE_CHECKING:
    from edgewright.compress.judge import Judge
    from edgewright.tasks.registry import TaskPlugin


class CompressionService:
    def __init__(self, workspace: Workspace, inputs: InputSets, host_target: str) -> None:
        self._workspace = workspace
        self._inputs = inputs
        self._host_target = host_target

    def compress(
        self,
        model_name: str,
        level_names: list[str],
        target: str | None,
        device: str | None,
        max_drop: float | None,
        calibration: str | None,
        progress: ProgressCallback,
    ) -> list[dict[str, Any]]:
        """One variant a level; what was made before with the same settings is not made again."""
        model = self._workspace.store.models.get(model_name)
        levels = [level(name) for name in dict.fromkeys(level_names)]
        chosen = self._target(target, device)
        if model.format != "onnx":
            raise EdgewrightError(
                ErrorCode.MODEL_UNSUPPORTED,
                f"model {model.name} is a ready .{model.format} file: it is deployed as it is, not compressed",
                f"push it with: edgewright push {model.name}@{BASE_VARIANT} DEVICE",
            )
        single_input(inputs_of(model), model.name)
        dataset = self._dataset(model)
        calibration_set = None if calibration is None else self._workspace.store.datasets.get(calibration)
        return [
            variant_document(self._one(model, item, chosen, max_drop, dataset, calibration_set, progress))
            for item in levels
        ]

    def _target(self, target: str | None, device: str | None) -> str:
        if target is not None and device is not None:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID, "--target and --device exclude one another", "give only one of them"
            )
        if device is not None:
            return self._workspace.store.devices.get(device).target
        chosen = target or self._host_target
        int8_policy(chosen)  # refuses an unknown name
        return chosen

    def _dataset(self, model: ModelRecord) -> Dataset | None:
        return None if model.dataset is None else self._workspace.store.datasets.get(model.dataset)

    def _one(
        self,
        model: ModelRecord,
        item: Recipe,
        target: str,
        max_drop: float | None,
        dataset: Dataset | None,
        calibration_set: Dataset | None,
        progress: ProgressCallback,
    ) -> VariantRecord:
        bound = item.max_drop if max_drop is None else max_drop
        made_for = target if item.has(Quantize) else ANY_TARGET
        settings = {
            "program": __version__,
            "level": item.name,
            "steps": recipe_to_dict(item)["steps"],
            "max_drop_points": bound,
            "policy": to_plain(int8_policy(target)) if made_for != ANY_TARGET else None,
            "model_sha256": model.artifact_sha256,
            "spec": model.spec,
            "dataset": None if dataset is None else {"identity": dataset.identity, "seed": dataset.seed},
            "calibration": None if calibration_set is None else calibration_set.identity,
        }
        key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        with self._workspace.store.work_lock(f"compress-{model.name}-{item.name}-{made_for}", waiting(progress)):
            known = self._workspace.store.variants.find(model.name, item.name, made_for)
            if known is not None and known.recipe_key == key:
                return known
            if dataset is None and item.has(Quantize):
                raise EdgewrightError(
                    ErrorCode.DATASET_REQUIRED,
                    f"level {item.name} of {model.name} needs images to calibrate with, and the model has no data set",
                    "edgewright dataset add NAME PATH, then add the model again with --dataset NAME",
                )
            with self._workspace.scratch() as scratch:
                made = scratch / "variant.onnx"
                facts = self._make(model, item, target, bound, dataset, calibration_set, made, progress)
                sha256, size = self._workspace.store.artifacts.put_file(made)
            record = VariantRecord(
                model=model.name,
                name=item.name,
                target=made_for,
                recipe_key=key,
                artifacts=(VariantArtifact("onnx", made_for, sha256, size),),
                level=item.name,
                facts={**facts, "settings": settings},
            )
            return self._workspace.store.variants.put(record)

    def _make(
        self,
        model: ModelRecord,
        item: Recipe,
        target: str,
        bound: float,
        dataset: Dataset | None,
        calibration_set: Dataset | None,
        destination: Path,
        progress: ProgressCallback,
    ) -> dict[str, Any]:
        """Runs the level's one step; returns the facts of the variant."""
        base = self._workspace.store.artifacts.path_of(model.artifact_sha256)
        judge = self._judge(model, dataset, progress)
        if item.has(Fp16):
            from edgewright.compress.fp16 import to_fp16

            return _facts(to_fp16(base, destination, judge, progress, bound_points=bound))
        assert dataset is not None
        from edgewright.compress.int8 import Int8Options, quantize_int8

        source = calibration_set or dataset
        samples = source.samples if calibration_set is not None else parts_of(source)[Part.CALIBRATION]
        images = self._inputs.of_dataset(source, samples[:512], spec_of(model), progress)
        made = quantize_int8(
            base,
            destination,
            lambda: images.batches("float32", 8),
            judge,
            Int8Options(target=target, bound_points=bound, input_size=spec_of(model).input.size),
            progress,
        )
        return _facts(made)

    def _judge(self, model: ModelRecord, dataset: Dataset | None, progress: ProgressCallback) -> Judge:
        """The tuning part with the task's metric, or noise where there are no images."""
        from edgewright.compress.judge import TuningJudge
        from edgewright.tasks.registry import plugin_for

        tensor = inputs_of(model)[0]
        spec = spec_of(model)
        classification = model.task == Task.CLASSIFICATION
        if dataset is None:
            noise = self._inputs.random(tensor, spec.input.size)
            return TuningJudge(lambda: noise.batches(tensor.dtype, 1), classification=False)
        samples = parts_of(dataset)[Part.TUNING]
        inputs = self._inputs.of_dataset(dataset, samples, spec, progress)
        plugin = plugin_for(model.task)
        if plugin is None or (plugin.needs_labels and not dataset.class_names):
            return TuningJudge(lambda: inputs.batches(tensor.dtype, 8), classification)
        score = _score(plugin, inputs, spec.output)
        return TuningJudge(lambda: inputs.batches(tensor.dtype, 8), classification, plugin.metric, score)


def _facts(made: Any) -> dict[str, Any]:
    """What a step reports about its result, in the words of `--json`."""
    facts: dict[str, Any] = to_plain(made)
    metric = None
    if made.metric_value is not None:
        metric = {"name": made.metric_name, "baseline": made.metric_baseline, "value": made.metric_value}
    facts["metric"] = metric
    return facts


def _score(plugin: TaskPlugin, inputs: InputFile, output: OutputSpec) -> Callable[[Sequence[Any]], float]:
    """The task's metric in 0..1 of all outputs of a network on the tuning images."""

    def score(outputs: Sequence[Any]) -> float:
        named = {str(index): value for index, value in enumerate(outputs)}
        return float(plugin.compute(named, inputs.labels, output).scores.mean())

    return score
