"""A worker may die, hang, babble or run out of memory: its parent gets an error that says so, and lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from worker_examples import NOTHING, dense_model, hungry_model, local, running

from edgewright_agent.measure.smoke import run_smoke
from edgewright_agent.measure.values import WorkerSettings
from edgewright_agent.worker.client import WorkerProcess
from edgewright_agent.worker.diagnosis import Death, explain_death, oom_kills
from edgewright_contract.errors import EdgewrightError, ErrorCode

Misbehaving = Callable[[str], WorkerSettings]


def failure(settings: WorkerSettings) -> EdgewrightError:
    with pytest.raises(EdgewrightError) as caught:
        run_smoke(NOTHING, settings)
    return caught.value


def test_a_crash_names_the_signal_and_the_candidate(misbehaving: Misbehaving) -> None:
    """A segmentation fault in a library becomes WORKER_CRASHED with SIGSEGV in its text."""
    error = failure(misbehaving("segfault"))

    assert error.code is ErrorCode.WORKER_CRASHED
    assert "nothing@base" in error.message
    assert "SIGSEGV" in error.message
    assert error.hint


def test_an_exit_quotes_the_last_words(misbehaving: Misbehaving) -> None:
    """What a dying library wrote to stderr is in the error."""
    error = failure(misbehaving("exit"))

    assert error.code is ErrorCode.WORKER_CRASHED
    assert "exit status 3" in error.message
    assert "libfaulty: giving up" in error.message


@pytest.mark.parametrize("behaviour", ["bad_alloc", "memory_error"])
def test_lack_of_memory_is_told_from_a_crash(misbehaving: Misbehaving, behaviour: str) -> None:
    """An uncaught bad_alloc and a Python MemoryError both become WORKER_OUT_OF_MEMORY."""
    assert failure(misbehaving(behaviour)).code is ErrorCode.WORKER_OUT_OF_MEMORY


def test_an_exception_is_reported_with_its_type(misbehaving: Misbehaving) -> None:
    """An error that a library raises becomes WORKER_FAILED with its type and text."""
    error = failure(misbehaving("exception"))

    assert error.code is ErrorCode.WORKER_FAILED
    assert "ZeroDivisionError: in the library" in error.message


def test_printing_libraries_do_not_disturb_the_protocol(misbehaving: Misbehaving) -> None:
    """Text and raw bytes on stdout from a library are no replies, even when they look like one."""
    assert run_smoke(NOTHING, misbehaving("print")).accelerator == "none"


def test_a_hanging_worker_is_killed_at_the_time_limit(misbehaving: Misbehaving) -> None:
    """An inference that never ends becomes WORKER_TIMEOUT soon after the limit, and the worker is gone."""
    settings = replace(misbehaving("sleep"), load_timeout_s=3.0)
    started = time.monotonic()

    error = failure(settings)

    assert error.code is ErrorCode.WORKER_TIMEOUT
    assert "3 s" in error.message
    assert time.monotonic() - started < 5.0


def started_worker(settings: WorkerSettings, cancelled: Callable[[], bool]) -> WorkerProcess:
    worker = WorkerProcess(settings, "nothing@base", cancelled)
    worker.call("start", 60.0, runtime="null")
    worker.call("load", 60.0, model="null", threads=1)
    return worker


def call_error(worker: WorkerProcess, disturb: Callable[[int], None], timeout_s: float) -> EdgewrightError:
    """The error of an inference that sleeps, `disturb` being done to the process shortly after its start."""
    timer = threading.Timer(0.3, disturb, (worker.pid,))
    timer.start()
    try:
        with worker, pytest.raises(EdgewrightError) as caught:
            worker.call("bind", timeout_s)
        return caught.value
    finally:
        timer.cancel()


def test_a_killed_worker_is_a_crash(misbehaving: Misbehaving) -> None:
    """kill -9 during a call is noticed at once and named."""
    worker = started_worker(misbehaving("sleep"), lambda: False)
    started = time.monotonic()

    error = call_error(worker, lambda pid: os.kill(pid, signal.SIGKILL), 60.0)

    assert error.code is ErrorCode.WORKER_CRASHED
    assert "SIGKILL" in error.message
    assert time.monotonic() - started < 2.0


def test_a_stopped_worker_times_out(misbehaving: Misbehaving) -> None:
    """A process that is stopped, not ended, is killed at the limit."""
    worker = started_worker(misbehaving("sleep"), lambda: False)

    error = call_error(worker, lambda pid: os.kill(pid, signal.SIGSTOP), 1.0)

    assert error.code is ErrorCode.WORKER_TIMEOUT
    assert not running(worker.pid)


def test_cancelling_kills_within_two_seconds(misbehaving: Misbehaving) -> None:
    """Once the owner cancels, the call raises CANCELLED and the process is gone within 2 s."""
    asked = threading.Event()
    worker = started_worker(misbehaving("sleep"), asked.is_set)
    started = time.monotonic()

    error = call_error(worker, lambda _: asked.set(), 60.0)

    assert error.code is ErrorCode.CANCELLED
    assert not running(worker.pid)
    assert time.monotonic() - started < 0.3 + 2.0


def test_the_memory_limit_holds(settings: WorkerSettings, tmp_path: Path) -> None:
    """A network that needs 400 MB inside runs under 900 MiB, and under 300 MiB fails with the limit named."""
    hungry = local(hungry_model(tmp_path / "hungry.onnx", 100_000_000))

    assert run_smoke(hungry, replace(settings, memory_limit_bytes=900 << 20)).first_inference_ns > 0
    with pytest.raises(EdgewrightError) as caught:
        run_smoke(hungry, replace(settings, memory_limit_bytes=300 << 20))

    assert caught.value.code is ErrorCode.WORKER_OUT_OF_MEMORY
    assert str(300 << 20) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("limit_mib", [8, 40])
def test_a_limit_below_what_python_needs_is_no_crash(settings: WorkerSettings, tmp_path: Path, limit_mib: int) -> None:
    """Where even the libraries do not fit, the error still says it is memory."""
    dense = local(dense_model(tmp_path / "dense.onnx"))

    with pytest.raises(EdgewrightError) as caught:
        run_smoke(dense, replace(settings, memory_limit_bytes=limit_mib << 20))

    assert caught.value.code is ErrorCode.WORKER_OUT_OF_MEMORY


def test_a_missing_interpreter_is_an_error_with_a_hint(settings: WorkerSettings) -> None:
    """AGENT_PYTHON that names nothing is WORKER_FAILED and says what to set."""
    error = failure(replace(settings, python=("no-such-python",)))

    assert error.code is ErrorCode.WORKER_FAILED
    assert "no-such-python" in error.message
    assert "AGENT_PYTHON" in error.hint


def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    """A parent that is killed leaves no worker, not even one in the middle of an inference."""
    program = tmp_path / "parent.py"
    program.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from edgewright_agent.measure.values import WorkerSettings\n"
        "from edgewright_agent.worker.client import WorkerProcess\n"
        "settings = WorkerSettings((sys.executable, sys.argv[1], 'sleep'), 0, 60.0, 60.0, Path('/'))\n"
        "worker = WorkerProcess(settings, 'x', lambda: False)\n"
        "worker.call('start', 60.0, runtime='null')\n"
        "worker.call('load', 60.0, model='null', threads=1)\n"
        "print(worker.pid, flush=True)\n"
        "worker.call('bind', 60.0)\n"
    )
    misbehaving_python = Path(__file__).with_name("misbehaving_python.py")
    with subprocess.Popen([sys.executable, str(program), str(misbehaving_python)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.2)

        parent.kill()

    deadline = time.monotonic() + 2.0
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(pid)


def test_a_kill_by_the_kernel_for_memory_is_told(tmp_path: Path) -> None:
    """SIGKILL while the kernel's counter of out-of-memory kills went up is WORKER_OUT_OF_MEMORY."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/vmstat").write_text("nr_free_pages 5\noom_kill 3\n")

    assert oom_kills(tmp_path) == 3
    assert oom_kills(tmp_path / "nothing here") == 0
    assert explain_death(Death("x", -9, "", True, 0)).code is ErrorCode.WORKER_OUT_OF_MEMORY
    assert explain_death(Death("x", -9, "", False, 0)).code is ErrorCode.WORKER_CRASHED
    assert "signal 77" in explain_death(Death("x", -77, "", False, 0)).message
