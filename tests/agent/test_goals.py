"""What has to hold on the device before a slot switches, and the way back."""

from __future__ import annotations

import io
import json
import secrets
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from edgewright_agent.deployments import HISTORY_MAX, SlotTable
from edgewright_agent.goals import LEAST_PER_LOOK, LOOKS, met, missed
from edgewright_contract import agent_pb2 as pb
from edgewright_contract import transfer
from edgewright_contract.errors import EdgewrightError
from edgewright_contract.values import Candidate
from tests.agent.harness import Client, Identity, agent, call, client, expect, pair_with
from tests.agent.job_requests import Paired, candidate, deploy, deployments


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def pushed(desk: Client, data: bytes) -> str:
    desk.push_bytes(data)
    return transfer.sha256_of_bytes(data)


def other_model(relu: bytes) -> bytes:
    """The same network in other bytes: a protobuf may be followed by an unknown field."""
    return relu + b"\xfa\x7f\x04" + secrets.token_bytes(4)


def checked(desk: Client, sha256: str, slot: str = "cam", **goals: object) -> pb.DeployCheckedResponse:
    request = pb.DeployCheckedRequest(slot=slot, candidate=candidate(sha256), goals=pb.DeployGoals(**goals))
    return call(desk.stub.DeployChecked, request, 60)


def rollback(desk: Client, slot: str = "cam", active: str = "") -> pb.Deployment:
    return call(desk.stub.Rollback, pb.RollbackRequest(slot=slot, active_sha256=active)).deployment


def failure(what: str, *arguments: object, **options: object) -> EdgewrightError:
    with pytest.raises(EdgewrightError) as caught:
        {"checked": checked, "rollback": rollback}[what](*arguments, **options)  # type: ignore[operator]
    return caught.value


@pytest.fixture
def truth(samples: bytes) -> np.ndarray:
    """What the network answers to `samples`: max(x, 0)."""
    return np.maximum(np.load(io.BytesIO(samples)), 0)


def test_goals_that_hold(paired: Paired, relu: bytes, samples: bytes, truth: np.ndarray) -> None:
    """Figures of the check come back, and the slot switches."""
    _, desk = paired
    model, golden = pushed(desk, relu), pb.InputSet(sha256=pushed(desk, samples))
    labels = truth.argmax(axis=1).tolist()
    answer = checked(
        desk, model, "held", golden=golden, expected_sha256=pushed(desk, npz(y=truth)),
        classes=True, labels=labels, max_latency_ms=1000, max_drop=0,
    )  # fmt: skip

    assert answer.deployment.sha256 == model
    assert answer.checks.samples >= 66
    assert 0 < answer.checks.p50_ns <= answer.checks.p90_ns < 1e9
    assert (answer.checks.count, answer.checks.agreement, answer.checks.drop) == (8, 1.0, 0.0)
    assert answer.checks.sqnr_db == float("inf")
    assert deployments(desk)["held"].sha256 == model


def test_goals_that_are_missed(paired: Paired, relu: bytes, samples: bytes, truth: np.ndarray) -> None:
    """Each goal that does not hold is said with its figures, and the slot keeps what it had."""
    running, desk = paired
    model, golden = pushed(desk, relu), pb.InputSet(sha256=pushed(desk, samples))
    other = pushed(desk, other_model(relu))
    deploy(desk, model, "cam")
    before = deployments(desk)["cam"]
    flipped = npz(y=-truth[:, ::-1])
    astray = truth.copy()  # near by its numbers, another answer for five of eight
    astray[:4, 1], astray[4, 0] = 0.1, truth[4].max() + 1
    good = pushed(desk, npz(y=truth))
    for says, goals in {
        "take up to": {"expected_sha256": good, "max_latency_ms": 1e-6},
        "dB from the baseline's": {"expected_sha256": pushed(desk, flipped)},
        "the baseline's answer for": {"expected_sha256": pushed(desk, npz(y=astray)), "classes": True},
        "points of right answers": {
            "expected_sha256": good, "classes": True, "labels": [1] * 8, "max_drop": 0,
        },
        "shapes": {"expected_sha256": pushed(desk, npz(y=truth[:, :3]))},
    }.items():  # fmt: skip
        if says == "points of right answers":  # the baseline was right with all of them
            wrong = np.zeros_like(truth)
            wrong[:, 1] = truth.max(axis=1) + 1
            goals["expected_sha256"] = pushed(desk, npz(y=truth + wrong))
        error = failure("checked", desk, other, golden=golden, **goals)
        expect("deploy_goal_missed", error)
        assert says in error.message
        assert error.exit_status == 3
    assert deployments(desk)["cam"] == before
    assert list((running.state / "workspaces").iterdir()) == []


def test_checks_refuse_nonsense(paired: Paired, relu: bytes, samples: bytes) -> None:
    """Goals outside the limits, files that are not there or no arrays: coded errors, and nothing is switched."""
    _, desk = paired
    model, golden = pushed(desk, relu), pb.InputSet(sha256=pushed(desk, samples))
    rubbish = pushed(desk, secrets.token_bytes(300))
    pickled = pushed(desk, npz(y=np.array([{}], dtype=object)))
    for code, goals in [
        ("request_invalid", {"expected_sha256": rubbish, "max_latency_ms": float("nan")}),
        ("request_invalid", {"expected_sha256": rubbish, "max_latency_ms": -1}),
        ("request_invalid", {"expected_sha256": rubbish, "classes": True, "max_drop": 101}),
        ("request_invalid", {"expected_sha256": rubbish, "max_drop": 1}),
        ("request_invalid", {"expected_sha256": "x"}),
        ("artifact_unknown", {"expected_sha256": "4" * 64}),
        ("artifact_corrupt", {"expected_sha256": rubbish}),
        ("artifact_corrupt", {"expected_sha256": pickled}),
    ]:
        expect(code, failure("checked", desk, model, "never", golden=golden, **goals))
    assert "never" not in deployments(desk)


def test_rollback_goes_back_and_forth(paired: Paired, relu: bytes) -> None:
    """One step back, the same request again changes nothing, a new one goes forth; the history tells it all."""
    _, desk = paired
    first, second = pushed(desk, relu), pushed(desk, other_model(relu))
    expect("slot_unknown", failure("rollback", desk, "nowhere"))
    expect("request_invalid", failure("rollback", desk, "../x"))
    deploy(desk, first, "back", threads=2)
    expect("rollback_unavailable", failure("rollback", desk, "back"))
    deploy(desk, second, "back")

    answer = rollback(desk, "back", second)
    assert (answer.sha256, answer.previous_sha256, answer.threads) == (first, second, 2)
    assert rollback(desk, "back", second) == answer
    expect("device_busy", failure("rollback", desk, "back", "5" * 64))
    assert rollback(desk, "back", first).sha256 == second
    assert [(one.how, one.sha256) for one in deployments(desk)["back"].history] == [
        ("deploy", first),
        ("deploy", second),
        ("rollback", first),
        ("rollback", second),
    ]


def test_rollback_checks_the_bytes(state: Path, me: Identity, relu: bytes) -> None:
    """What was damaged on the disk since is not activated; after a restart the switch is still there."""
    with agent(state) as running:
        pair_with(running, running.pairing_code(), me)
        with client(running, me) as desk:
            first, second = pushed(desk, relu), pushed(desk, other_model(relu))
            deploy(desk, first, "cam")
            deploy(desk, second, "cam")
            assert rollback(desk).sha256 == first
            running.kill()
    (state / "artifacts" / second[:2] / second).write_bytes(b"x" * len(relu))
    with agent(state) as again, client(again, me) as desk:
        expect("artifact_corrupt", failure("rollback", desk))
        assert deployments(desk)["cam"].sha256 == first


def test_slots_of_an_older_agent(tmp_path: Path) -> None:
    """A table without history is read; what an older agent deployed since is the history's new beginning."""
    path = tmp_path / "slots.json"
    table = SlotTable(path)
    table.switch("cam", Candidate("net@base", "1" * 64, "onnx", "onnxruntime", 1))
    table.switch("cam", Candidate("net@acc1", "2" * 64, "onnx", "onnxruntime", 1))
    document = json.loads(path.read_text())
    assert set(document["slots"][0]) == {
        "slot", "sha256", "label", "previous_sha256", "runtime", "threads", "format", "deployed_unix_ns",
    }  # fmt: skip
    assert SlotTable(path).list() == table.list()
    document["slots"][0]["sha256"] = "3" * 64
    path.write_text(json.dumps(document))

    (found,) = SlotTable(path).list()

    assert (found.sha256, found.previous_sha256, len(found.history)) == ("3" * 64, "", 1)


def test_history_is_bounded(tmp_path: Path) -> None:
    """A slot that changes for years keeps its last changes; deploying the same again adds none."""
    table = SlotTable(tmp_path / "slots.json")
    for number in range(3 * HISTORY_MAX):
        last = table.switch("cam", Candidate("net@acc1", f"{number // 2:064x}", "onnx", "onnxruntime", 1))
    hashes = [one.sha256 for one in last.history]
    assert len(hashes) == HISTORY_MAX == len(set(hashes))
    assert last.previous_sha256 == hashes[-2]


@pytest.mark.parametrize("count", [7, 66, 70, 500, 5000])
def test_claims_about_the_percentile(count: int) -> None:
    """The tails are those of the binomial distribution, and all looks of a slow network suffice for a claim."""
    for slow in sorted({0, 1, count // 20, count // 10, count // 5, count}):
        assert met(count, slow) == (stats.binom.cdf(slow, count, 0.1) <= 0.001)
        assert missed(count, slow) == (stats.binom.sf(slow - 1, count, 0.1) <= 0.001)
    assert met(LOOKS * LEAST_PER_LOOK, 0)
