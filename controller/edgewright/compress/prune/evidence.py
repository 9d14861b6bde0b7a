"""What a comparison of outputs alone cannot see: equality inside the network, and whether each group spoke."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from edgewright.compress.prune.removal import Gone
from edgewright.compress.prune.weights import ConstantReads
from edgewright.graph.channels.analysis import ChannelAnalysis
from edgewright.graph.channels.groups import ChannelGroup, Member
from edgewright.graph.channels.plan import Role
from edgewright.graph.compare import relative_difference
from edgewright.graph.session import Array

_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum")
# A removed channel is heard when its largest value times its largest reading weight is at least this part of the
# whole tensor's.
_AUDIBLE = 1e-3


def inner_names(model: onnx.ModelProto, analysis: ChannelAnalysis) -> list[str]:
    """Labelled tensors that products and other readers of channels make or read: where a wrong cut shows first."""
    readers = {slot.node for slot in analysis.plan.slots if slot.role is Role.CONSUMER}
    outputs = {value.name for value in model.graph.output}
    found: dict[str, None] = {}
    for number, node in enumerate(model.graph.node):
        if node.op_type in _PRODUCTS or number in readers:
            found.update(dict.fromkeys([*node.input, *node.output]))
    return [name for name in found if name in analysis.plan.axes and name not in outputs]


def inner_distance(
    silenced: Mapping[str, Array], cut: Mapping[str, Array], analysis: ChannelAnalysis, gone: Gone
) -> float:
    """Largest relative difference of any inner tensor at the channels that stay."""
    worst = 0.0
    for name, expected in silenced.items():
        for axis, vector in enumerate(analysis.plan.axes[name]):
            if vector is not None and gone.touches(vector):
                expected = np.compress(gone.kept(vector), expected, axis=axis)
        worst = max(worst, relative_difference(expected, cut[name]))
    return worst


def quiet_groups(
    model: onnx.ModelProto, inner: Mapping[str, Array], analysis: ChannelAnalysis, gone: Gone
) -> list[str]:
    """Ids of the touched groups of which no removed channel is heard by any weight that reads it; `inner` is of the
    untouched `model`.
    """
    reads = ConstantReads(model)
    return [
        group.id
        for group in analysis.groups
        if group.consumers
        and (gone.labels & set(group.labels))
        and not any(_heard(member, group, model, reads, inner, analysis, gone) for member in group.consumers)
    ]


def _heard(
    member: Member,
    group: ChannelGroup,
    model: onnx.ModelProto,
    reads: ConstantReads,
    inner: Mapping[str, Array],
    analysis: ChannelAnalysis,
    gone: Gone,
) -> bool:
    channels = [channel for channel, label in enumerate(group.labels) if label in gone.labels]
    labels = [group.labels[channel] for channel in channels]
    weight = np.moveaxis(reads.value((member.number, member.input)), member.axis, 0)
    places = [place for channel in channels for place in member.positions[channel]]
    heard = _part(weight[places], weight)
    for name in model.graph.node[member.number].input:
        value = inner.get(name)
        if value is None:
            continue
        for axis, vector in enumerate(analysis.plan.axes[name]):
            if vector is not None:
                taken = np.isin(analysis.roots[vector], labels)
                if taken.any() and heard * _part(np.compress(taken, value, axis=axis), value) >= _AUDIBLE:
                    return True
    return False


def _part(some: Array, whole: Array) -> float:
    """Largest magnitude of a part, relative to that of the whole."""
    largest = float(np.abs(whole).max(initial=0))
    return float(np.abs(some).max(initial=0)) / largest if largest > 0 else 0.0
