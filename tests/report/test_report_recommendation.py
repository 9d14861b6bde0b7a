"""Which variant is recommended, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest

from edgewright.core.recommendation import recommend


def _bench(variant: str, low: float, value: float, high: float, verdict: str = "valid") -> dict[str, Any]:
    return {
        "variant": variant,
        "device": "d",
        "verdict": verdict,
        "speedup": {"value": value, "low": low, "high": high},
    }


def _disturbed(code: str) -> dict[str, Any]:
    reasons = [{"code": code, "text": code, "worst": "invalid"}]
    return {**_bench("m@acc1", 1.8, 1.9, 2.0, "invalid"), "reasons": reasons}


_BASE = {"variant": "m@base", "device": "d", "verdict": "valid", "speedup": None}
_MET = [{"goal": "max_drop_points", "asked": 0.5, "reached": 0.1, "met": True}]


def test_the_fastest_of_the_eligible_wins() -> None:
    """Of two that are faster and within their bound, the faster one; the other is told why."""
    variants = [{"variant": "m@acc1", "goals": _MET}, {"variant": "m@acc2", "goals": _MET}]

    for order in (1, -1):
        benchmarks = [_bench("m@acc1", 1.7, 1.8, 1.9), _bench("m@acc2", 2.2, 2.3, 2.4)][::order]
        found = recommend("d", variants, [_BASE, *benchmarks], [])
        assert found.variant == "m@acc2"
        assert found.refused == {"m@acc1": "m@acc2 is faster"}


@pytest.mark.parametrize(
    ("bench", "goals", "drop", "words"),
    [
        (_bench("m@acc1", 0.98, 1.02, 1.06), _MET, None, "not surely faster (1.02x, 0.98x to 1.06x)"),
        (_bench("m@acc1", 0.80, 0.85, 0.90), _MET, None, "slower than the baseline"),
        (_disturbed("parity_failed"), _MET, None, "measurement is invalid: parity_failed"),
        (_disturbed("too_few_samples"), _MET, None, "measurement is invalid: too_few_samples"),
        ({**_bench("m@acc1", 1, 1, 1), "speedup": None}, _MET, None, "not compared"),
        (_bench("m@acc1", 1.8, 1.9, 2.0), [{**_MET[0], "met": False, "reached": 4.2}], None, "reached 4.2"),
        (_bench("m@acc1", 1.8, 1.9, 2.0), _MET, {"value": 3.0, "low": 1.5, "high": 4.5}, "loses 3.00 points"),
    ],
)
def test_a_variant_is_refused_with_its_reason(
    bench: dict[str, Any], goals: list[dict[str, Any]], drop: dict[str, float] | None, words: str
) -> None:
    """Slow, undecided, invalid, uncompared, goal missed, or a loss beyond the bound on the device."""
    evaluations = [{"variant": "m@acc1", "device": "d", "drop": drop}]

    found = recommend("d", [{"variant": "m@acc1", "goals": goals}], [_BASE, bench], evaluations)

    assert found.variant is None
    assert words in found.refused["m@acc1"]


def test_a_disturbed_board_does_not_undo_a_paired_speedup() -> None:
    """Background load makes latencies invalid; the comparison within pairs is still a comparison."""
    found = recommend("d", [{"variant": "m@acc1", "goals": _MET}], [_BASE, _disturbed("background_load")], [])

    assert found.variant == "m@acc1"


def test_a_loss_within_its_error_is_not_held_against_a_variant() -> None:
    """The bound is missed only when the whole interval of the loss lies beyond it, and only on this device."""
    variants = [{"variant": "m@acc1", "goals": _MET}]
    unsure = {"variant": "m@acc1", "device": "d", "drop": {"value": 0.8, "low": -0.4, "high": 2.0}}
    elsewhere = {"variant": "m@acc1", "device": "other", "drop": {"value": 9.0, "low": 8.0, "high": 10.0}}

    found = recommend("d", variants, [_bench("m@acc1", 1.8, 1.9, 2.0)], [unsure, elsewhere])

    assert found.variant == "m@acc1"
