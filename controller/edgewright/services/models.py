"""Use cases around models: import, list, show, remove."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.core.names import BASE_VARIANT, check_name
from edgewright.core.plain import from_plain, to_plain
from edgewright.core.spec import parse_spec, resolve_spec, spec_from_dict, spec_to_dict, spec_with_size
from edgewright.core.values import Dataset, ModelSpec, Part, ProgressCallback, Task
from edgewright.services.datasets import parts_of
from edgewright.services.host import run_on_host
from edgewright.services.inputs import InputFile, InputSets
from edgewright.services.variants import ANY_TARGET
from edgewright.services.workspace import Workspace, waiting
from edgewright.store.records import ModelRecord, VariantArtifact, VariantRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import TensorSpec

if TYPE_CHECKING:
    from edgewright.imports.imported import ImportedModel

BASELINE_IMAGES = 200
PROBE_IMAGES = 2


Judged = tuple[dict[str, Any] | None, list[str]]


class ModelService:
    def __init__(self, workspace: Workspace, inputs: InputSets) -> None:
        self._workspace = workspace
        self._inputs = inputs
        self._models = workspace.store.models

    def add(
        self,
        name: str,
        file: Path,
        task_name: str | None,
        spec_text: str | None,
        dataset_name: str | None,
        progress: ProgressCallback,
    ) -> dict[str, Any]:
        """Imports a network; the same import twice is done once, another one of the same name is refused."""
        from edgewright.imports.recognise import recognise
        from edgewright_contract.transfer import sha256_of_file

        check_name(name, "model")
        dataset = None if dataset_name is None else self._workspace.store.datasets.get(dataset_name)
        task = _task_of(task_name, dataset)
        asked = _spec_of(spec_text)
        file = _existing(file)
        framework = recognise(file)
        source_sha256 = sha256_of_file(file)
        request = {
            "task": task.value,
            "spec": spec_to_dict(asked),
            "dataset": dataset_name,
            "file": source_sha256,
        }
        with self._workspace.store.work_lock(f"model-{name}", waiting(progress)):
            known = self._models.find(name)
            if known is not None:
                if known.facts["request"] != request:
                    raise EdgewrightError(
                        ErrorCode.MODEL_EXISTS,
                        f"model {name} exists already, from another file or with other settings",
                        f"choose another name, or first: edgewright model remove {name}",
                    )
                return model_document(known)
            with self._workspace.scratch() as scratch:
                base = scratch / f"base.{framework}"
                imported, spec = self._import(file, framework, base, asked, dataset, progress)
                baseline, warnings = self._judge(base, framework, imported, spec, task, dataset, progress)
                sha256, size = self._workspace.store.artifacts.put_file(base)
            record = ModelRecord(
                name=name,
                task=task.value,
                framework=framework,
                format=framework,
                source_sha256=source_sha256,
                artifact_sha256=sha256,
                size_bytes=size,
                spec=spec_to_dict(spec),
                dataset=dataset_name,
                facts={
                    **to_plain(asdict(imported)),
                    "request": request,
                    "baseline": baseline,
                    "warnings": warnings,
                },
            )
            record = self._models.add(record)
            self._workspace.store.variants.put(_base_variant(record))
        return model_document(record)

    def list(self) -> list[dict[str, Any]]:
        return [model_document(record) for record in self._models.list()]

    def show(self, name: str) -> dict[str, Any]:
        return model_document(self._models.get(name))

    def remove(self, name: str) -> None:
        self._models.remove(name)
        self._workspace.store.sweep()

    def _import(
        self,
        file: Path,
        framework: str,
        destination: Path,
        asked: ModelSpec,
        dataset: Dataset | None,
        progress: ProgressCallback,
    ) -> tuple[ImportedModel, ModelSpec]:
        if framework == "tflite":
            import shutil

            from edgewright.imports.tflite_file import describe_tflite

            imported = describe_tflite(file)
            spec = _fitted(asked, imported.inputs, required=dataset is not None)
            shutil.copyfile(file, destination)
            return imported, spec
        from edgewright.imports.onnx_file import describe_onnx, import_onnx

        described = describe_onnx(file, asked.input.size)
        spec = _fitted(asked, described.inputs, required=dataset is not None)
        probes = None
        if dataset is not None and len(described.inputs) == 1:
            samples = parts_of(dataset)[Part.CALIBRATION][:PROBE_IMAGES]
            file_of_probes = self._inputs.of_dataset(dataset, samples, spec, progress)
            tensor = described.inputs[0]
            probes = [{tensor.name: batch} for batch in file_of_probes.batches(tensor.dtype)]
        return import_onnx(file, destination, probes, spec.input.size, progress), spec

    def _judge(
        self,
        base: Path,
        framework: str,
        imported: ImportedModel,
        spec: ModelSpec,
        task: Task,
        dataset: Dataset | None,
        progress: ProgressCallback,
    ) -> Judged:
        """The metric on tuning images here and now, so that a wrong spec is noticed at once."""
        if task is not Task.CLASSIFICATION or dataset is None or len(imported.inputs) != 1:
            return None, []
        from edgewright.tasks.suspicion import suspect_spec

        samples = parts_of(dataset)[Part.TUNING][:BASELINE_IMAGES]
        tensor = imported.inputs[0]

        def run(candidate: ModelSpec) -> tuple[InputFile, Any]:
            inputs = self._inputs.of_dataset(dataset, samples, candidate, progress)
            return inputs, run_on_host(base, framework, tensor, inputs, "running the baseline", progress)

        return suspect_spec(run, spec)


def _task_of(name: str | None, dataset: Dataset | None) -> Task:
    if name is None:
        return Task.CLASSIFICATION if dataset is not None and dataset.class_names else Task.TENSOR
    try:
        return Task(name)
    except ValueError:
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID,
            f"unknown task {name!r}; this version has {', '.join(task.value for task in Task)}",
            "`tensor` fits every network: it is judged by its closeness to the baseline only",
        ) from None


def _spec_of(text: str | None) -> ModelSpec:
    """A spec file, a ready name, or what the graph says where nothing is given."""
    if text is None:
        return ModelSpec()
    path = Path(text).expanduser()
    if path.suffix == ".toml" or path.is_file():
        return parse_spec(_existing(path).read_text(encoding="utf-8", errors="replace"), str(path))
    return resolve_spec(text)


def _fitted(asked: ModelSpec, inputs: tuple[TensorSpec, ...], *, required: bool) -> ModelSpec:
    """The spec with what the graph says; only images need one, so without them a misfit is no error."""
    if len(inputs) == 1 and (required or asked.input.size is not None or len(inputs[0].shape) == 4):
        try:
            return spec_with_size(asked, inputs[0])
        except EdgewrightError:
            if required or asked.input.size is not None:
                raise
    return asked


def _existing(path: Path) -> Path:
    path = path.expanduser().absolute()
    if not path.exists():
        raise EdgewrightError(ErrorCode.FILE_NOT_FOUND, f"there is no file {path}", "check the path")
    return path


def _base_variant(record: ModelRecord) -> VariantRecord:
    artifact = VariantArtifact(record.format, ANY_TARGET, record.artifact_sha256, record.size_bytes)
    baseline = record.facts["baseline"]
    metric = None
    if baseline is not None:
        metric = {"name": baseline["name"], "baseline": baseline["value"], "value": baseline["value"]}
    return VariantRecord(
        model=record.name,
        name=BASE_VARIANT,
        target=ANY_TARGET,
        recipe_key=record.artifact_sha256,
        artifacts=(artifact,),
        level=BASE_VARIANT,
        facts={
            "parameters": record.facts["parameters"],
            "macs": record.facts["macs"],
            "drop": None if metric is None else 0.0,
            "metric": metric,
            "fidelity": None,
            "stopped_because": "the model as it was imported",
        },
    )


def inputs_of(record: ModelRecord) -> tuple[TensorSpec, ...]:
    return tuple(from_plain(TensorSpec, item) for item in record.facts["inputs"])


def spec_of(record: ModelRecord) -> ModelSpec:
    """The stored spec; keys without a value are left to their defaults."""

    def without_none(table: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in table.items() if value is not None}

    tables = {key: without_none(value) for key, value in record.spec.items()}
    return spec_from_dict(tables, f"spec of {record.name}")


def model_document(record: ModelRecord) -> dict[str, Any]:
    """A model as `--json` shows it."""
    facts = record.facts
    return {
        "model": record.name,
        "task": record.task,
        "framework": record.framework,
        "inputs": facts["inputs"],
        "outputs": facts["outputs"],
        "size_bytes": record.size_bytes,
        "parameters": facts["parameters"],
        "macs": facts["macs"],
        "opset": facts["opset"],
        "import_difference": facts["import_difference"],
        "simplified": facts["simplified"],
        "nodes": {"before": facts["nodes_before"], "after": facts["nodes_after"]},
        "spec": record.spec,
        "dataset": record.dataset,
        "baseline": facts["baseline"],
        "warnings": facts["warnings"],
        "notes": facts["notes"],
        "source_sha256": record.source_sha256,
        "sha256": record.artifact_sha256,
        "created": record.created,
    }
