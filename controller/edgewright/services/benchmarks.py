"""Use case: latency of variants, measured interleaved on devices."""

from __future__ import annotations

import json
import time
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgewright.core.benchmark import RULES_VERSION, BenchSettings, precision_reached
from edgewright.core.evidence import RunEvidence, evidence_document
from edgewright.core.names import BASE_VARIANT
from edgewright.core.plain import to_plain
from edgewright.core.values import Part, ProgressCallback, ProgressEvent
from edgewright.core.verdict import Parity
from edgewright.services.agent_jobs import follow
from edgewright.services.datasets import parts_of
from edgewright.services.delivery import DeliveryService, candidate_of
from edgewright.services.fleet import on_all, select
from edgewright.services.inputs import GOLDEN_SAMPLES, InputFile, InputSets, single_input
from edgewright.services.models import inputs_of, spec_of
from edgewright.services.outputs import fetch_outputs
from edgewright.services.variants import VariantService, file_of
from edgewright.services.versions import versions
from edgewright.services.workspace import Workspace
from edgewright.store.records import DeviceRecord, ModelRecord, ResultRecord, VariantRecord
from edgewright_contract.values import BenchmarkPlan, Block, JobEvent, Loaded, Outputs

if TYPE_CHECKING:
    from edgewright.devices.client import AgentClient

# Loading, warm-up and the golden run come on top of sampling; slow boards load for a minute and more.
OVERHEAD_SECONDS = 900.0


@dataclass(frozen=True)
class BenchRequest:
    """What is asked; `percentile` 0..100, `precision_percent` the aimed half-width of its interval."""

    variants: tuple[str, ...]
    devices: tuple[str, ...]
    percentile: float = 90
    precision_percent: float = 3
    max_seconds: float = 60
    threads: int = 1
    runtime: str | None = None
    seed: int = 0
    confidence: float = 0.99
    processes: int = 5


class BenchmarkService:
    def __init__(
        self,
        workspace: Workspace,
        variants: VariantService,
        delivery: DeliveryService,
        inputs: InputSets,
    ) -> None:
        self._workspace = workspace
        self._variants = variants
        self._delivery = delivery
        self._inputs = inputs

    def bench(self, request: BenchRequest, progress: ProgressCallback) -> list[dict[str, Any]]:
        """Results of every variant on every device, as stored."""
        model, variants = self._variants.of_one_model(request.variants, "bench")
        devices = select(self._workspace.store.devices, request.devices)
        return on_all(devices, lambda device, each: self._on_device(request, model, variants, device, each), progress)

    def _on_device(
        self,
        request: BenchRequest,
        model: ModelRecord,
        labels: Sequence[str],
        device: DeviceRecord,
        progress: ProgressCallback,
    ) -> list[dict[str, Any]]:
        records = [self._variants.for_target(label, device.target) for label in labels]
        candidates = tuple(candidate_of(record, request.runtime, request.threads) for record in records)
        golden = self._golden(model, progress)
        settings = BenchSettings(
            percentile=request.percentile,
            precision_percent=request.precision_percent,
            confidence=request.confidence,
            seed=request.seed,
        )
        plan = _plan(request, len(candidates))
        baseline = f"{model.name}@{BASE_VARIANT}"
        with self._workspace.connect(device) as client:
            for record in records:
                self._delivery.transfer(client, device, record, progress)
            self._send_inputs(client, golden, device, progress)
            run_id = uuid.uuid4().hex
            job = client.start_benchmark(run_id, candidates, golden.as_input_set(), plan)
            watcher = _Watcher(settings, plan, labels, device.name, progress)
            events = follow(client, job, request.max_seconds + OVERHEAD_SECONDS, watcher.on_event)
            outputs = self._outputs(client, events)
            facts = client.describe()
        self._workspace.store.devices.seen(device.name, to_plain(facts), device.target)
        evidence = RunEvidence(
            candidates=candidates,
            plan=plan,
            settings=settings,
            golden={"sha256": golden.sha256, "count": golden.count},
            device={"name": device.name, "fingerprint": device.fingerprint},
            events=events,
            baseline=baseline if baseline in labels else None,
            parity=self._parity(model, records, outputs),
            facts=to_plain(facts),
            versions=versions(),
            rules=RULES_VERSION,
        )
        return self._store(run_id, request, device, records, evidence)

    def _golden(self, model: ModelRecord, progress: ProgressCallback) -> InputFile:
        """A few real images where there are some, else seeded noise."""
        tensor = single_input(inputs_of(model), model.name)
        spec = spec_of(model)
        if model.dataset is None:
            return self._inputs.random(tensor, spec.input.size)
        dataset = self._workspace.store.datasets.get(model.dataset)
        samples = parts_of(dataset)[Part.EVALUATION][:GOLDEN_SAMPLES]
        return self._inputs.of_dataset(dataset, samples, spec, progress)

    def _send_inputs(
        self, client: AgentClient, inputs: InputFile, device: DeviceRecord, progress: ProgressCallback
    ) -> None:
        from edgewright.devices.transfer import push_file

        push_file(client, inputs.path, inputs.sha256, f"send images to {device.name}", progress)

    def _outputs(self, client: AgentClient, events: Sequence[JobEvent]) -> dict[str, dict[str, Any]]:
        """Each candidate's outputs for the golden inputs, as the device computed them."""
        found = {event.payload.label: event.payload.sha256 for event in events if isinstance(event.payload, Outputs)}
        with self._workspace.scratch() as scratch:
            return {label: fetch_outputs(client, sha256, scratch) for label, sha256 in found.items()}

    def _parity(
        self, model: ModelRecord, records: Sequence[VariantRecord], outputs: dict[str, dict[str, Any]]
    ) -> dict[str, Parity]:
        """Every candidate against the baseline on the same device; without the baseline in the run there is none."""
        from edgewright.services.parity import compare

        baseline = outputs.get(f"{model.name}@{BASE_VARIANT}")
        if baseline is None:
            return {}
        return {
            record.label: compare(baseline, outputs[record.label], model.task)
            for record in records
            if record.label in outputs and record.name != BASE_VARIANT
        }

    def _store(
        self,
        run_id: str,
        request: BenchRequest,
        device: DeviceRecord,
        records: Sequence[VariantRecord],
        evidence: RunEvidence,
    ) -> list[dict[str, Any]]:
        """Keeps the raw data as one file and the figures of each variant as a row that names it."""
        by_label = {record.label: record for record in records}
        summary = evidence.summary()
        packed = zlib.compress(json.dumps(evidence_document(evidence), separators=(",", ":")).encode(), 6)
        sha256, _ = self._workspace.store.artifacts.put_bytes(packed)
        rows = [
            ResultRecord(
                run_id=run_id,
                variant=candidate.label,
                device=device.name,
                settings={
                    **to_plain(replace(request, variants=(), devices=())),
                    "runtime": candidate_of(by_label[candidate.label], request.runtime).runtime,
                    "speedup_confidence": summary.settings.speedup_confidence,
                },
                summary=to_plain(candidate),
                evidence_sha256=sha256,
                artifact_sha256=file_of(by_label[candidate.label]).sha256,
                verdict=candidate.verdict.value,
            )
            for candidate in summary.candidates
        ]
        stored = self._workspace.store.benchmarks.add(rows)
        return [benchmark_document(record) for record in stored]


def _plan(request: BenchRequest, candidates: int) -> BenchmarkPlan:
    """Blocks short enough that every process has its minimum of them within the time that was given."""
    default = BenchmarkPlan()
    shares = request.processes * candidates * default.blocks
    return replace(
        default,
        processes=request.processes,
        max_seconds=request.max_seconds,
        block_seconds=max(0.005, min(default.block_seconds, request.max_seconds / shares)),
        seed=request.seed,
    )


class _Watcher:
    """Shows progress, and says when every candidate is precise enough."""

    def __init__(
        self,
        settings: BenchSettings,
        plan: BenchmarkPlan,
        labels: Sequence[str],
        device: str,
        progress: ProgressCallback,
    ) -> None:
        self._settings, self._plan, self._labels = settings, plan, labels
        self._events: list[JobEvent] = []
        self._text = f"benchmark on {device}"
        self._progress = progress
        self._checked = 0.0
        self._loaded: set[tuple[str, int]] = set()
        self._sampled_ns = 0

    def on_event(self, event: JobEvent) -> bool:
        self._events.append(event)
        payload = event.payload
        if isinstance(payload, Loaded):
            self._loaded.add((payload.label, payload.process))
            total = self._plan.processes * len(self._labels)
            self._progress(ProgressEvent(f"{self._text}: processes loaded", len(self._loaded), total))
        if not isinstance(payload, Block) or payload.warmup:
            return False
        self._sampled_ns += sum(payload.samples_ns)
        seconds = round(self._sampled_ns / 1e9)
        self._progress(ProgressEvent(f"{self._text}: seconds sampled", seconds, round(self._plan.max_seconds)))
        # Precision is only asked once every process has had its turn, and at most once a second.
        last_process = payload.process == self._plan.processes - 1
        if not last_process or time.monotonic() - self._checked < 1.0:
            return False
        self._checked = time.monotonic()
        enough = payload.index + 1 >= self._plan.blocks
        return enough and all(precision_reached(self._events, label, self._settings) for label in self._labels)


def benchmark_document(record: ResultRecord) -> dict[str, Any]:
    """A stored benchmark result as `--json` shows it."""
    summary = record.summary
    return {
        "id": record.id,
        "variant": record.variant,
        "device": record.device,
        "runtime": record.settings["runtime"],
        "threads": record.settings["threads"],
        "verdict": record.verdict,
        "reasons": summary["reasons"],
        "samples": summary["samples"],
        "latency_ns": summary["latency_ns"],
        "latency_interval_ns": summary["latency_interval_ns"],
        "speedup": summary["speedup"],
        "significant": summary["significant"],
        "peak_memory_bytes": summary["peak_memory_bytes"],
        "load_ns": summary["load_ns"],
        "first_inference_ns": summary["first_inference_ns"],
        "overhead": summary["overhead"],
        "parity": summary["parity"],
        "distribution_ns": summary["distribution_ns"],
        "runtime_version": summary["runtime_version"],
        "accelerator": summary["accelerator"],
        "cpus": summary["cpus"],
        "settings": record.settings,
        "run_id": record.run_id,
        "artifact_sha256": record.artifact_sha256,
        "evidence_sha256": record.evidence_sha256,
        "created": record.created,
    }
