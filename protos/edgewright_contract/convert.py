"""Pairs `x_to_proto` / `x_from_proto` between values.py and the wire. Checks are in limits.py."""

from __future__ import annotations

from typing import Any, Callable

from edgewright_contract import agent_pb2 as pb
from edgewright_contract import values as v


def reading_to_proto(reading: v.Reading) -> pb.Reading:
    message = pb.Reading(name=reading.name, unit=reading.unit)
    if reading.value is None:
        message.unavailable = reading.unavailable
    elif isinstance(reading.value, str):
        message.text = reading.value
    else:
        message.number = float(reading.value)
    return message


def reading_from_proto(message: pb.Reading) -> v.Reading:
    state = message.WhichOneof("state")
    if state in ("number", "text"):
        value: float | str = message.number if state == "number" else message.text
        return v.Reading(message.name, value, message.unit)
    return v.Reading(message.name, None, message.unit, message.unavailable or "not reported")


def runtime_facts_to_proto(facts: v.RuntimeFacts) -> pb.RuntimeFacts:
    return pb.RuntimeFacts(
        name=facts.name,
        package=facts.package,
        version=facts.version,
        formats=facts.formats,
        accelerators=facts.accelerators,
    )


def runtime_facts_from_proto(message: pb.RuntimeFacts) -> v.RuntimeFacts:
    return v.RuntimeFacts(
        name=message.name,
        package=message.package,
        version=message.version,
        formats=tuple(message.formats),
        accelerators=tuple(message.accelerators),
    )


def device_facts_to_proto(facts: v.DeviceFacts) -> pb.DeviceFacts:
    return pb.DeviceFacts(
        board=facts.board,
        cpu_model=facts.cpu_model,
        architecture=facts.architecture,
        cores=facts.cores,
        cpu_flags=facts.cpu_flags,
        memory_bytes=facts.memory_bytes,
        system=facts.system,
        kernel=facts.kernel,
        python_version=facts.python_version,
        agent_version=facts.agent_version,
        runtimes=[runtime_facts_to_proto(runtime) for runtime in facts.runtimes],
        readings=[reading_to_proto(reading) for reading in facts.readings],
        disk_free_bytes=facts.disk_free_bytes,
        agent_memory_bytes=facts.agent_memory_bytes,
        clock_unix_ns=facts.clock_unix_ns,
    )


def device_facts_from_proto(message: pb.DeviceFacts) -> v.DeviceFacts:
    return v.DeviceFacts(
        board=message.board,
        cpu_model=message.cpu_model,
        architecture=message.architecture,
        cores=message.cores,
        cpu_flags=tuple(message.cpu_flags),
        memory_bytes=message.memory_bytes,
        system=message.system,
        kernel=message.kernel,
        python_version=message.python_version,
        agent_version=message.agent_version,
        runtimes=tuple(runtime_facts_from_proto(runtime) for runtime in message.runtimes),
        readings=tuple(reading_from_proto(reading) for reading in message.readings),
        disk_free_bytes=message.disk_free_bytes,
        agent_memory_bytes=message.agent_memory_bytes,
        clock_unix_ns=message.clock_unix_ns,
    )


def tensor_spec_to_proto(spec: v.TensorSpec) -> pb.TensorSpec:
    return pb.TensorSpec(name=spec.name, shape=[str(dim) for dim in spec.shape], dtype=spec.dtype)


def tensor_spec_from_proto(message: pb.TensorSpec) -> v.TensorSpec:
    """A dimension of plain digits is a number, anything else a symbol."""
    shape = tuple(int(dim) if dim.isascii() and dim.isdigit() else dim for dim in message.shape)
    return v.TensorSpec(message.name, shape, message.dtype)


def candidate_to_proto(candidate: v.Candidate) -> pb.Candidate:
    return pb.Candidate(
        label=candidate.label,
        sha256=candidate.sha256,
        format=candidate.format,
        runtime=candidate.runtime,
        threads=candidate.threads,
    )


def candidate_from_proto(message: pb.Candidate) -> v.Candidate:
    return v.Candidate(
        label=message.label,
        sha256=message.sha256,
        format=message.format,
        runtime=message.runtime,
        threads=message.threads,
    )


def normalization_to_proto(normalization: v.Normalization) -> pb.Normalization:
    """Means and deviations travel as float32, which is what the arithmetic uses."""
    return pb.Normalization(mean=normalization.mean, std=normalization.std, layout=normalization.layout)


def normalization_from_proto(message: pb.Normalization) -> v.Normalization:
    return v.Normalization(tuple(message.mean), tuple(message.std), message.layout)


def input_set_to_proto(inputs: v.InputSet) -> pb.InputSet:
    return pb.InputSet(sha256=inputs.sha256, normalization=normalization_to_proto(inputs.normalization))


def input_set_from_proto(message: pb.InputSet) -> v.InputSet:
    return v.InputSet(message.sha256, normalization_from_proto(message.normalization))


def benchmark_plan_to_proto(plan: v.BenchmarkPlan) -> pb.BenchmarkPlan:
    return pb.BenchmarkPlan(
        processes=plan.processes,
        blocks=plan.blocks,
        block_seconds=plan.block_seconds,
        max_seconds=plan.max_seconds,
        warmup_seconds=plan.warmup_seconds,
        seed=plan.seed,
    )


def benchmark_plan_from_proto(message: pb.BenchmarkPlan) -> v.BenchmarkPlan:
    return v.BenchmarkPlan(
        processes=message.processes,
        blocks=message.blocks,
        block_seconds=message.block_seconds,
        max_seconds=message.max_seconds,
        warmup_seconds=message.warmup_seconds,
        seed=message.seed,
    )


def job_to_proto(job: v.Job) -> pb.Job:
    return pb.Job(
        id=job.id,
        kind=job.kind,
        state=job.state,
        queue_position=job.queue_position,
        created_unix_ns=job.created_unix_ns,
    )


def job_from_proto(message: pb.Job) -> v.Job:
    return v.Job(message.id, message.kind, message.state, message.queue_position, message.created_unix_ns)


def slot_change_to_proto(change: v.SlotChange) -> pb.SlotChange:
    return pb.SlotChange(
        how=change.how,
        label=change.label,
        sha256=change.sha256,
        runtime=change.runtime,
        threads=change.threads,
        format=change.format,
        at_unix_ns=change.at_unix_ns,
    )


def slot_change_from_proto(message: pb.SlotChange) -> v.SlotChange:
    return v.SlotChange(
        how=message.how,
        label=message.label,
        sha256=message.sha256,
        runtime=message.runtime,
        threads=message.threads,
        format=message.format,
        at_unix_ns=message.at_unix_ns,
    )


def deployment_to_proto(deployment: v.Deployment) -> pb.Deployment:
    return pb.Deployment(
        slot=deployment.slot,
        sha256=deployment.sha256,
        label=deployment.label,
        previous_sha256=deployment.previous_sha256,
        runtime=deployment.runtime,
        threads=deployment.threads,
        format=deployment.format,
        deployed_unix_ns=deployment.deployed_unix_ns,
        history=[slot_change_to_proto(change) for change in deployment.history],
    )


def deployment_from_proto(message: pb.Deployment) -> v.Deployment:
    return v.Deployment(
        slot=message.slot,
        sha256=message.sha256,
        label=message.label,
        previous_sha256=message.previous_sha256,
        runtime=message.runtime,
        threads=message.threads,
        format=message.format,
        deployed_unix_ns=message.deployed_unix_ns,
        history=tuple(slot_change_from_proto(change) for change in message.history),
    )


def deploy_goals_to_proto(goals: v.DeployGoals) -> pb.DeployGoals:
    return pb.DeployGoals(
        golden=input_set_to_proto(goals.golden),
        expected_sha256=goals.expected_sha256,
        classes=goals.classes,
        labels=goals.labels,
        max_latency_ms=goals.max_latency_ms,
        max_drop=goals.max_drop,
    )


def deploy_goals_from_proto(message: pb.DeployGoals) -> v.DeployGoals:
    return v.DeployGoals(
        golden=input_set_from_proto(message.golden),
        expected_sha256=message.expected_sha256,
        classes=message.classes,
        labels=tuple(message.labels),
        max_latency_ms=_optional(message, "max_latency_ms"),
        max_drop=_optional(message, "max_drop"),
    )


def deploy_checks_to_proto(checks: v.DeployChecks) -> pb.DeployChecks:
    return pb.DeployChecks(
        samples=checks.samples,
        p50_ns=checks.p50_ns,
        p90_ns=checks.p90_ns,
        count=checks.count,
        sqnr_db=checks.sqnr_db,
        agreement=checks.agreement,
        drop=checks.drop,
    )


def deploy_checks_from_proto(message: pb.DeployChecks) -> v.DeployChecks:
    return v.DeployChecks(
        samples=message.samples,
        p50_ns=message.p50_ns,
        p90_ns=message.p90_ns,
        count=message.count,
        sqnr_db=message.sqnr_db,
        agreement=_optional(message, "agreement"),
        drop=_optional(message, "drop"),
    )


def _optional(message: Any, field: str) -> float | None:
    return float(getattr(message, field)) if message.HasField(field) else None


def push_state_to_proto(state: v.PushState) -> pb.QueryArtifactResponse:
    return pb.QueryArtifactResponse(complete=state.complete, received_bytes=state.received_bytes)


def push_state_from_proto(message: pb.QueryArtifactResponse) -> v.PushState:
    return v.PushState(message.complete, message.received_bytes)


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
    return pb.Telemetry(at_ns=telemetry.at_ns, readings=[reading_to_proto(reading) for reading in telemetry.readings])


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
    return pb.WorkerClosed(label=closed.label, process=closed.process, peak_memory_bytes=closed.peak_memory_bytes)


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
