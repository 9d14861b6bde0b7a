"""Mixed precision: the layers whose quantisation hurts most return to float until the bound holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgewright.compress.candidate import Candidate, Choice, Workshop
from edgewright.compress.goal import Goal
from edgewright.compress.judge import Bench
from edgewright.compress.placement import Layer
from edgewright.core.values import ProgressCallback, ProgressEvent

# Samples on which a single layer's harm is measured.
_RANKING_SAMPLES = 64
# Beyond this share of the arithmetic in float, INT8 has no point.
_MAX_FLOAT_SHARE = 0.5


@dataclass(frozen=True)
class Harm:
    """How much better the network gets (`gain`, in the goal's loss) when this layer alone returns to
    float.
    """

    layer: Layer
    gain: float


def rank_layers(
    best: Candidate,
    workshop: Workshop,
    bench: Bench,
    goal: Goal,
    folder: Path,
    progress: ProgressCallback,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Harm]:
    """Leave-one-out: each layer alone back to float, the outputs' loss measured; most harmful first.

    Layers are tried cheapest in arithmetic first, and those not reached before `deadline` are left out.
    """
    start = goal.loss(bench.judge_file(best.path, limit=_RANKING_SAMPLES))
    harms: list[Harm] = []
    layers = sorted(best.placement.layers, key=lambda layer: layer.macs)
    for number, layer in enumerate(layers):
        if clock() > deadline:
            break
        progress(ProgressEvent("measuring each layer's harm", number, len(layers)))
        path = folder / "one_float.onnx"
        workshop.make(with_float(best.choice, [Harm(layer, 0.0)]), path)
        harms.append(Harm(layer, start - goal.loss(bench.judge_file(path, limit=_RANKING_SAMPLES))))
    return sorted(harms, key=lambda harm: -harm.gain)


def grow_float(
    best: Candidate,
    harms: list[Harm],
    workshop: Workshop,
    bench: Bench,
    goal: Goal,
    folder: Path,
    progress: ProgressCallback,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Candidate, str]:
    """Returns more and more of the most harmful layers to float. The best found, and why it stopped."""
    start = best
    fitting, left_out = _within_share(harms, max(best.placement.macs, 1))
    count, step = 0, 1
    while count < len(fitting):
        count = min(count + step, len(fitting))
        step = 1 if count < 4 else 2 if count < 10 else 4
        chosen = fitting[:count]
        if clock() > deadline:
            return best, "the time budget ended"
        choice = with_float(start.choice, chosen)
        path = folder / f"float_{count}.onnx"
        progress(ProgressEvent(f"{count} layers in float", count, len(fitting)))
        placement = workshop.make(choice, path)
        judgement = bench.judge_file(path, progress, f"judging with {count} layers in float")
        candidate = Candidate(choice, placement, path, judgement)
        if goal.met(judgement):
            return candidate, f"{count} more layers in float"
        if (goal.drop_points(judgement) or 0.0, goal.loss(judgement)) < (
            goal.drop_points(best.judgement) or 0.0,
            goal.loss(best.judgement),
        ):
            best = candidate
    if left_out:
        return best, "more than half of the arithmetic would have to stay float"
    return best, "every layer was tried"


def _within_share(harms: list[Harm], total: int) -> tuple[list[Harm], int]:
    """The harmful layers, in order, that together keep to the allowed share of arithmetic; how many do not fit."""
    fitting: list[Harm] = []
    spent = 0
    for harm in harms:
        if spent + harm.layer.macs <= _MAX_FLOAT_SHARE * total:
            fitting.append(harm)
            spent += harm.layer.macs
    return fitting, len(harms) - len(fitting)


def with_float(choice: Choice, harms: list[Harm]) -> Choice:
    """`choice` with these layers kept float as well."""
    added = tuple((harm.layer.name, "its quantisation costs too much accuracy") for harm in harms)
    kept = dict(choice.keep_float)
    kept.update(added)
    return Choice(choice.method, choice.bias_corrected, tuple(kept.items()))
