"""A worker brought up to the point where inferences run: started, loaded, one sample bound."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable

from edgewright_agent.measure.values import LocalCandidate, LocalInputs, WorkerSettings
from edgewright_agent.runtimes import registry
from edgewright_agent.worker.client import WorkerProcess
from edgewright_contract.values import JobPayload, Loaded, Normalization, Progress, TensorSpec


def check_runtime(candidate: LocalCandidate) -> None:
    """Raises EdgewrightError RUNTIME_UNAVAILABLE before any process is started."""
    registry.check(candidate.candidate.runtime, candidate.candidate.format)


def start_worker(
    candidate: LocalCandidate,
    process: int,
    inputs: LocalInputs | None,
    settings: WorkerSettings,
    cancelled: Callable[[], bool],
) -> tuple[WorkerProcess, Loaded]:
    """A fresh worker with `candidate` loaded and the first sample of `inputs` bound (None: zeros), after its
    first inference. The caller closes or kills it.

    `spawn_ns` of the result is the time from the start of the process until its runtime was imported.
    """
    worker = WorkerProcess(settings, candidate.candidate.label, cancelled)
    started = worker.call("start", settings.load_timeout_s, runtime=candidate.candidate.runtime)
    spawn_ns = time.monotonic_ns() - worker.started_ns
    loaded = worker.call(
        "load",
        settings.load_timeout_s,
        model=str(candidate.model_path),
        threads=candidate.candidate.threads,
    )
    source: dict[str, Any] = {}
    if inputs is not None:
        source = {"inputs": str(inputs.path), "index": 0, "normalization": _as_json(inputs.normalization)}
    bound = worker.call("bind", settings.load_timeout_s, **source)
    return worker, Loaded(
        label=candidate.candidate.label,
        process=process,
        spawn_ns=spawn_ns,
        load_ns=loaded["load_ns"],
        first_inference_ns=bound["first_inference_ns"],
        runtime_version=started["version"],
        accelerator=loaded["accelerator"],
        cpus=tuple(loaded["cpus"]),
        inputs=_specs(loaded["inputs"]),
        outputs=_specs(loaded["outputs"]),
    )


def write_outputs(
    worker: WorkerProcess,
    inputs: LocalInputs,
    outputs: Path,
    settings: WorkerSettings,
    emit: Callable[[JobPayload], None],
) -> int:
    """Has a loaded worker run all of `inputs` into the file `outputs` (an .npz); returns the number of samples.

    Progress is emitted about twice a second. After an error no part of the file is left.
    """
    text = f"{worker.name}: inferences"
    try:
        count = worker.call(
            "evaluate",
            settings.call_timeout_s,
            lambda done, total: emit(Progress(text, done, total)),
            inputs=str(inputs.path),
            normalization=_as_json(inputs.normalization),
            outputs=str(outputs),
        )["count"]
    except BaseException:
        for part in outputs.parent.glob(outputs.name + "*"):
            part.unlink()
        raise
    emit(Progress(text, count, count))
    return int(count)


def _as_json(normalization: Normalization) -> dict[str, Any]:
    return {
        "mean": list(normalization.mean),
        "std": list(normalization.std),
        "layout": normalization.layout,
    }


def _specs(items: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(item["name"], tuple(item["shape"]), item["dtype"]) for item in items)
