"""How much each channel of a group matters, judged by its weights alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.graph.channels.groups import ChannelGroup, Member
from edgewright.graph.session import Array

# From the rows of one producer, float [channels, weights per channel], to a score per channel, float64 [channels].
RowScore = Callable[[Array], Array]

# Distances between the rows of larger matrices (VGG's first dense layer) are computed in the weights' own precision.
_EXACT_ELEMENTS = 10_000_000
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum")


def l1(rows: Array) -> Array:
    """Sum of magnitudes (Li et al. 2017, Pruning Filters for Efficient ConvNets)."""
    score: Array = np.abs(rows).sum(axis=1, dtype=np.float64)
    return score


def l2(rows: Array) -> Array:
    """Euclidean norm."""
    score: Array = np.sqrt(np.square(rows).sum(axis=1, dtype=np.float64))
    return score


def fpgm(rows: Array) -> Array:
    """Sum of distances to all other filters: what lies near the geometric median can be replaced by the others
    (He et al. 2019, Filter Pruning via Geometric Median, eq. 4).
    """
    if rows.size <= _EXACT_ELEMENTS:
        rows = rows.astype(np.float64)
    squares = np.square(rows).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * rows @ rows.T, 0))
    np.fill_diagonal(distances, 0)
    score: Array = distances.sum(axis=1, dtype=np.float64)
    return score


WEIGHT_SCORES: dict[str, RowScore] = {"l1": l1, "l2": l2, "fpgm": fpgm}


def weight_importance(model: onnx.ModelProto, group: ChannelGroup, score: RowScore) -> Array:
    """A score per channel, float64 [group.size], higher for what matters more.

    Each producer's scores are divided by their mean before they are added, so that no layer outvotes another.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    total = np.zeros(group.size)
    products = [member for member in group.producers if member.operator in _PRODUCTS and _is_weight(member)]
    for member in products or group.producers:
        rows = _rows(numpy_helper.to_array(tensors[member.tensor]), member)
        values = score(rows)
        mean = float(values.mean())
        total += values / mean if mean > 0 else values
    return total


def _is_weight(member: Member) -> bool:
    return member.input < 2


def _rows(tensor: Array, member: Member) -> Array:
    """The weights of each channel, float [channels, positions x weights per position]."""
    first = np.moveaxis(tensor, member.axis, 0)
    first = first.reshape(first.shape[0], -1)
    rows: Array = first[np.array(member.positions)].reshape(len(member.positions), -1)
    return rows
