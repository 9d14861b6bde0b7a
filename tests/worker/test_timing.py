"""The timed loop by a clock that counts, and a worker's answers without a process."""

from __future__ import annotations

import errno
import gc
import io
import json
import time
from collections.abc import Callable

import numpy as np
import pytest

from edgewright_agent.worker import timing
from edgewright_agent.worker.commands import Worker
from edgewright_agent.worker.limits import peak_memory_bytes
from edgewright_contract.errors import EdgewrightError, ErrorCode


class CountingClock:
    """Every reading costs 1 ns; `work` lets some more pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.calls = 0
        monkeypatch.setattr(timing.time, "perf_counter_ns", self.read)

    def read(self) -> int:
        self.now += 1
        return self.now

    def work(self) -> None:
        self.calls += 1
        self.now += 100 * self.calls


def test_samples_hold_the_call_and_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of 100, 200 and 300 ns are 101, 201 and 301 on a clock whose readings cost 1."""
    clock = CountingClock(monkeypatch)

    block = timing.time_block(clock.work, 3)

    assert block.samples_ns == [101, 201, 301]


def test_a_block_of_ten_begins_with_an_untimed_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of eleven calls is not in the ten samples."""
    clock = CountingClock(monkeypatch)

    block = timing.time_block(clock.work, 10)

    assert clock.calls == 11
    assert block.samples_ns[0] == 201
    assert len(block.samples_ns) == 10


def test_a_warm_up_ends_by_time_with_one_sample_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.4 us are over during the third call (100 + 200 + 300 ns); a window shorter than one call has that one."""
    clock = CountingClock(monkeypatch)

    assert len(timing.time_block(clock.work, 1000, 0.4e-6).samples_ns) == 3
    assert len(timing.time_block(clock.work, 1000, 1e-9).samples_ns) == 1
    assert len(timing.time_block(clock.work, 2, 1.0).samples_ns) == 2


def test_the_collector_rests_during_a_block_only() -> None:
    """gc is off while calls are timed and on again afterwards, also after an error."""
    seen = []

    timing.time_block(lambda: seen.append(gc.isenabled()), 2)
    with pytest.raises(ZeroDivisionError):
        timing.time_block(lambda: 1 // 0, 1)

    assert seen == [False, False]
    assert gc.isenabled()


def test_cpu_time_and_start_belong_to_the_block() -> None:
    """A block that sleeps uses little CPU time; it starts between the readings around it."""
    before = time.monotonic_ns()

    block = timing.time_block(lambda: time.sleep(0.02), 3)

    assert before <= block.started_ns <= time.monotonic_ns()
    assert sum(block.samples_ns) >= 60_000_000
    assert block.cpu_ns < 30_000_000


def test_the_timers_resolution_is_positive() -> None:
    """The smallest step of the real clock is some ns, not 0."""
    assert 0 < timing.timer_resolution_ns() < 1_000_000


def test_the_peak_does_not_fall() -> None:
    """80 MB once held stay in the peak after they are gone."""
    held = np.ones(10_000_000)
    del held

    assert peak_memory_bytes() > 80_000_000


def answer(raises: BaseException) -> dict[str, str]:
    def fail(_: object) -> dict[str, object]:
        raise raises

    replies = io.StringIO()
    worker = Worker(io.StringIO('{"command": "close"}\n'), replies)
    worker._commands["close"] = fail
    worker.serve()
    error: dict[str, str] = json.loads(replies.getvalue())["error"]
    return error


@pytest.mark.parametrize(
    ("raises", "code"),
    [
        (lambda: OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (lambda: OSError(errno.ENOMEM, "Cannot allocate memory"), "worker_out_of_memory"),
        (lambda: OSError(errno.EIO, "Input/output error"), "worker_failed"),
        (lambda: RuntimeError("std::bad_alloc"), "worker_out_of_memory"),
        (lambda: RuntimeError("shape\n  mismatch"), "worker_failed"),
        (lambda: EdgewrightError(ErrorCode.SPEC_MISMATCH, "m", "h"), "spec_mismatch"),
    ],
)
def test_every_error_is_an_answer(raises: Callable[[], BaseException], code: str) -> None:
    """Full disk, no memory, a library's complaint: a code and one line of text each; the loop goes on."""
    error = answer(raises())

    assert error["code"] == code
    assert "\n" not in error["message"]
