"""Use case: the task's metric, from outputs that a device computed."""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Sequence
from typing import Any

from edgewright.core.names import BASE_VARIANT
from edgewright.core.plain import to_plain
from edgewright.core.values import Part, ProgressCallback, ProgressEvent, Task
from edgewright.services.agent_jobs import follow
from edgewright.services.datasets import parts_of
from edgewright.services.delivery import DeliveryService, candidate_of
from edgewright.services.fleet import on_all, select
from edgewright.services.host import run_on_host
from edgewright.services.inputs import InputFile, InputSets, single_input
from edgewright.services.models import inputs_of, spec_of
from edgewright.services.outputs import fetch_outputs
from edgewright.services.scoring import Scores, compare_scores, score_outputs
from edgewright.services.variants import VariantService, file_of
from edgewright.services.workspace import Workspace
from edgewright.store.records import DeviceRecord, ModelRecord, ResultRecord, VariantRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import JobEvent, Outputs, Progress

HOST = "host"
EVALUATION_SECONDS = 6 * 3600.0


class EvaluationService:
    def __init__(
        self,
        workspace: Workspace,
        variants: VariantService,
        delivery: DeliveryService,
        inputs: InputSets,
        host_target: str,
    ) -> None:
        self._workspace = workspace
        self._variants = variants
        self._delivery = delivery
        self._inputs = inputs
        self._host_target = host_target

    def evaluate(
        self,
        labels: tuple[str, ...],
        device_names: tuple[str, ...],
        dataset_name: str | None,
        limit: int | None,
        threads: int,
        progress: ProgressCallback,
    ) -> list[dict[str, Any]]:
        """Results of every variant on every device (none: on this machine, marked as such)."""
        from edgewright.tasks.registry import plugin_for

        model, variants = self._variants.of_one_model(labels, "eval")
        devices = select(self._workspace.store.devices, device_names)
        baseline = f"{model.name}@{BASE_VARIANT}"
        # The baseline goes first, since every other variant is compared with it.
        ordered = sorted(variants, key=lambda label: label != baseline)
        if plugin_for(model.task) is None and baseline not in variants:
            # Such a network has no metric but its closeness to the baseline, whose outputs are therefore needed.
            ordered.insert(0, baseline)
        inputs = self._images(model, dataset_name, limit, progress)

        def on(device: DeviceRecord | None, each: ProgressCallback) -> list[dict[str, Any]]:
            return self._on_device(model, ordered, device, inputs, threads, each)

        return on_all(devices, on, progress) if devices else on(None, progress)

    def _images(
        self, model: ModelRecord, dataset_name: str | None, limit: int | None, progress: ProgressCallback
    ) -> InputFile:
        tensor = single_input(inputs_of(model), model.name)
        spec = spec_of(model)
        if dataset_name is None and model.dataset is None:
            if model.task == Task.TENSOR:
                return self._inputs.random(tensor, spec.input.size, limit or 32)
            raise EdgewrightError(
                ErrorCode.DATASET_REQUIRED,
                f"model {model.name} has no data set to be evaluated on",
                "give --dataset NAME",
            )
        dataset = self._workspace.store.datasets.get(dataset_name or str(model.dataset))
        if model.task == Task.CLASSIFICATION and not dataset.class_names:
            raise EdgewrightError(
                ErrorCode.DATASET_REQUIRED,
                f"data set {dataset.name} has no labels; top-1 of {model.name} needs some",
                "use a data set of the format imagefolder or csv",
            )
        samples = dataset.samples if dataset_name is not None else parts_of(dataset)[Part.EVALUATION]
        return self._inputs.of_dataset(dataset, samples[: limit or len(samples)], spec, progress)

    def _on_device(
        self,
        model: ModelRecord,
        labels: Sequence[str],
        device: DeviceRecord | None,
        inputs: InputFile,
        threads: int,
        progress: ProgressCallback,
    ) -> list[dict[str, Any]]:
        target = self._host_target if device is None else device.target
        where = HOST if device is None else device.name
        run_id = uuid.uuid4().hex
        baseline = self._stored_baseline(model, where, inputs)
        rows = []
        for label in labels:
            record = self._variants.for_target(label, target)
            if device is None:
                outputs = self._run_here(model, record, inputs, progress)
            else:
                outputs = self._run_there(device, record, inputs, threads, progress)
            scores = score_outputs(model, spec_of(model), outputs, inputs)
            if record.name == BASE_VARIANT:
                baseline = scores
            summary = compare_scores(scores, baseline)
            evidence = {
                "artifact_sha256": file_of(record).sha256,
                "inputs_sha256": inputs.sha256,
                "normalization": to_plain(inputs.normalization),
                "scores": to_plain(scores),
            }
            packed = zlib.compress(json.dumps(evidence, separators=(",", ":")).encode(), 6)
            rows.append(
                ResultRecord(
                    run_id=run_id,
                    variant=label,
                    device=where,
                    settings={"threads": threads, "inputs_sha256": inputs.sha256},
                    summary=summary,
                    evidence_sha256=self._workspace.store.artifacts.put_bytes(packed)[0],
                    artifact_sha256=file_of(record).sha256,
                )
            )
        return [evaluation_document(record) for record in self._workspace.store.evaluations.add(rows)]

    def _run_here(
        self, model: ModelRecord, record: VariantRecord, inputs: InputFile, progress: ProgressCallback
    ) -> dict[str, Any]:
        artifact = file_of(record)
        path = self._workspace.store.artifacts.path_of(artifact.sha256)
        tensor = inputs_of(model)[0]
        return run_on_host(path, artifact.format, tensor, inputs, f"evaluate {record.label} here", progress)

    def _run_there(
        self,
        device: DeviceRecord,
        record: VariantRecord,
        inputs: InputFile,
        threads: int,
        progress: ProgressCallback,
    ) -> dict[str, Any]:
        from edgewright.devices.transfer import push_file

        text = f"evaluate {record.label} on {device.name}"

        def on_event(event: JobEvent) -> bool:
            if isinstance(event.payload, Progress):
                progress(ProgressEvent(text, event.payload.done, event.payload.total))
            return False

        with self._workspace.connect(device) as client:
            self._delivery.transfer(client, device, record, progress)
            push_file(client, inputs.path, inputs.sha256, f"send images to {device.name}", progress)
            job = client.start_evaluation(
                uuid.uuid4().hex, candidate_of(record, threads=threads), inputs.as_input_set()
            )
            events = follow(client, job, EVALUATION_SECONDS, on_event)
            sha256 = next(event.payload.sha256 for event in events if isinstance(event.payload, Outputs))
            with self._workspace.scratch() as scratch:
                outputs = fetch_outputs(client, sha256, scratch)
            client.remove_artifact(sha256)
        return outputs

    def _stored_baseline(self, model: ModelRecord, where: str, inputs: InputFile) -> Scores | None:
        """The baseline's scores of an earlier run on the same device and the same images."""
        label = f"{model.name}@{BASE_VARIANT}"
        for record in reversed(self._workspace.store.evaluations.list(variant=label)):
            if record.device == where and record.settings["inputs_sha256"] == inputs.sha256:
                packed = self._workspace.store.artifacts.read_bytes(record.evidence_sha256)
                stored = json.loads(zlib.decompress(packed))["scores"]
                return Scores.from_plain(stored)
        return None


def evaluation_document(record: ResultRecord) -> dict[str, Any]:
    """A stored evaluation result as `--json` shows it."""
    return {
        "variant": record.variant,
        "device": record.device,
        **record.summary,
        "inputs_sha256": record.settings["inputs_sha256"],
        "run_id": record.run_id,
        "artifact_sha256": record.artifact_sha256,
        "evidence_sha256": record.evidence_sha256,
        "created": record.created,
    }
