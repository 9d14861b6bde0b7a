"""Which variant to use on a device, from what was measured there, and why no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgewright.core.formatting import ratio
from edgewright.core.names import BASE_VARIANT, SEPARATOR
from edgewright.core.verdict import ReasonCode, Verdict

Document = Mapping[str, Any]
_FATAL = (ReasonCode.PARITY_FAILED, ReasonCode.TOO_FEW_SAMPLES)


@dataclass(frozen=True)
class Recommendation:
    """`variant` is None where none earns it; `refused` says why each other candidate does not."""

    device: str
    variant: str | None
    refused: Mapping[str, str]


def recommend(
    device: str, variants: Sequence[Document], benchmarks: Sequence[Document], evaluations: Sequence[Document]
) -> Recommendation:
    """The fastest variant that this device showed to be faster than the baseline and within its bound.

    Faster: the whole interval of the paired speed-up lies above 1, the answers are the baseline's and there are
    samples enough. A noisy board spoils the latencies, and their verdict, but hits both of a pair: the speed-up
    stands. Within its bound: every goal of its recipe is met (a level's aim, which its bound may stop short of, is
    none), and an evaluation on this device, where there is one, does not put the loss above the asked bound with
    significance. The documents are those of a report.
    """
    goals = {item["variant"]: item.get("goals") or [] for item in variants}
    scores = {item["variant"]: item for item in evaluations if item.get("device") == device}
    best, best_speedup = None, 1.0
    refused: dict[str, str] = {}
    for item in benchmarks:
        label = item["variant"]
        if item.get("device") != device or is_base(label):
            continue
        reason = _refusal(item, goals.get(label, []), scores.get(label))
        if reason:
            refused[label] = reason
        elif item["speedup"]["value"] > best_speedup:
            if best is not None:
                refused[best] = f"{label} is faster"
            best, best_speedup = label, item["speedup"]["value"]
        else:
            refused[label] = f"{best} is faster"
    return Recommendation(device, best, refused)


def is_base(label: str) -> bool:
    """Whether a label names the baseline."""
    return label.endswith(f"{SEPARATOR}{BASE_VARIANT}")


def _refusal(benchmark: Document, goals: Sequence[Document], evaluation: Document | None) -> str:
    """Why a variant is not recommended; empty where nothing speaks against it."""
    speedup = benchmark.get("speedup")
    for reason in benchmark.get("reasons") or []:
        if reason.get("worst") == Verdict.INVALID and reason.get("code") in _FATAL:
            return f"its measurement is invalid: {reason.get('text')}"
    if speedup is None:
        return "its speed was not compared with the baseline's"
    if speedup["low"] <= 1:
        found = f"{ratio(speedup['value'])}, {ratio(speedup['low'])} to {ratio(speedup['high'])}"
        return f"it is slower than the baseline ({found})" if speedup["high"] < 1 else f"not surely faster ({found})"
    missed = [goal for goal in goals if goal.get("met") is False and not goal.get("aim")]
    if missed:
        goal = missed[0]
        name = str(goal.get("goal")).replace("_", " ")
        return f"it missed its goal {name}: asked {goal.get('asked')}, reached {goal.get('reached')}"
    drop = (evaluation or {}).get("drop")
    bound = next((goal.get("asked") for goal in goals if "drop" in str(goal.get("goal"))), None)
    if drop is not None and bound is not None and drop.get("low") is not None and drop["low"] > bound:
        return f"on this device it loses {drop['value']:.2f} points, {bound:g} were allowed"
    return ""
