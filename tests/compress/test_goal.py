"""Bounds and targets: pure decisions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgewright.compress.goal import Goal
from edgewright.compress.judge import Fidelity, Judgement
from edgewright.core.levels import LEVELS, level
from edgewright.core.targets import TARGETS, int8_policy, target_of
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import DeviceFacts

FIDELITY = Fidelity(0.97, 20.0, 0.99, 0.01, 0.002, 100)
GOAL = Goal(bound_points=0.5, minimum_sqnr_db=15.0, samples=1000, baseline=0.8)


def judged(metric: float | None, **changes: float | None) -> Judgement:
    return Judgement(metric, replace(FIDELITY, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "samples", "met"),
    [
        (0.795, 1000, True),  # 5 of 1000
        (0.794, 1000, False),
        (0.79, 100, True),  # one sample of a hundred is less than the data can tell
        (0.78, 100, False),
        (0.81, 100, True),
    ],
)
def test_bound_with_labels(value: float, samples: int, met: bool) -> None:
    """The metric decides, in whole samples."""
    assert replace(GOAL, samples=samples).met(judged(value)) is met


def test_bound_without_labels() -> None:
    """The expected drop decides for classifiers, the SQNR for others."""
    goal = replace(GOAL, baseline=None)

    assert goal.met(judged(None))
    assert not goal.met(judged(None, expected_drop=0.006))
    assert goal.result(judged(None)).goal == "expected_drop_points"
    other = judged(None, agreement=None, divergence=None, expected_drop=None)
    assert goal.met(other)
    assert not replace(goal, minimum_sqnr_db=25.0).met(other)
    assert goal.result(other).goal == "sqnr_db"


def facts(architecture: str, *flags: str) -> DeviceFacts:
    return DeviceFacts("b", "c", architecture, 4, flags, 1, "Linux", "6", "3.11", "0.1", (), (), 1, 1)


@pytest.mark.parametrize(
    ("device", "target", "bits"),
    [
        (facts("x86_64", "avx2", "avx512_vnni"), "x86-vnni", 8),
        (facts("x86_64", "avx2", "avx_vnni"), "x86-vnni", 8),
        (facts("x86_64", "avx2", "avx512f"), "x86-avx2", 7),
        (facts("x86_64", "sse4_2"), "x86", 7),
        (facts("aarch64", "asimd", "asimddp"), "armv8.2-dotprod", 8),
        (facts("aarch64", "asimd"), "armv8", 8),
        (facts("armv7l", "neon"), "armv7", 8),
        (facts("riscv64"), "other", 8),
    ],
)
def test_targets_of_devices(device: DeviceFacts, target: str, bits: int) -> None:
    """The CPU's flags decide, not its name; 7-bit weights where 16-bit sums would saturate."""
    assert target_of(device) == target
    assert int8_policy(target).weight_bits == bits


def test_unknown_target_and_level_list_what_exists() -> None:
    """Both refusals name the alternatives."""
    with pytest.raises(EdgewrightError) as caught:
        int8_policy("vax")
    assert caught.value.code is ErrorCode.TARGET_UNKNOWN
    assert all(name in caught.value.message for name in TARGETS)

    with pytest.raises(EdgewrightError) as caught:
        level("acc9")
    assert caught.value.code is ErrorCode.LEVEL_UNKNOWN
    assert all(name in caught.value.message for name in LEVELS)
