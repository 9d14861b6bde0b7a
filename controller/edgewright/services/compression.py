"""Use case: make the variants that levels and recipes stand for."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright import __version__
from edgewright.core.names import BASE_VARIANT
from edgewright.core.plain import to_plain
from edgewright.core.recipe import Qat, Quantize, Recipe, recipe_to_dict
from edgewright.core.targets import int8_policy
from edgewright.core.values import Dataset, OutputSpec, Part, ProgressCallback, Task
from edgewright.services.datasets import parts_of
from edgewright.services.inputs import InputFile, InputSets, single_input
from edgewright.services.models import inputs_of, spec_of
from edgewright.services.recipes import chosen_recipes
from edgewright.services.training_images import training_images
from edgewright.services.variants import ANY_TARGET, variant_document
from edgewright.services.workspace import Workspace, waiting
from edgewright.store.records import ModelRecord, VariantArtifact, VariantRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode

if TYPE_CHECKING:
    from edgewright.compress.judge import Judge
    from edgewright.tasks.registry import TaskPlugin

# Calibration images: more change nothing but the time.
_CALIBRATION = 512
# Unfinished work that nobody came back to is deleted after so many days.
_STALE_DAYS = 14


@dataclass(frozen=True)
class _Job:
    """All that determines one variant."""

    model: ModelRecord
    recipe: Recipe
    target: str
    dataset: Dataset | None
    calibration: Dataset | None
    training: Dataset | None
    budget_minutes: float | None

    @property
    def made_for(self) -> str:
        return self.target if self.recipe.has(Quantize) else ANY_TARGET

    def settings(self) -> dict[str, Any]:
        """What the result depends on, as plain values."""

        def identity(dataset: Dataset | None) -> dict[str, Any] | None:
            return None if dataset is None else {"identity": dataset.identity, "seed": dataset.seed}

        return {
            "program": __version__,
            "level": self.recipe.name,
            "steps": recipe_to_dict(self.recipe)["steps"],
            "max_drop_points": self.recipe.max_drop,
            "policy": to_plain(int8_policy(self.target)) if self.made_for != ANY_TARGET else None,
            "model_sha256": self.model.artifact_sha256,
            "spec": self.model.spec,
            "dataset": identity(self.dataset),
            "calibration": identity(self.calibration),
            "training": identity(self.training),
            "budget_minutes": self.budget_minutes if self.recipe.trains else None,
        }


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
        *,
        recipe_file: Path | None = None,
        size_ratio: float | None = None,
        macs_ratio: float | None = None,
        training: str | None = None,
        budget_minutes: float | None = None,
    ) -> list[dict[str, Any]]:
        """One variant a level, recipe or ratio; what was made before with the same settings is not made again, and
        what was interrupted goes on.
        """
        store = self._workspace.store
        model = store.models.get(model_name)
        recipes = chosen_recipes(level_names, recipe_file, size_ratio, macs_ratio, max_drop)
        chosen = self._target(target, device)
        if model.format != "onnx":
            raise EdgewrightError(
                ErrorCode.MODEL_UNSUPPORTED,
                f"model {model.name} is a ready .{model.format} file: it is deployed as it is, not compressed",
                f"push it with: edgewright push {model.name}@{BASE_VARIANT} DEVICE",
            )
        single_input(inputs_of(model), model.name)
        dataset = None if model.dataset is None else store.datasets.get(model.dataset)
        calibrating = None if calibration is None else store.datasets.get(calibration)
        trained_on = None if training is None else store.datasets.get(training)
        jobs = [_Job(model, recipe, chosen, dataset, calibrating, trained_on, budget_minutes) for recipe in recipes]
        return [variant_document(self._one(job, progress)) for job in jobs]

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

    def _one(self, job: _Job, progress: ProgressCallback) -> VariantRecord:
        settings = job.settings()
        key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        model, recipe, store = job.model, job.recipe, self._workspace.store
        with store.work_lock(f"compress-{model.name}-{recipe.name}-{job.made_for}", waiting(progress)):
            known = store.variants.find(model.name, recipe.name, job.made_for)
            if known is not None and known.recipe_key == key:
                return known
            if job.dataset is None and (recipe.has(Quantize) or recipe.trains):
                raise EdgewrightError(
                    ErrorCode.DATASET_REQUIRED,
                    f"{recipe.name} of {model.name} needs images to calibrate with, and the model has no data set",
                    "edgewright dataset add NAME PATH, then add the model again with --dataset NAME",
                )
            folder = self._work_folder(key)
            facts, made = self._make(job, folder, progress)
            sha256, size = store.artifacts.put_file(made)
            record = store.variants.put(
                VariantRecord(
                    model=model.name,
                    name=recipe.name,
                    target=job.made_for,
                    recipe_key=key,
                    artifacts=(VariantArtifact("onnx", job.made_for, sha256, size),),
                    level=recipe.name,
                    facts={**facts, "settings": settings},
                )
            )
            shutil.rmtree(folder, ignore_errors=True)
            return record

    def _work_folder(self, key: str) -> Path:
        """Where unfinished work is kept, so that the same command goes on after a kill."""
        parent = self._workspace.home / "work"
        parent.mkdir(parents=True, exist_ok=True)
        for other in parent.iterdir():
            if other.is_dir() and time.time() - other.stat().st_mtime > _STALE_DAYS * 86400:
                shutil.rmtree(other, ignore_errors=True)
        folder = parent / key[:32]
        folder.mkdir(exist_ok=True)
        return folder

    def _make(self, job: _Job, folder: Path, progress: ProgressCallback) -> tuple[dict[str, Any], Path]:
        """Runs the recipe; the facts of the variant, and its file inside `folder`."""
        if job.recipe.trains:
            _require_torch(job.recipe)
        from edgewright.compress.pipeline.run import RecipeRun
        from edgewright.compress.pipeline.work import open_work

        recipe, spec = job.recipe, spec_of(job.model)
        calibration: Callable[[], Any] | None = None
        training, notes = None, tuple[str, ...]()
        source = job.calibration or job.dataset
        if source is not None and (recipe.has(Quantize) or recipe.trains):
            samples = source.samples if job.calibration is not None else parts_of(source)[Part.CALIBRATION]
            images = self._inputs.of_dataset(source, samples[:_CALIBRATION], spec, progress)
            calibration = lambda: images.batches("float32", 8)  # noqa: E731
        if recipe.trains and job.dataset is not None:
            training, notes = training_images(job.model, job.dataset, job.training, self._inputs, progress)
        quantize = next((step for step in recipe.steps if isinstance(step, Quantize)), Quantize())
        work = open_work(
            self._workspace.store.artifacts.path_of(job.model.artifact_sha256),
            self._judge(job.model, job.dataset, progress),
            calibration,
            training,
            job.target,
            recipe.max_drop,
            quantize.minimum_sqnr_db,
            spec.input.size,
            progress=progress,
        )
        budget = None if job.budget_minutes is None else 60.0 * job.budget_minutes
        made = RecipeRun(recipe, work, folder, budget).finish(folder / "variant.onnx")
        facts = {**made.facts, "notes": [*notes, *made.facts["notes"]]}
        return facts, made.path

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
        batch = _batch(spec.input.size)
        plugin = plugin_for(model.task)
        if plugin is None or (plugin.needs_labels and not dataset.class_names):
            return TuningJudge(lambda: inputs.batches(tensor.dtype, batch), classification)
        score = _score(plugin, inputs, spec.output)
        return TuningJudge(lambda: inputs.batches(tensor.dtype, batch), classification, plugin.metric, score)


def _require_torch(recipe: Recipe) -> None:
    """Pruning by gradients and training need the optional part of the installation."""
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        trained = "retraining" if recipe.has(Qat) else "pruning and training"
        raise EdgewrightError(
            ErrorCode.DEPENDENCY_MISSING,
            f"{recipe.name} needs torch for {trained}, and it is not installed",
            "install edgewright with its extra: pip install 'edgewright[compress]'",
        )


def _batch(size: tuple[int, int] | None) -> int:
    """Images in one call: more where they are small."""
    height, width = size or (224, 224)
    return max(8, min(64, 8 * 224 * 224 // max(height * width, 1)))


def _score(plugin: TaskPlugin, inputs: InputFile, output: OutputSpec) -> Callable[[Sequence[Any]], float]:
    """The task's metric in 0..1 of all outputs of a network on the tuning images."""

    def score(outputs: Sequence[Any]) -> float:
        named = {str(index): value for index, value in enumerate(outputs)}
        return float(plugin.compute(named, inputs.labels, output).scores.mean())

    return score
