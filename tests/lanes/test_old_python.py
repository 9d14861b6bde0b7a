"""The agent's own wheel, installed where a board would install it: another Python, no checkout, old packages.

By default Python 3.8, the oldest; EDGEWRIGHT_LANE_PYTHONS names others (executables, separated by colons).
"""

from __future__ import annotations

import io
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgewright_contract import agent_pb2 as pb
from edgewright_contract import certificates, transfer
from tests.agent import harness
from tests.agent.test_goals import npz
from tests.conftest import ROOT

VARIABLE = "EDGEWRIGHT_LANE_PYTHONS"


def lane_pythons() -> list[str]:
    named = [one for one in os.environ.get(VARIABLE, "").split(":") if one]
    installed = [str(path) for path in sorted((Path.home() / ".pyenv/versions").glob("3.8*/bin/python"))]
    on_path = [path for path in [shutil.which("python3.8")] if path]
    return named or [path for path in (*on_path, *installed) if starts(path)][:1]


def starts(python: str) -> bool:
    """A version manager may put a command on the path that only says how to install it."""
    return subprocess.run([python, "-V"], capture_output=True, check=False).returncode == 0


def run(*argv: str, cwd: Path | None = None) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, f"{argv}:\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT / "agent"))
    (built,) = folder.glob("edgewright_agent-*.whl")
    return built


@pytest.mark.slow
@pytest.mark.parametrize("python", lane_pythons() or [""])
def test_wheel_serves_on_another_python(python: str, wheel: Path, tmp_path: Path, relu: bytes, samples: bytes) -> None:
    """Installed from its wheel alone, the agent pairs, takes a push, deploys, measures and describes itself."""
    if not python:
        pytest.skip(f"no Python 3.8 found; name one in {VARIABLE}")
    run(python, "-m", "venv", str(tmp_path / "venv"))
    board = tmp_path / "venv" / "bin" / "python"
    run(str(board), "-m", "pip", "install", "-q", f"{wheel}[onnxruntime]", cwd=tmp_path)
    me = certificates.create_identity("desk")

    argv = [str(board), "-I", "-m", "edgewright_agent"]
    with harness.agent(tmp_path / "state", python=argv) as running:
        harness.pair_with(running, running.printed_code(), me)
        with harness.client(running, me) as desk:
            facts = desk.describe()
            for data in (relu, samples):
                desk.push_bytes(data)
            candidate = pb.Candidate(
                label="relu", sha256=transfer.sha256_of_bytes(relu), format="onnx", runtime="onnxruntime", threads=1
            )
            harness.call(desk.stub.Deploy, pb.DeployRequest(slot="default", candidate=candidate))
            other = relu + b"\xfa\x7f\x01x"  # other bytes, the same model
            expected = npz(y=np.maximum(np.load(io.BytesIO(samples)), 0))
            for data in (other, expected):
                desk.push_bytes(data)
            goals = pb.DeployGoals(
                golden=pb.InputSet(sha256=transfer.sha256_of_bytes(samples)),
                expected_sha256=transfer.sha256_of_bytes(expected),
                max_latency_ms=1000,
            )
            checked = pb.DeployCheckedRequest(slot="default", candidate=candidate, goals=goals)
            checked.candidate.sha256 = transfer.sha256_of_bytes(other)
            checks = harness.call(desk.stub.DeployChecked, checked, 60).checks
            rolled_back = harness.call(desk.stub.Rollback, pb.RollbackRequest(slot="default")).deployment
            request = pb.StartBenchmarkRequest(
                request_id=secrets.token_hex(8),
                candidates=[candidate],
                golden=pb.InputSet(sha256=transfer.sha256_of_bytes(samples)),
                plan=pb.BenchmarkPlan(processes=1, blocks=2, block_seconds=0.01, max_seconds=5, warmup_seconds=0.01),
            )
            events = list(desk.watch(harness.call(desk.stub.StartBenchmark, request).job.id))
        status, _ = running.stop()

    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    assert facts.python_version == version
    assert [runtime.name for runtime in facts.runtimes] == ["onnxruntime"]
    assert events[-1].ended.state == "done", events[-1]
    assert (checks.count, checks.sqnr_db) == (8, float("inf"))
    assert rolled_back.sha256 == candidate.sha256
    assert status == 0
