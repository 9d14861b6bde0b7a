"""Verdicts: each rule at its threshold, each board with a known fault."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewright.core.verdict import RULES, Evidence, Parity, ReasonCode, Verdict, judge

_GOOD = Evidence(
    samples=1000,
    samples_needed=64,
    processes=3,
    percentile_name="p90",
    half_width=0.01,
    precision=0.02,
    parity=Parity(1.0, 40.0, 0.999, True, "same answers"),
)
_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "measurement.md"


def test_a_quiet_board_is_valid_without_reasons() -> None:
    """Nothing wrong, nothing said."""
    assert judge(_GOOD) == (Verdict.VALID, ())


@pytest.mark.parametrize(
    ("change", "code", "verdict", "words"),
    [
        ({"spread": 0.099}, None, Verdict.VALID, ""),
        ({"spread": 0.12}, ReasonCode.UNSTABLE, Verdict.INDICATIVE, "12.0%"),
        ({"spread": 0.6}, ReasonCode.UNSTABLE, Verdict.INVALID, "60.0%"),
        ({"drift": -0.08}, ReasonCode.WARM_UP_NOT_OVER, Verdict.INDICATIVE, "8.0% below"),
        ({"drift": 0.3}, ReasonCode.SLOWED_DOWN, Verdict.INVALID, "30.0% above"),
        ({"frequency_change": 0.9}, ReasonCode.FREQUENCY_CHANGED, Verdict.INDICATIVE, "90.0%"),
        ({"frequency_fall": 0.35, "temperature": 85.0}, ReasonCode.THROTTLED, Verdict.INVALID, "85 degrees"),
        (
            {"frequency_fall": 0.15, "temperature": 60.0, "temperature_rise": 9.0},
            ReasonCode.THROTTLED,
            Verdict.INDICATIVE,
            "15.0%",
        ),
        ({"frequency_fall": 0.35, "temperature": 50.0, "temperature_rise": 1.0}, None, Verdict.VALID, ""),
        ({"frequency_fall": 0.35}, None, Verdict.VALID, ""),
        ({"other_load": 0.3}, ReasonCode.BACKGROUND_LOAD, Verdict.INDICATIVE, "30.0% of the machine"),
        ({"preemptions": 80.0}, ReasonCode.PREEMPTED, Verdict.INDICATIVE, "80 times"),
        ({"masks": 2}, ReasonCode.MIGRATED, Verdict.INDICATIVE, "2 different"),
        ({"samples": 63}, ReasonCode.TOO_FEW_SAMPLES, Verdict.INDICATIVE, "63 samples: p90 needs 64"),
        ({"samples": 64}, None, Verdict.VALID, ""),
        ({"samples": 5}, ReasonCode.TOO_FEW_SAMPLES, Verdict.INVALID, "5 samples"),
        ({"samples": 0}, ReasonCode.TOO_FEW_SAMPLES, Verdict.INVALID, "0 samples"),
        ({"processes": 1}, ReasonCode.SINGLE_PROCESS, Verdict.INDICATIVE, "one process"),
        ({"half_width": 0.05}, ReasonCode.PRECISION_NOT_REACHED, Verdict.INDICATIVE, "within 5.0%, asked was 2.0%"),
        ({"half_width": 0.02}, None, Verdict.VALID, ""),
        ({"overhead": 0.02}, ReasonCode.OVERHEAD_TOO_LARGE, Verdict.INDICATIVE, "2.0%"),
        ({"timer_share": 0.06}, ReasonCode.TIMER_TOO_COARSE, Verdict.INVALID, "6.0%"),
        ({"complete": False}, ReasonCode.INCOMPLETE, Verdict.INDICATIVE, "before its plan"),
        ({"parity": None}, ReasonCode.PARITY_UNCHECKED, Verdict.INDICATIVE, "not compared"),
        (
            {"parity": Parity(0.2, 1.0, 0.5, False, "20 % agree")},
            ReasonCode.PARITY_FAILED,
            Verdict.INVALID,
            "20 % agree",
        ),
    ],
)
def test_each_rule_at_its_threshold(
    change: dict[str, Any], code: ReasonCode | None, verdict: Verdict, words: str
) -> None:
    """One figure changed gives its reason with the figure in it, and nothing else."""
    found, reasons = judge(replace(_GOOD, **change))

    assert found is verdict
    assert [reason.code for reason in reasons] == ([] if code is None else [code])
    assert all(words in reason.text and reason.worst is verdict for reason in reasons)


def test_information_takes_nothing_away() -> None:
    """Missing sensors and an undecided speed-up are said, and the number stays valid."""
    verdict, reasons = judge(replace(_GOOD, unavailable=("temperature: no thermal zone",), speedup_undecided=True))

    assert verdict is Verdict.VALID
    assert [reason.code for reason in reasons] == [
        ReasonCode.SENSOR_UNAVAILABLE,
        ReasonCode.NO_SIGNIFICANT_DIFFERENCE,
    ]
    assert "no thermal zone" in reasons[0].text


def test_the_gravest_reason_comes_first() -> None:
    """Invalid before indicative before information, and the verdict is the gravest."""
    verdict, reasons = judge(replace(_GOOD, spread=0.2, drift=0.4, processes=1, unavailable=("temperature: none",)))

    assert verdict is Verdict.INVALID
    assert [reason.worst for reason in reasons] == [
        Verdict.INVALID,
        Verdict.INDICATIVE,
        Verdict.INDICATIVE,
        Verdict.VALID,
    ]


def test_the_document_has_every_reason_and_threshold() -> None:
    """docs/measurement.md names every code, with the thresholds that the code has."""
    text = _DOCUMENT.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.MULTILINE))

    assert set(rows) == {code.value for code in ReasonCode}
    for rule in RULES:
        cells = [cell.strip() for cell in rows[rule.code.value].split("|")]
        for threshold, cell in zip((rule.indicative, rule.invalid), cells[1:3], strict=True):
            assert _documented(threshold) in (*cell.split(" / "), None), (rule.code, threshold, cell)


def _documented(threshold: float | None) -> str | None:
    """A share as the table writes it; None where the table uses words (yes/no figures, ratios, counts)."""
    if threshold is None:
        return "never"
    return f"{threshold:.0%}" if threshold < 1 else None
