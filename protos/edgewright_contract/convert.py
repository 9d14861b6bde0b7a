"""Pairs `x_to_proto` / `x_from_proto` between values.py and the wire. Checks are in limits.py."""

from __future__ import annotations

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
    )


def push_state_to_proto(state: v.PushState) -> pb.QueryArtifactResponse:
    return pb.QueryArtifactResponse(complete=state.complete, received_bytes=state.received_bytes)


def push_state_from_proto(message: pb.QueryArtifactResponse) -> v.PushState:
    return v.PushState(message.complete, message.received_bytes)
