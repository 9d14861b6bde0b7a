"""Events in, summary out, on boards with a known truth."""

from __future__ import annotations

import json

import numpy as np
import pytest
from core_simulation import block, events_of, quiet_board

from edgewright.core.benchmark import BenchSettings, percentile_name, precision_reached, summarise
from edgewright.core.plain import to_plain
from edgewright.core.verdict import Parity, ReasonCode, Verdict
from edgewright_contract.values import Ended, Reading

_SETTINGS = BenchSettings()
_SAME = {"m@acc1": Parity(1.0, 35.0, 0.999, True, "same answers")}
_TWO = {"m@base": 4e6, "m@acc1": 2e6}


def _codes(summary_reasons: object) -> list[ReasonCode]:
    return [reason.code for reason in summary_reasons]  # type: ignore[attr-defined]


def test_a_quiet_board_by_its_truth() -> None:
    """720 samples each: p50 and p99 are there, p99.9 is not, the speed-up is 2, everything is valid."""
    summary = summarise(quiet_board(_TWO), "m@base", _SETTINGS, _SAME)

    base, small = summary.candidates
    assert (base.label, small.label) == ("m@base", "m@acc1")
    assert summary.verdict is Verdict.VALID
    assert (base.samples, base.processes) == (720, 3)
    assert set(base.latency_ns) == {"p50", "p90", "p95", "p99"}
    assert base.latency_ns["p50"] == pytest.approx(4e6, rel=0.002)
    assert base.latency_interval_ns["p90"].low <= base.latency_ns["p90"] <= base.latency_interval_ns["p90"].high
    assert base.speedup is None
    assert not base.significant
    assert small.speedup is not None
    assert small.significant
    assert small.speedup.low <= 2.0 <= small.speedup.high
    assert small.speedup.high - small.speedup.low < 0.02
    assert small.peak_memory_bytes == 60_000_002
    assert (small.load_ns, small.first_inference_ns, small.spawn_ns) == (50e6, 9e6, 200e6)
    assert small.overhead is not None
    assert small.overhead.percent_of_p50 == pytest.approx(0.05, rel=0.01)
    assert (small.runtime_version, small.accelerator, small.cpus) == ("1.30.0", "CPUExecutionProvider", (0, 1))
    assert len(small.distribution_ns) == 512


def test_percentiles_are_numpys() -> None:
    """What is printed is numpy's nearest-rank percentile of exactly the samples that were not warm-up."""
    random = np.random.default_rng(0)
    times = random.lognormal(14, 0.3, (10, 20)).astype(int)
    blocks = [block("m@base", 0, i, list(row)) for i, row in enumerate(times)]
    warm = block("m@base", 0, 99, [1] * 100, warmup=True)

    (base,) = summarise(events_of(warm, *blocks, Ended("done")), "m@base", _SETTINGS, {}).candidates

    for name, percent in (("p50", 50), ("p90", 90), ("p95", 95)):
        assert base.latency_ns[name] == np.percentile(times, percent, method="inverted_cdf")
    assert (base.min_ns, base.mean_ns) == (times.min(), pytest.approx(times.mean()))
    assert base.samples == 200


def test_equal_candidates_are_not_told_apart() -> None:
    """The same latency twice: the interval holds 1, and that is said without harming the verdict."""
    summary = summarise(quiet_board({"m@base": 3e6, "m@acc1": 3e6}), "m@base", _SETTINGS, _SAME)

    small = summary.candidates[1]
    assert small.speedup is not None
    assert not small.significant
    assert small.verdict is Verdict.VALID
    assert ReasonCode.NO_SIGNIFICANT_DIFFERENCE in _codes(small.reasons)


def test_a_throttling_board_is_named() -> None:
    """Clock down 40 % and 20 degrees warmer: throttled and invalid, yet the paired speed-up is still 2."""

    def readings(step: int) -> list[Reading]:
        hot = step >= 18
        return [
            Reading("cpu_frequency", 1200.0 if hot else 2000.0, "MHz"),
            Reading("temperature", 85.0 if hot else 55.0, "degC"),
        ]

    events = quiet_board(_TWO, readings=readings, speed=lambda p, i: 1.67 if 12 * p + i >= 18 else 1.0)
    small = summarise(events, "m@base", _SETTINGS, _SAME).candidates[1]

    assert small.verdict is Verdict.INVALID
    assert {ReasonCode.THROTTLED, ReasonCode.FREQUENCY_CHANGED, ReasonCode.UNSTABLE} <= set(_codes(small.reasons))
    assert small.speedup is not None
    assert small.speedup.value == pytest.approx(2.0, rel=0.01)


def test_a_busy_board_is_named() -> None:
    """95 % busy where one thread of two cores explains 50 %: background load; switches: preempted."""
    busy = quiet_board(_TWO, readings=lambda step: [Reading("cpu_busy", 95.0, "%")], switches=3)
    calm = quiet_board(_TWO, readings=lambda step: [Reading("cpu_busy", 52.0, "%")])

    found = _codes(summarise(busy, "m@base", _SETTINGS, _SAME).candidates[0].reasons)
    assert {ReasonCode.BACKGROUND_LOAD, ReasonCode.PREEMPTED} <= set(found)
    assert summarise(calm, "m@base", _SETTINGS, _SAME).candidates[0].reasons == ()


def test_a_long_warm_up_is_named() -> None:
    """Every process starts 20 % slow and settles late: the warm-up was too short."""
    events = quiet_board(_TWO, speed=lambda p, i: 1.2 if i < 4 else 1.0)

    assert ReasonCode.WARM_UP_NOT_OVER in _codes(summarise(events, "m@base", _SETTINGS, _SAME).candidates[0].reasons)


def test_blind_sensors_are_named_and_harmless() -> None:
    """A virtual machine without clock and temperature: both said with their reasons, still valid."""
    blind = [
        Reading("cpu_frequency", unavailable="no cpufreq driver"),
        Reading("temperature", unavailable="no thermal zone"),
        Reading("cpu_busy", 50.0, "%"),
    ]
    base = summarise(quiet_board(_TWO, readings=lambda step: blind), "m@base", _SETTINGS, _SAME).candidates[0]

    assert base.verdict is Verdict.VALID
    assert [reason.text for reason in base.reasons] == [
        "not watched: cpu_frequency: no cpufreq driver",
        "not watched: temperature: no thermal zone",
    ]


def test_parity_decides() -> None:
    """Another network's answers make its speed invalid; no comparison makes it indicative."""
    other = {"m@acc1": Parity(0.1, 0.5, 0.2, False, "10 % of answers agree")}

    failed = summarise(quiet_board(_TWO), "m@base", _SETTINGS, other)
    unchecked = summarise(quiet_board(_TWO), None, _SETTINGS, {})

    assert failed.candidates[1].verdict is failed.verdict is Verdict.INVALID
    assert failed.candidates[0].verdict is Verdict.VALID
    assert unchecked.verdict is Verdict.INDICATIVE
    assert _codes(unchecked.candidates[0].reasons) == [ReasonCode.PARITY_UNCHECKED]


def test_a_cancelled_run_keeps_what_it_has() -> None:
    """Stopped early: summarised, and marked incomplete; without a single sample it is invalid."""
    events = quiet_board(_TWO)[:60]
    stopped = summarise([*events, *events_of(Ended("cancelled"))], "m@base", _SETTINGS, _SAME)
    loads_only = [event for event in quiet_board(_TWO) if type(event.payload).__name__ == "Loaded"]
    nothing = summarise(loads_only, "m@base", _SETTINGS, _SAME)

    assert ReasonCode.INCOMPLETE in _codes(stopped.candidates[0].reasons)
    assert nothing.verdict is Verdict.INVALID
    assert nothing.candidates[0].latency_ns == {}
    assert summarise([], "m@base", _SETTINGS, {}).candidates == ()


def test_sampling_stops_when_the_percentile_is_known() -> None:
    """Not before the fewest samples, not while the interval is wide, and then yes."""
    narrow, wide = quiet_board(_TWO), quiet_board(_TWO, noise=0.5)

    assert precision_reached(narrow, "m@base", _SETTINGS)
    assert not precision_reached(narrow[:8], "m@base", _SETTINGS)
    assert not precision_reached(wide, "m@base", _SETTINGS)
    assert not precision_reached(narrow, "unknown", _SETTINGS)
    assert not precision_reached(narrow, "m@base", BenchSettings(percentile=99.9))


def test_a_summary_is_json() -> None:
    """The whole summary becomes plain JSON, intervals as value, low, high."""
    document = json.loads(
        json.dumps(to_plain(summarise(quiet_board(_TWO), "m@base", _SETTINGS, _SAME)), allow_nan=False)
    )

    small = document["candidates"][1]
    assert set(small["speedup"]) == {"value", "low", "high"}
    assert small["verdict"] == "valid"
    assert percentile_name(99.9) == "p99.9"
