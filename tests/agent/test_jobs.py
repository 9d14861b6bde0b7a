"""Deployments and jobs on a real agent, with a real (tiny) model in real workers."""

from __future__ import annotations

import io
import secrets
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest

from edgewright_contract import agent_pb2 as pb
from edgewright_contract import transfer
from edgewright_contract.errors import EdgewrightError
from tests.agent.harness import Client, Identity, RunningAgent, agent, call, client, expect, pair_with

Paired = tuple[RunningAgent, Client]


def candidate(sha256: str, label: str = "relu@base", **changes: object) -> pb.Candidate:
    fields = {"label": label, "sha256": sha256, "format": "onnx", "runtime": "onnxruntime", "threads": 1}
    return pb.Candidate(**{**fields, **changes})


def deploy(paired: Client, sha256: str, slot: str = "default", **changes: object) -> pb.DeployResponse:
    return call(paired.stub.Deploy, pb.DeployRequest(slot=slot, candidate=candidate(sha256, **changes)))


def deployments(paired: Client) -> dict[str, pb.Deployment]:
    answer = call(paired.stub.ListDeployments, pb.ListDeploymentsRequest())
    return {one.slot: one for one in answer.deployments}


def push_both(paired: Client, relu: bytes, samples: bytes) -> tuple[str, str]:
    for data in (relu, samples):
        paired.push_bytes(data)
    return transfer.sha256_of_bytes(relu), transfer.sha256_of_bytes(samples)


def benchmark_request(model: str, golden: str, seconds: float, request_id: str = "") -> pb.StartBenchmarkRequest:
    return pb.StartBenchmarkRequest(
        request_id=request_id or secrets.token_hex(8),
        candidates=[candidate(model, "relu@base"), candidate(model, "relu@acc1")],
        golden=pb.InputSet(sha256=golden),
        plan=pb.BenchmarkPlan(
            processes=1, blocks=2, block_seconds=0.01, max_seconds=seconds, warmup_seconds=0.02, seed=7
        ),
    )


def long_request(model: str, golden: str) -> pb.StartBenchmarkRequest:
    """A benchmark that would take minutes."""
    request = benchmark_request(model, golden, 600)
    request.plan.processes, request.plan.blocks, request.plan.block_seconds = 8, 2000, 0.05
    return request


def start(paired: Client, request: pb.StartBenchmarkRequest) -> pb.Job:
    return call(paired.stub.StartBenchmark, request).job


def stop(paired: Client, job_id: str, keep_result: bool) -> pb.Job:
    return call(paired.stub.StopJob, pb.StopJobRequest(job_id=job_id, keep_result=keep_result)).job


def jobs(paired: Client) -> dict[str, pb.Job]:
    return {job.id: job for job in call(paired.stub.ListJobs, pb.ListJobsRequest()).jobs}


def wait_for(what: str, condition: object, timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, f"waited {timeout_s} s for {what}"
        time.sleep(0.01)


def test_benchmark_events_are_whole_and_replayed(paired: Paired, relu: bytes, samples: bytes) -> None:
    """A benchmark ends with samples and outputs of each candidate; watching again, from anywhere, gives the same."""
    _, desk = paired
    model, golden = push_both(desk, relu, samples)
    job = start(desk, benchmark_request(model, golden, 5.0))

    events = list(desk.watch(job.id))

    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[-1].ended.state == "done", events[-1]
    assert sum(event.HasField("ended") for event in events) == 1
    timed = {event.block.label for event in events if event.HasField("block") and not event.block.warmup}
    assert timed == {"relu@base", "relu@acc1"}
    outputs = {event.outputs.label: event.outputs.sha256 for event in events if event.HasField("outputs")}
    assert set(outputs) == timed
    with np.load(io.BytesIO(desk.fetch(outputs["relu@base"]))) as arrays:
        (found,) = (arrays[name] for name in arrays.files)
    expected = np.maximum(np.load(io.BytesIO(samples)), 0)
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    for after in (1, len(events) - 1, len(events)):
        assert list(desk.watch(job.id, after)) == events[after:]
    assert jobs(desk)[job.id].state == "done"


def test_evaluation_gives_the_agents_outputs(paired: Paired, relu: bytes, samples: bytes) -> None:
    """An evaluation runs every sample and its outputs are fetched as an artifact."""
    _, desk = paired
    model, inputs = push_both(desk, relu, samples)
    request = pb.StartEvaluationRequest(
        request_id=secrets.token_hex(8), candidate=candidate(model), inputs=pb.InputSet(sha256=inputs)
    )
    job = call(desk.stub.StartEvaluation, request).job

    events = list(desk.watch(job.id))

    assert events[-1].ended.state == "done", events[-1]
    (sha256,) = {event.outputs.sha256 for event in events if event.HasField("outputs")}
    with np.load(io.BytesIO(desk.fetch(sha256))) as arrays:
        (found,) = (arrays[name] for name in arrays.files)
    assert found.reshape(8, 4).min() == 0
    assert found.max() == 15


def test_same_request_id_is_the_same_job(paired: Paired, relu: bytes, samples: bytes) -> None:
    """A request repeated after a lost answer starts nothing new; another request under its id is refused."""
    _, desk = paired
    request = benchmark_request(*push_both(desk, relu, samples), 0.2)
    job = start(desk, request)

    again = start(desk, request)
    request.plan.seed += 1
    with pytest.raises(EdgewrightError) as caught:
        start(desk, request)

    assert again.id == job.id
    expect("request_invalid", caught.value)
    assert list(desk.watch(job.id))[-1].ended.state == "done"
    assert sum(one == job.id for one in jobs(desk)) == 1


def test_cancel_within_two_seconds(paired: Paired, relu: bytes, samples: bytes) -> None:
    """A running job ends soon after it was cancelled, its watcher learns it, and no worker is left."""
    running, desk = paired
    job = start(desk, long_request(*push_both(desk, relu, samples)))
    watched: list[pb.JobEvent] = []
    watcher = threading.Thread(target=lambda: watched.extend(desk.watch(job.id)))
    watcher.start()
    wait_for("the first block", lambda: any(event.HasField("block") for event in list(watched)))

    begin = time.monotonic()
    stopped = stop(desk, job.id, keep_result=False)
    seconds = time.monotonic() - begin
    watcher.join(5)

    assert stopped.state == "cancelled"
    assert seconds < 2.0
    assert watched[-1].ended.state == "cancelled"
    assert watched[-1].ended.error_code == "cancelled"
    assert psutil.Process(running.process.pid).children() == []
    assert list((running.state / "workspaces").iterdir()) == []
    assert stop(desk, job.id, keep_result=False).state == "cancelled"


def test_finish_keeps_the_result(paired: Paired, relu: bytes, samples: bytes) -> None:
    """A job asked to finish ends as done, with what it has measured."""
    _, desk = paired
    job = start(desk, long_request(*push_both(desk, relu, samples)))
    events = desk.watch(job.id)
    for event in events:
        if event.HasField("block") and not event.block.warmup:
            break

    stop(desk, job.id, keep_result=True)

    rest = list(events)
    assert rest[-1].ended.state == "done", rest[-1]


def test_queue_is_visible_and_in_order(paired: Paired, relu: bytes, samples: bytes) -> None:
    """Jobs run one at a time; the others have a position; a waiting one is cancelled at once; the 17th is refused."""
    _, desk = paired
    model, golden = push_both(desk, relu, samples)
    first = start(desk, long_request(model, golden))
    wait_for("the first job to run", lambda: jobs(desk)[first.id].state == "running")
    waiting = [start(desk, benchmark_request(model, golden, 0.2)) for _ in range(16)]

    with pytest.raises(EdgewrightError) as caught:
        start(desk, benchmark_request(model, golden, 0.2))
    expect("queue_full", caught.value)
    assert [job.queue_position for job in waiting] == list(range(1, 17))

    for job in waiting[1:]:
        assert stop(desk, job.id, keep_result=False).state == "cancelled"
    assert jobs(desk)[waiting[0].id].queue_position == 1
    stop(desk, first.id, keep_result=False)
    assert list(desk.watch(waiting[0].id))[-1].ended.state == "done"
    assert [event.ended.state for event in desk.watch(waiting[5].id)] == ["cancelled"]


def test_many_watchers_leave_room_for_calls(paired: Paired, relu: bytes, samples: bytes) -> None:
    """Sixteen watchers of one job all see its end; one more is told; short calls are answered meanwhile."""
    _, desk = paired
    job = start(desk, long_request(*push_both(desk, relu, samples)))
    request = pb.WatchJobRequest(job_id=job.id)
    streams = [desk.stub.WatchJob(request, timeout=60) for _ in range(16)]
    for stream in streams:
        next(stream)

    with pytest.raises(EdgewrightError) as caught:
        list(desk.watch(job.id))
    expect("device_busy", caught.value)
    begin = time.monotonic()
    desk.query("0" * 64)
    assert time.monotonic() - begin < 1
    streams[0].cancel()
    wait_for("a place", lambda: _place_is_free(desk, job.id))
    stop(desk, job.id, keep_result=False)
    for stream in streams[1:]:
        assert list(stream)[-1].ended.state == "cancelled"


def _place_is_free(desk: Client, job_id: str) -> bool:
    stream = desk.stub.WatchJob(pb.WatchJobRequest(job_id=job_id), timeout=10)
    try:
        next(stream)
    except grpc.RpcError:
        return False
    stream.cancel()
    return True


def test_failed_job_says_why(paired: Paired, samples: bytes) -> None:
    """A model no runtime reads fails its job with the worker's error; the agent and its queue live on."""
    _, desk = paired
    rubbish = secrets.token_bytes(2000)
    model, golden = push_both(desk, rubbish, samples)
    job = start(desk, benchmark_request(model, golden, 0.2))

    ended = list(desk.watch(job.id))[-1].ended

    assert (ended.state, ended.error_code) == ("failed", "model_corrupt")
    assert ended.error_message
    assert desk.describe().cores >= 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda r: r.candidates.pop(), None),
        (lambda r: r.ClearField("candidates"), "request_invalid"),
        (lambda r: setattr(r.candidates[0], "label", "relu@acc1"), "request_invalid"),
        (lambda r: setattr(r.candidates[0], "threads", 0), "request_invalid"),
        (lambda r: setattr(r.plan, "max_seconds", float("inf")), "request_invalid"),
        (lambda r: setattr(r, "request_id", "x"), "request_invalid"),
        (lambda r: setattr(r.golden, "sha256", "1" * 64), "artifact_unknown"),
        (lambda r: setattr(r.candidates[0], "sha256", "2" * 64), "artifact_unknown"),
        (lambda r: r.golden.normalization.std.append(0.0), "request_invalid"),
    ],
)
def test_bad_requests_start_nothing(
    paired: Paired, relu: bytes, samples: bytes, change: object, code: str | None
) -> None:
    """What is outside the limits, or not on the device, is refused before a job exists."""
    _, desk = paired
    request = benchmark_request(*push_both(desk, relu, samples), 0.1)
    change(request)
    before = set(jobs(desk))

    if code is None:
        job = start(desk, request)
        assert list(desk.watch(job.id))[-1].ended.state == "done"
    else:
        with pytest.raises(EdgewrightError) as caught:
            start(desk, request)
        expect(code, caught.value)
        assert set(jobs(desk)) == before


def test_unknown_job_is_said(paired: Paired) -> None:
    """Watching or stopping what is not there is JOB_UNKNOWN."""
    with pytest.raises(EdgewrightError) as caught:
        list(paired[1].watch("../../x"))
    expect("job_unknown", caught.value)
    with pytest.raises(EdgewrightError) as caught:
        stop(paired[1], "nope", keep_result=True)
    expect("job_unknown", caught.value)


def test_deployment_is_staged(paired: Paired, relu: bytes) -> None:
    """A model that loads becomes active and remembers the one before; one that does not changes nothing."""
    _, desk = paired
    first = desk.push_bytes(relu) and transfer.sha256_of_bytes(relu)
    # A protobuf may be followed by an unknown field: other bytes, the same model.
    other = relu + b"\xfa\x7f\x01x"
    second = desk.push_bytes(other) and transfer.sha256_of_bytes(other)
    rubbish = secrets.token_bytes(500)
    bad = desk.push_bytes(rubbish) and transfer.sha256_of_bytes(rubbish)

    answer = deploy(desk, first, "cam")
    assert answer.load_ns > 0
    assert answer.first_inference_ns > 0
    assert answer.deployment.previous_sha256 == ""
    assert deploy(desk, second, "cam", threads=2).deployment.previous_sha256 == first
    assert deploy(desk, second, "cam").deployment.previous_sha256 == first
    for sha256, changes, code in (
        (bad, {}, "model_corrupt"),
        ("3" * 64, {}, "artifact_unknown"),
        (first, {"runtime": "tensorrt"}, "runtime_unavailable"),
        (first, {"format": "tflite"}, "runtime_unavailable"),
    ):
        with pytest.raises(EdgewrightError) as caught:
            deploy(desk, sha256, "cam", **changes)
        expect(code, caught.value)
    with pytest.raises(EdgewrightError) as caught:
        deploy(desk, first, "../cam")
    expect("request_invalid", caught.value)

    active = deployments(desk)["cam"]
    assert (active.sha256, active.previous_sha256, active.label) == (second, first, "relu@base")
    for sha256 in (first, second):
        with pytest.raises(EdgewrightError) as caught:
            call(desk.stub.RemoveArtifact, pb.RemoveArtifactRequest(sha256=sha256))
        expect("artifact_in_use", caught.value)


def test_state_survives_kill(state: Path, me: Identity, relu: bytes, samples: bytes) -> None:
    """After kill -9 the deployment is active, ended jobs keep their events, and the unfinished one is closed."""
    with agent(state) as first:
        pair_with(first, first.pairing_code(), me)
        with client(first, me) as desk:
            model, golden = push_both(desk, relu, samples)
            deploy(desk, model)
            done = start(desk, benchmark_request(model, golden, 0.2))
            events = list(desk.watch(done.id))
            request = long_request(model, golden)
            unfinished = start(desk, request)
            for event in desk.watch(unfinished.id):
                if event.HasField("block"):
                    seen = event.sequence
                    break
            workers = psutil.Process(first.process.pid).children(recursive=True)
            assert workers
            first.kill()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert alive == [], "a worker outlived its agent"

    with agent(state) as second, client(second, me) as desk:
        assert deployments(desk)["default"].sha256 == model
        assert list(desk.watch(done.id)) == events
        rest = list(desk.watch(unfinished.id, seen))
        assert rest[-1].ended.state == "failed"
        assert rest[-1].ended.error_code == "job_interrupted"
        assert [event.sequence for event in rest] == list(range(seen + 1, seen + 1 + len(rest)))
        assert start(desk, request).id == unfinished.id
        assert list((state / "workspaces").iterdir()) == []


def test_stop_in_the_middle_of_a_job(state: Path, me: Identity, relu: bytes, samples: bytes) -> None:
    """SIGTERM ends a running job in order, within a second or two, and no worker stays."""
    with agent(state) as running:
        pair_with(running, running.pairing_code(), me)
        with client(running, me) as desk:
            job = start(desk, long_request(*push_both(desk, relu, samples)))
            next(event for event in desk.watch(job.id) if event.HasField("block"))
            workers = psutil.Process(running.process.pid).children(recursive=True)
            status, seconds = running.stop()
    assert status == 0
    assert seconds < 3
    assert psutil.wait_procs(workers, timeout=2)[1] == []
    assert "Traceback" not in running.output

    with agent(state) as again, client(again, me) as desk:
        assert list(desk.watch(job.id))[-1].ended.error_code == "job_interrupted"


def test_stop_in_the_middle_of_a_deployment(state: Path, me: Identity, relu: bytes, tmp_path: Path) -> None:
    """A worker that takes minutes ends when the caller gives up, and when the agent stops; nothing is switched."""
    with agent(state) as running:
        pair_with(running, running.pairing_code(), me)
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 100\n")
    sleeper.chmod(0o755)
    with agent(state, variables={"AGENT_PYTHON": str(sleeper)}) as running, client(running, me) as desk:
        desk.push_bytes(relu)
        request = pb.DeployRequest(slot="cam", candidate=candidate(transfer.sha256_of_bytes(relu)))
        agent_process = psutil.Process(running.process.pid)
        given_up = desk.stub.Deploy.future(request, timeout=60)
        wait_for("the worker", agent_process.children)
        given_up.cancel()
        wait_for("its end", lambda: not agent_process.children())
        future = desk.stub.Deploy.future(request, timeout=60)
        wait_for("the next worker", agent_process.children)
        workers = agent_process.children()

        status, seconds = running.stop()

        with pytest.raises(grpc.RpcError):
            future.result()
    assert status == 0
    assert seconds < 3
    assert psutil.wait_procs(workers, timeout=3)[1] == []
    with agent(state) as again, client(again, me) as desk:
        assert deployments(desk) == {}
