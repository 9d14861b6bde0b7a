"""What samples betray without any sensor, and what telemetry adds."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from core_simulation import block, events_of, quiet_board

from edgewright.core.benchmark import BenchSettings, summarise
from edgewright.core.signs import signs
from edgewright.core.simulated_board import SENSORS, Script, SimulatedBoard
from edgewright.core.verdict import Parity, ReasonCode, Verdict
from edgewright_contract.values import Block, Ended, JobEvent, Reading

_SAME = {"m@acc1": Parity(1.0, 40.0, 1.0, True, "same answers")}
_SETTINGS = BenchSettings(precision_percent=5, confidence=0.99)
_INFORMATION = {ReasonCode.SENSOR_UNAVAILABLE, ReasonCode.NO_SIGNIFICANT_DIFFERENCE}
_NONE: frozenset[str] = frozenset()


def reasons(script: Script, seed: int) -> set[ReasonCode]:
    board = SimulatedBoard({"m@base": 2e6, "m@acc1": 1e6}, script, seed, blocks=8, samples=30)
    summary = summarise(board.run(), "m@base", _SETTINGS, _SAME)
    return {reason.code for item in summary.candidates for reason in item.reasons} - _INFORMATION


@pytest.mark.parametrize("sensors", [SENSORS, _NONE], ids=["all sensors", "no sensor"])
@pytest.mark.parametrize(
    ("script", "seen", "unseen"),
    [
        (Script(throttle_at=0.4, throttle=1.3), ReasonCode.THROTTLED, ReasonCode.LEVEL_CHANGED),
        (Script(throttle_at=0.7, throttle=1.3, heat=False), ReasonCode.FREQUENCY_CHANGED, ReasonCode.LEVEL_CHANGED),
        (Script(little_core=1.8), ReasonCode.MIGRATED, ReasonCode.MIGRATED),
        (Script(load_share=0.3, load_to=0.6), ReasonCode.BACKGROUND_LOAD, ReasonCode.BACKGROUND_LOAD),
        (Script(drift=1.4), ReasonCode.LEVEL_CHANGED, ReasonCode.LEVEL_CHANGED),
        (Script(slow_start=1.5), ReasonCode.WARM_UP_NOT_OVER, ReasonCode.WARM_UP_NOT_OVER),
    ],
    ids=["throttle", "frequency", "migration", "load", "drift", "warm-up"],
)
def test_a_fault_is_named(script: Script, seen: ReasonCode, unseen: ReasonCode, sensors: frozenset[str]) -> None:
    """Six faults on three boards each, with and without sensors; heat is never blamed for a lowered clock."""
    for seed in range(3):
        found = reasons(replace(script, sensors=sensors), seed)
        assert (seen if sensors else unseen) in found
        assert (ReasonCode.THROTTLED in found) == (seen is ReasonCode.THROTTLED and bool(sensors))


@pytest.mark.parametrize("sensors", [SENSORS, _NONE], ids=["all sensors", "no sensor"])
def test_quiet_boards_raise_no_alarm(sensors: frozenset[str]) -> None:
    """Ten boards with noise that remembers and processes that differ a little: not one reason."""
    for seed in range(10):
        assert reasons(Script(sensors=sensors, correlation=0.8, noise=0.015), seed) == set()


def test_a_board_repeats_itself() -> None:
    """The same seed gives the same events, another one other samples; one after the other has the same number."""
    board = SimulatedBoard({"m@base": 2e6, "m@acc1": 1e6}, seed=1)
    assert board.run() == board.run()
    assert board.run() != replace(board, seed=2).run()
    assert len(_blocks(board.run())) == len(_blocks(board.run(interleaved=False))) == 120


def test_a_lasting_change_is_placed_and_measured() -> None:
    """A quarter slower from block 30 of 40 on: 25 %, at 75 %; fewer than 12 blocks say nothing."""
    blocks = [
        replace(block("m", 0, i, [1e6 * (1.25 if i >= 30 else 1.0) * (1 + 0.001 * (i % 5))] * 5), started_ns=i)
        for i in range(40)
    ]
    found = signs(blocks, on_cpu=True)
    assert found.change == pytest.approx(0.25, abs=0.01)
    assert found.change_at == pytest.approx(0.75, abs=0.03)
    assert (found.waiting, found.two_speeds) == (0.0, 1.0)
    assert signs(blocks[:11], on_cpu=True).change is None


def test_an_accelerator_may_wait() -> None:
    """Time without CPU time is nobody's fault where the CPU does not do the work."""
    blocks = [replace(block("m", 0, i, [1e6] * 5), cpu_ns=1_000_000) for i in range(20)]
    assert signs(blocks, on_cpu=True).waiting == pytest.approx(0.8)
    assert signs(blocks, on_cpu=False).waiting is None


@pytest.mark.parametrize("fault", ["zero", "negative", "backwards"])
def test_clock_trouble_is_invalid(fault: str) -> None:
    """A sample of no time, a negative one, a block that starts before the one before it."""
    events = list(quiet_board({"m@base": 4e6}))
    place = max(i for i, event in enumerate(events) if isinstance(event.payload, Block))
    last = events[place].payload
    assert isinstance(last, Block)
    change = {
        "zero": {"samples_ns": (0, *last.samples_ns[1:])},
        "negative": {"samples_ns": (-5, *last.samples_ns[1:])},
        "backwards": {"started_ns": -1},
    }[fault]
    events[place] = JobEvent(events[place].sequence, replace(last, **change))

    (base,) = summarise(events, "m@base", _SETTINGS, {}).candidates

    assert base.verdict is Verdict.INVALID
    assert ReasonCode.CLOCK_TROUBLE in {reason.code for reason in base.reasons}


def test_swap_and_power_mode_are_named() -> None:
    """Swap grows by 50 MB, the governor changes: both said."""

    def readings(step: int) -> list[Reading]:
        late = step > 20
        governor = Reading("governor", "powersave" if late else "performance")
        return [Reading("swap_used", 6e7 if late else 1e7, "bytes"), governor]

    (base,) = summarise(quiet_board({"m@base": 4e6}, readings=readings), "m@base", _SETTINGS, {}).candidates
    assert {ReasonCode.SWAPPED, ReasonCode.POWER_MODE_CHANGED} <= {reason.code for reason in base.reasons}


def test_samples_of_any_kind_are_judged() -> None:
    """Random nonsense in blocks ends in a verdict, never in a failure."""
    random = np.random.default_rng(0)
    for _ in range(30):
        blocks = [
            replace(
                block(
                    "m@base", int(random.integers(3)), i, random.integers(-2, 9, int(random.integers(0, 5))).tolist()
                ),
                cpu_ns=int(random.integers(-1, 10)),
                started_ns=int(random.integers(sys.maxsize)),
            )
            for i in range(int(random.integers(30)))
        ]
        summary = summarise(events_of(*blocks, Ended("done")), "m@base", _SETTINGS, {})
        assert all(item.verdict in Verdict for item in summary.candidates)


def _blocks(events: tuple[JobEvent, ...]) -> list[Block]:
    return [event.payload for event in events if isinstance(event.payload, Block)]
