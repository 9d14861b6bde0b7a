"""A candidate's outputs for a whole input set."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from edgewright_agent.measure.session import check_runtime, start_worker, write_outputs
from edgewright_agent.measure.values import Control, LocalCandidate, LocalInputs, WorkerSettings
from edgewright_contract.values import JobPayload, WorkerClosed


def run_evaluation(
    candidate: LocalCandidate,
    inputs: LocalInputs,
    workspace: Path,
    worker: WorkerSettings,
    emit: Callable[[JobPayload], None],
    publish_outputs: Callable[[str, Path], None],
    control: Control,
) -> None:
    """Runs `candidate` on every sample of `inputs`, one by one, in one worker.

    Emits Loaded, Progress about twice a second, then WorkerClosed, and calls `publish_outputs(label, file)`
    once with an .npz in `workspace`: one array an output under its name, samples along axis 0, in the
    network's dtype but for quantised TFLite outputs, which are dequantised to float32. Whoever is called owns
    the file, and emits Outputs once it is stored.

    Raises EdgewrightError: CANCELLED, RUNTIME_UNAVAILABLE, SPEC_MISMATCH, MODEL_*, ARTIFACT_CORRUPT,
    DISK_FULL, WORKER_*; neither a process nor a part of the file is left then.
    """
    check_runtime(candidate)
    label = candidate.candidate.label
    outputs = workspace / "outputs.npz"

    process, loaded = start_worker(candidate, 0, inputs, worker, control.cancelled)
    with process:
        emit(loaded)
        write_outputs(process, inputs, outputs, worker, emit)
        emit(WorkerClosed(label, 0, process.close()))
    publish_outputs(label, outputs)
