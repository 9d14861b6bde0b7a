"""Deployments, and what survives the agent's end."""

from __future__ import annotations

import secrets
from pathlib import Path

import grpc
import psutil
import pytest

from edgewright_contract import agent_pb2 as pb
from edgewright_contract import transfer
from edgewright_contract.errors import EdgewrightError
from tests.agent.harness import Identity, agent, call, client, expect, pair_with
from tests.agent.job_requests import (
    Paired,
    benchmark_request,
    candidate,
    deploy,
    deployments,
    long_request,
    push_both,
    start,
    wait_for,
)


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
