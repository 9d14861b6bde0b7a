"""A score per channel of every group, by any importance, and what removing the least of them is predicted to cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from edgewright.compress.prune.importance import WEIGHT_SCORES, weight_importance
from edgewright.compress.prune.surgeon import surgeon_scores
from edgewright.graph.channels.analysis import ChannelAnalysis
from edgewright.graph.channels.groups import ChannelGroup, Member
from edgewright.graph.model_file import load_model
from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode

GRADIENT_SCORES = ("fisher", "taylor", "surgeon")
IMPORTANCES = (*GRADIENT_SCORES, *WEIGHT_SCORES)


@dataclass(frozen=True)
class ChannelScores:
    """`values` by group id, float64 [size], higher for what matters more; `used` is the importance they are by, and
    `note` says why it is another than asked.
    """

    values: Mapping[str, Array]
    used: str
    note: str = ""


def channel_scores(
    model: Path,
    analysis: ChannelAnalysis,
    importance: str,
    fresh_pass: Callable[[], Iterator[Array]],
    classification: bool,
    max_batches: int = 16,
    seed: int = 0,
    threads: int = 0,
) -> ChannelScores:
    """Scores of all channels of `model`, whose `analysis` it is; `fresh_pass` gives float32 batches [n, ...], of which
    at most `max_batches` are used.

    Fisher: the gate gradients of all weights that make a channel are added sample by sample, half their mean square is
    the score (Liu et al. 2021, Group Fisher Pruning, eq. 6): nats lost, to second order. Taylor: the mean magnitude.
    Surgeon: Fisher for what least-squares repair leaves (see surgeon.py).
    Where the network cannot run in torch, L2 norms are used instead, which `note` says.

    Raises OPTION_INVALID for an unknown importance, MODEL_NOT_FINITE, DATASET_EMPTY.
    """
    if importance in WEIGHT_SCORES:
        return ChannelScores(_by_weights(model, analysis, importance), importance)
    if importance not in GRADIENT_SCORES:
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID,
            f"unknown importance {importance!r}; known are {', '.join(IMPORTANCES)}",
            "fisher is the default",
        )
    from edgewright.compress.executor.module import build_executor
    from edgewright.compress.train.fisher import gate_gradients

    try:
        executor = build_executor(model)
    except EdgewrightError as error:
        if error.code is not ErrorCode.MODEL_UNSUPPORTED:
            raise
        note = f"importance by weight norms (l2): gradients are not to be had, {error.message}"
        return ChannelScores(_by_weights(model, analysis, "l2"), "l2", note)
    gradients = gate_gradients(executor, fresh_pass(), classification, max_batches, seed)
    score: Callable[[Array], Array]
    if importance != "taylor":
        score = lambda s: 0.5 * np.square(s).mean(axis=0)  # noqa: E731
    else:
        score = lambda s: np.abs(s).mean(axis=0)  # noqa: E731
    values = {group.id: score(_joint(group, gradients)) for group in analysis.groups}
    if importance == "surgeon":
        del executor, gradients
        found = surgeon_scores(model, analysis, values, lambda: islice(fresh_pass(), max_batches), seed, threads)
        if found is None:
            return ChannelScores(values, "fisher", "importance by Fisher alone: too few images for what repair can do")
        values = found
    return ChannelScores(values, importance)


def _joint(group: ChannelGroup, gradients: Mapping[str, Array]) -> Array:
    """The gradient of one gate per channel over all weights that make it, [samples, size]."""
    samples = len(next(iter(gradients.values())))
    total = np.zeros((samples, group.size))
    for member in group.producers:
        found = gradients.get(member.tensor)
        if found is not None and _along_outputs(member):
            total += found[:, np.array(member.positions)].sum(axis=2)
    return total


def _along_outputs(member: Member) -> bool:
    """Whether the member is a weight along the axis whose gates were measured; biases are in them already."""
    return member.input == 1 or (member.operator == "MatMul" and member.input == 0)


def _by_weights(model: Path, analysis: ChannelAnalysis, name: str) -> dict[str, Array]:
    loaded = load_model(model)
    return {group.id: weight_importance(loaded, group, WEIGHT_SCORES[name]) for group in analysis.groups}


def predicted_losses(scores: Array) -> Array:
    """losses[k]: the sum of the k smallest scores, float64 [size + 1]."""
    summed: Array = np.concatenate([[0.0], np.cumsum(np.sort(np.maximum(scores, 0.0)))])
    return summed


def least_important(scores: Array, count: int) -> list[int]:
    """Numbers of the `count` channels with the smallest scores."""
    return sorted(np.argsort(scores, kind="stable")[:count].tolist())
