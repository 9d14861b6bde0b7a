"""Jobs on a real agent, with a real (tiny) model in real workers."""

from __future__ import annotations

import io
import secrets
import threading
import time

import grpc
import numpy as np
import psutil
import pytest

from edgewright_contract import agent_pb2 as pb
from edgewright_contract.errors import EdgewrightError
from tests.agent.harness import Client, call, expect
from tests.agent.job_requests import (
    Paired,
    benchmark_request,
    candidate,
    jobs,
    long_request,
    push_both,
    start,
    stop,
    wait_for,
)


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
