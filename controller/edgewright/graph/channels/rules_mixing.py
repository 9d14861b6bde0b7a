"""Operators that mix positions of an axis: what they mix must stay."""

from __future__ import annotations

from collections.abc import Iterable

from edgewright.graph.channels.flow import Flow, Unproven
from edgewright.graph.channels.labels import Axes
from edgewright.graph.channels.plan import GroupEdit, Role
from edgewright.graph.channels.rules import rule
from edgewright.graph.channels.rules_products import one_per_group


@rule("BatchNormalization")
def batch_normalization(flow: Flow) -> None:
    """Each channel has its own statistics, scale and bias."""
    _per_channel(flow, 4)


@rule("InstanceNormalization")
def instance_normalization(flow: Flow) -> None:
    """Statistics over the image of each channel alone; other labelled axes are mixed."""
    axes = flow.axes(flow.node.input[0])
    for axis in range(2, len(axes)):
        flow.protect(axes[axis], "its statistics are taken over these channels")
    _per_channel(flow, 2)


def _per_channel(flow: Flow, parameters: int) -> None:
    source, output = flow.node.input[0], flow.node.output[0]
    axes = flow.axes(source)
    vector = axes[1]
    if vector is not None:
        for index in range(1, 1 + parameters):
            if flow.is_initializer(flow.node.input[index]):
                flow.slot(index, 0, vector, Role.PRODUCER if index <= 2 else Role.FOLLOWER)
            else:
                flow.protect(vector, "its parameters are computed in the graph")
    flow.put(output, (axes[0], vector, *axes[2:]))


@rule("GroupNormalization")
def group_normalization(flow: Flow) -> None:
    """Statistics over the channels of each group: whole groups go, and the number of groups with them."""
    axes = flow.axes(flow.node.input[0])
    for axis in range(2, len(axes)):
        flow.protect(axes[axis], "its statistics are taken over these channels")
    vector, groups = axes[1], int(flow.attribute("num_groups"))
    if vector is not None:
        if not all(flow.is_initializer(name) for name in flow.node.input[1:3]):
            raise Unproven("its parameters are computed in the graph")
        members = one_per_group(flow, vector, groups)
        flow.plan.groups.append(GroupEdit(flow.number, members, "num_groups"))
        for index in (1, 2):  # one a group before operator set 21, one a channel since
            whole = flow.shape(flow.node.input[index])[0] == groups
            flow.slot(index, 0, members if whole else vector, Role.PRODUCER)
    flow.put(flow.node.output[0], axes)


@rule("LayerNormalization", "RMSNormalization")
def layer_normalization(flow: Flow) -> None:
    """Mean and variance are taken over the last axes: these channels cannot go without changing the others."""
    rank = len(flow.axes(flow.node.input[0]))
    first = int(flow.attribute("axis", -1)) % rank
    last = flow.axes(flow.node.input[0])[-1]
    if last is not None:
        for index in (1, 2):
            if flow.has_input(index) and flow.is_initializer(flow.node.input[index]):
                flow.slot(index, len(flow.shape(flow.node.input[index])) - 1, last, Role.FOLLOWER)
    flow.put(flow.node.output[0], _mixed(flow, range(first, rank), "normalised over these channels"))


@rule("Softmax", "LogSoftmax", "Hardmax")
def softmax(flow: Flow) -> None:
    """A channel's value depends on all others along the axis."""
    rank = len(flow.axes(flow.node.input[0]))
    legacy = flow.opset < 13
    first = int(flow.attribute("axis", 1 if legacy else -1)) % rank
    mixed = range(first, rank) if legacy else [first]
    flow.put(flow.node.output[0], _mixed(flow, mixed, "each channel's value depends on the others"))


@rule("LpNormalization", "CumSum")
def along_axis(flow: Flow) -> None:
    """One axis is mixed, the shape stays."""
    rank = len(flow.axes(flow.node.input[0]))
    given = flow.attribute("axis", -1)
    if flow.node.op_type == "CumSum":
        [given] = flow.listed("axis", 1) or [0]
    flow.put(flow.node.output[0], _mixed(flow, [int(given) % rank], "each channel's value depends on the others"))


@rule("LRN")
def local_response(flow: Flow) -> None:
    """Neighbouring channels divide one another."""
    flow.put(flow.node.output[0], _mixed(flow, [1], "normalised by neighbouring channels"))


_REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]


@rule(*(f"Reduce{name}" for name in _REDUCTIONS), "ArgMax", "ArgMin")
def reduce(flow: Flow) -> None:
    """What is reduced over must stay; the rest passes."""
    source, output = flow.node.input[0], flow.node.output[0]
    rank = len(flow.shape(source))
    if flow.node.op_type in ("ArgMax", "ArgMin"):
        listed: list[int] | None = [int(flow.attribute("axis", 0))]
    else:
        listed = flow.listed("axes", 1)
    if not listed:
        if flow.attribute("noop_with_empty_axes", 0):
            flow.put(output, flow.axes(source))
            return
        listed = list(range(rank))
    reduced = {axis % rank for axis in listed}
    axes = _mixed(flow, reduced, "reduced over these channels")
    if flow.attribute("keepdims", 1):
        flow.put(output, [None if axis in reduced else vector for axis, vector in enumerate(axes)])
    else:
        flow.put(output, [vector for axis, vector in enumerate(axes) if axis not in reduced])


@rule("AveragePool", "MaxPool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def pool(flow: Flow) -> None:
    """Image axes are pooled, channels pass."""
    rank = len(flow.shape(flow.node.input[0]))
    axes = (*_mixed(flow, range(2, rank), "channels lie along a pooled axis")[:2], *(None,) * (rank - 2))
    for name in flow.node.output:
        if name:
            flow.put(name, axes)


def _mixed(flow: Flow, mixed: Iterable[int], reason: str) -> Axes:
    """Protects these axes of the first input; its labels, the protected ones too, so that they tell why."""
    axes = flow.axes(flow.node.input[0])
    for axis in mixed:
        flow.protect(axes[axis], reason)
    return axes
