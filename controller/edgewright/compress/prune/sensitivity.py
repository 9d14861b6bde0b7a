"""Sensitivity: what each channel group costs when it alone is pruned, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgewright.compress.judge import Bench, Judgement
from edgewright.compress.prune.scores import least_important, predicted_losses
from edgewright.compress.prune.surgery import prune
from edgewright.core.values import ProgressCallback, ProgressEvent, no_progress
from edgewright.graph.channels.analysis import ChannelAnalysis
from edgewright.graph.session import Array

RATIOS = (0.25, 0.5, 0.75)
# Samples that each pruned network is run on.
_SAMPLES = 64
# A measured loss below this is rounding.
_LEAST = 1e-9


@dataclass(frozen=True)
class Curve:
    """`losses[i]` is the loss with `removed[i]` of the group's `size` channels gone: mean KL divergence in nats, or
    noise power over signal power where the network is no classifier.
    """

    group: str
    size: int
    removed: tuple[int, ...]
    losses: tuple[float, ...]


def loss_of(judgement: Judgement) -> float:
    """Smooth badness, 0 for the baseline itself."""
    if judgement.fidelity.divergence is not None:
        return max(judgement.fidelity.divergence, 0.0)
    return float(10.0 ** (-judgement.fidelity.sqnr_db / 10.0))


def measure_sensitivity(
    model: Path,
    analysis: ChannelAnalysis,
    scores: Mapping[str, Array],
    bench: Bench,
    folder: Path,
    ratios: Sequence[float] = RATIOS,
    deadline: float = float("inf"),
    input_size: tuple[int, int] | None = None,
    progress: ProgressCallback = no_progress,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Curve, ...]:
    """Cuts each group alone at several ratios, least important channels first, and measures the loss against the
    baseline of `bench` in onnxruntime. Groups are taken from the dearest on; those not reached before `deadline` have
    no curve.
    """
    curves: list[Curve] = []
    groups = sorted(analysis.groups, key=lambda group: -group.macs * group.size)
    path = folder / "one_group.onnx"
    for number, group in enumerate(groups):
        progress(ProgressEvent("measuring sensitivity", number, len(groups)))
        counts = sorted({count for ratio in ratios if 0 < (count := round(ratio * group.size)) < group.size})
        losses: list[float] = []
        for count in counts:
            if clock() > deadline:
                break
            removal = {group.id: least_important(scores[group.id], count)}
            prune(model, removal, path, analysis, input_size)
            losses.append(loss_of(bench.judge_file(path, limit=_SAMPLES)))
        if losses:
            curves.append(Curve(group.id, group.size, tuple(counts[: len(losses)]), tuple(losses)))
    path.unlink(missing_ok=True)
    progress(ProgressEvent("measuring sensitivity", len(groups), len(groups)))
    return tuple(curves)


def corrections(curves: Sequence[Curve], scores: Mapping[str, Array]) -> dict[str, float]:
    """By what the predicted losses of each group must be multiplied to agree with its curve (geometric mean over the
    curve); groups without a curve get the median. Empty without curves.
    """
    factors: dict[str, float] = {}
    for curve in curves:
        predicted = predicted_losses(scores[curve.group])
        ratios = [
            np.log(max(loss, _LEAST) / max(float(predicted[count]), _LEAST))
            for count, loss in zip(curve.removed, curve.losses, strict=True)
            if count < len(predicted)
        ]
        if ratios:
            factors[curve.group] = float(np.exp(np.mean(ratios)))
    if not factors:
        return {}
    usual = float(np.median(list(factors.values())))
    return {name: factors.get(name, usual) for name in scores}
