"""Pairs `x_to_proto` / `x_from_proto` for what a job reports: each payload, and the event that carries it."""

from __future__ import annotations

from typing import Any, Callable

from edgewright_contract import agent_pb2 as pb
from edgewright_contract import values as v
from edgewright_contract.convert import (
    reading_from_proto,
    reading_to_proto,
    tensor_spec_from_proto,
    tensor_spec_to_proto,
)


def progress_to_proto(progress: v.Progress) -> pb.Progress:
    return pb.Progress(text=progress.text, done=progress.done, total=progress.total)


def progress_from_proto(message: pb.Progress) -> v.Progress:
    return v.Progress(message.text, message.done, message.total)


def loaded_to_proto(loaded: v.Loaded) -> pb.Loaded:
    return pb.Loaded(
        label=loaded.label,
        process=loaded.process,
        spawn_ns=loaded.spawn_ns,
        load_ns=loaded.load_ns,
        first_inference_ns=loaded.first_inference_ns,
        runtime_version=loaded.runtime_version,
        accelerator=loaded.accelerator,
        cpus=loaded.cpus,
        inputs=[tensor_spec_to_proto(spec) for spec in loaded.inputs],
        outputs=[tensor_spec_to_proto(spec) for spec in loaded.outputs],
    )


def loaded_from_proto(message: pb.Loaded) -> v.Loaded:
    return v.Loaded(
        label=message.label,
        process=message.process,
        spawn_ns=message.spawn_ns,
        load_ns=message.load_ns,
        first_inference_ns=message.first_inference_ns,
        runtime_version=message.runtime_version,
        accelerator=message.accelerator,
        cpus=tuple(message.cpus),
        inputs=tuple(tensor_spec_from_proto(spec) for spec in message.inputs),
        outputs=tuple(tensor_spec_from_proto(spec) for spec in message.outputs),
    )


def block_to_proto(block: v.Block) -> pb.Block:
    return pb.Block(
        label=block.label,
        process=block.process,
        index=block.index,
        warmup=block.warmup,
        samples_ns=block.samples_ns,
        started_ns=block.started_ns,
        cpu_ns=block.cpu_ns,
        involuntary_switches=block.involuntary_switches,
    )


def block_from_proto(message: pb.Block) -> v.Block:
    return v.Block(
        label=message.label,
        process=message.process,
        index=message.index,
        warmup=message.warmup,
        samples_ns=tuple(message.samples_ns),
        started_ns=message.started_ns,
        cpu_ns=message.cpu_ns,
        involuntary_switches=message.involuntary_switches,
    )


def telemetry_to_proto(telemetry: v.Telemetry) -> pb.Telemetry:
    return pb.Telemetry(
        at_ns=telemetry.at_ns, readings=[reading_to_proto(reading) for reading in telemetry.readings]
    )


def telemetry_from_proto(message: pb.Telemetry) -> v.Telemetry:
    return v.Telemetry(message.at_ns, tuple(reading_from_proto(reading) for reading in message.readings))


def outputs_to_proto(outputs: v.Outputs) -> pb.Outputs:
    return pb.Outputs(label=outputs.label, sha256=outputs.sha256)


def outputs_from_proto(message: pb.Outputs) -> v.Outputs:
    return v.Outputs(message.label, message.sha256)


def overhead_to_proto(overhead: v.Overhead) -> pb.Overhead:
    return pb.Overhead(samples_ns=overhead.samples_ns, timer_resolution_ns=overhead.timer_resolution_ns)


def overhead_from_proto(message: pb.Overhead) -> v.Overhead:
    return v.Overhead(tuple(message.samples_ns), message.timer_resolution_ns)


def worker_closed_to_proto(closed: v.WorkerClosed) -> pb.WorkerClosed:
    return pb.WorkerClosed(
        label=closed.label, process=closed.process, peak_memory_bytes=closed.peak_memory_bytes
    )


def worker_closed_from_proto(message: pb.WorkerClosed) -> v.WorkerClosed:
    return v.WorkerClosed(message.label, message.process, message.peak_memory_bytes)


def ended_to_proto(ended: v.Ended) -> pb.Ended:
    return pb.Ended(
        state=ended.state,
        error_code=ended.error_code,
        error_message=ended.error_message,
        error_hint=ended.error_hint,
    )


def ended_from_proto(message: pb.Ended) -> v.Ended:
    return v.Ended(message.state, message.error_code, message.error_message, message.error_hint)


# Field of the JobEvent -> the record's class and its pair.
PAYLOADS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "progress": (v.Progress, progress_to_proto, progress_from_proto),
    "loaded": (v.Loaded, loaded_to_proto, loaded_from_proto),
    "block": (v.Block, block_to_proto, block_from_proto),
    "telemetry": (v.Telemetry, telemetry_to_proto, telemetry_from_proto),
    "outputs": (v.Outputs, outputs_to_proto, outputs_from_proto),
    "overhead": (v.Overhead, overhead_to_proto, overhead_from_proto),
    "worker_closed": (v.WorkerClosed, worker_closed_to_proto, worker_closed_from_proto),
    "ended": (v.Ended, ended_to_proto, ended_from_proto),
}


def job_event_to_proto(event: v.JobEvent) -> pb.JobEvent:
    for name, (record, to_proto, _) in PAYLOADS.items():
        if isinstance(event.payload, record):
            return pb.JobEvent(**{"sequence": event.sequence, name: to_proto(event.payload)})
    raise TypeError(f"{type(event.payload).__name__} is no payload of a job event")


def job_event_from_proto(message: pb.JobEvent) -> v.JobEvent:
    """ValueError where the payload is one this release does not know."""
    name = message.WhichOneof("event")
    if name is None:
        raise ValueError(f"job event {message.sequence} has a payload this release does not know")
    from_proto = PAYLOADS[name][2]
    return v.JobEvent(message.sequence, from_proto(getattr(message, name)))
