"""Convolutions and matrix products: they read channels and start new ones."""

from __future__ import annotations

import numpy as np

from edgewright.graph.channels.flow import Flow, Unproven
from edgewright.graph.channels.labels import Vector
from edgewright.graph.channels.plan import GroupEdit, Role
from edgewright.graph.channels.rules import rule


@rule("Conv")
def conv(flow: Flow) -> None:
    """Weight [M, C / group, ...]: rows start new channels, columns read the old ones."""
    groups = int(flow.attribute("group", 1))
    source, columns, made = _open(flow, filters_axis=0)
    if groups == 1:
        if columns is not None:
            flow.slot(1, 1, columns, Role.CONSUMER)
        _start(flow, made, 0, flow.labels.fresh(made))
    elif _by_groups(flow, groups):
        _whole_groups(flow, groups, columns, made)
    else:
        _tied_positions(flow, groups, columns, made)
    _protect_sides(flow, source)


@rule("ConvTranspose")
def conv_transpose(flow: Flow) -> None:
    """Weight [C, M / group, ...]: rows read the old channels, columns start new ones."""
    groups = int(flow.attribute("group", 1))
    source, columns, per_group = _open(flow, filters_axis=1)
    if groups == 1:
        if columns is not None:
            flow.slot(1, 0, columns, Role.CONSUMER)
        _start(flow, per_group, 1, flow.labels.fresh(per_group))
    else:
        made = per_group * groups
        if columns is None:
            flow.put(flow.node.output[0], (None,) * len(flow.shape(flow.node.output[0])))
        else:
            members = one_per_group(flow, columns, groups)
            flow.plan.groups.append(GroupEdit(flow.number, members))
            flow.slot(1, 0, columns, Role.PRODUCER)
            out = np.repeat(members, per_group)
            _bias(flow, out)
            _put_channels(flow, out)
            assert out.size == made
    _protect_sides(flow, source)


@rule("Gemm")
def gemm(flow: Flow) -> None:
    """y = x W + c with either transposed."""
    left, right = flow.node.input[0], flow.node.input[1]
    rows = 1 if flow.attribute("transA", 0) else 0
    inner_left = 1 - rows
    outer = 0 if flow.attribute("transB", 0) else 1
    inner_right = 1 - outer
    if flow.is_static(left) and not flow.is_static(right):
        raise Unproven("a Gemm with a constant on the left")
    contracted = flow.axes(left)[inner_left]
    if flow.is_initializer(right):
        if contracted is not None:
            flow.slot(1, inner_right, contracted, Role.CONSUMER)
        made: Vector | None = flow.labels.fresh(flow.shape(right)[outer])
        assert made is not None
        flow.slot(1, outer, made, Role.PRODUCER)
    elif flow.is_static(right):
        raise Unproven("its weights are computed in the graph")
    else:
        _contract(flow, contracted, flow.axes(right)[inner_right])
        made = flow.axes(right)[outer]
    result = (flow.axes(left)[rows], made)
    if flow.has_input(2):
        _gemm_bias(flow, result)
    flow.put(flow.node.output[0], result)


@rule("MatMul")
def matmul(flow: Flow) -> None:
    """The last two axes multiply, those before broadcast."""
    left, right = flow.node.input[:2]
    if min(len(flow.shape(left)), len(flow.shape(right))) < 2:
        raise Unproven("a product with a vector")
    if flow.is_initializer(right) and not flow.is_static(left):
        _constant_right(flow, left, right)
    elif flow.is_initializer(left) and not flow.is_static(right):
        _constant_left(flow, left, right)
    elif flow.is_static(left) or flow.is_static(right):
        raise Unproven("its weights are computed in the graph")
    else:
        a, b = flow.axes(left), flow.axes(right)
        flow.attention.extend(vector for vector in (*a, *b) if vector is not None)
        _contract(flow, a[-1], b[-2])
        flow.put(flow.node.output[0], (*_batch_axes(flow), a[-2], b[-1]))


@rule("GRU", "LSTM", "RNN")
def recurrent(flow: Flow) -> None:
    """The features that are read may go (columns of W, [directions, gates, features]); the hidden state stays."""
    source = flow.node.input[0]
    for axis, vector in enumerate(flow.axes(source)):
        if axis == 2 and vector is not None and flow.is_initializer(flow.node.input[1]):
            flow.slot(1, 2, vector, Role.CONSUMER)
        else:
            flow.protect(vector, "read step by step")
    for name in flow.node.input[1:]:
        for vector in flow.axes(name) if name else ():
            flow.protect(vector, "a recurrent state")


def _open(flow: Flow, filters_axis: int) -> tuple[str, Vector | None, int]:
    """Input name, its channel labels and the weight's size along `filters_axis`."""
    weight = flow.node.input[1]
    if not flow.is_initializer(weight):
        raise Unproven("its weights are computed in the graph")
    if flow.has_input(2) and not flow.is_initializer(flow.node.input[2]):
        raise Unproven("its bias is computed in the graph")
    source = flow.node.input[0]
    return source, flow.axes(source)[1], flow.shape(weight)[filters_axis]


def _protect_sides(flow: Flow, source: str) -> None:
    for axis, vector in enumerate(flow.axes(source)):
        if axis != 1:
            flow.protect(vector, "channels lie along an image axis")


def _bias(flow: Flow, made: Vector) -> None:
    if flow.has_input(2):
        flow.slot(2, 0, made, Role.PRODUCER)


def _put_channels(flow: Flow, made: Vector) -> None:
    output = flow.node.output[0]
    flow.put(output, (None, made, *(None,) * (len(flow.shape(output)) - 2)))


def _start(flow: Flow, made: int, axis: int, vector: Vector) -> None:
    """New channels along `axis` of the weight."""
    assert vector.size == made
    flow.slot(1, axis, vector, Role.PRODUCER)
    _bias(flow, vector)
    _put_channels(flow, vector)


def _by_groups(flow: Flow, groups: int) -> bool:
    """Whole groups go where that is the finer choice: depthwise, and many narrow groups."""
    width = flow.shape(flow.node.input[1])[1]
    return groups >= width


def one_per_group(flow: Flow, vector: Vector, groups: int) -> Vector:
    """Ties the channels within each group; one label a group."""
    table = vector.reshape(groups, -1)
    for column in range(1, table.shape[1]):
        flow.unite(table[:, 0], table[:, column])
    return table[:, 0].copy()


def _whole_groups(flow: Flow, groups: int, columns: Vector | None, made: int) -> None:
    """Channels in and out of one group go together, and the group with them."""
    if columns is None:
        out = flow.labels.fresh(made)
        flow.protect(out, "one filter per channel of a tensor without channels")
        _start(flow, made, 0, out)
        return
    members = one_per_group(flow, columns, groups)
    out = np.repeat(members, made // groups)
    flow.plan.groups.append(GroupEdit(flow.number, members))
    _start(flow, made, 0, out)


def _tied_positions(flow: Flow, groups: int, columns: Vector | None, made: int) -> None:
    """All groups lose the same positions, in and out; their number stays."""
    if columns is not None:
        table = columns.reshape(groups, -1)
        for row in range(1, groups):
            flow.unite(table[0], table[row])
        flow.slot(1, 1, table[0].copy(), Role.CONSUMER)
    _start(flow, made, 0, np.tile(flow.labels.fresh(made // groups), groups))


def _contract(flow: Flow, first: Vector | None, second: Vector | None) -> None:
    """Two activations multiply along this axis: a channel goes from both or stays in both."""
    if first is not None and second is not None:
        flow.unite(first, second)
    else:
        flow.protect(first, "multiplied with a tensor without channels")
        flow.protect(second, "multiplied with a tensor without channels")


def _gemm_bias(flow: Flow, result: tuple[Vector | None, ...]) -> None:
    bias = flow.node.input[2]
    shape = flow.shape(bias)
    for axis, vector in enumerate(result):
        position = axis - 2 + len(shape)
        if vector is None or position < 0 or shape[position] != vector.size:
            continue
        if flow.is_initializer(bias):
            flow.slot(2, position, vector, Role.PRODUCER)
        else:
            flow.protect(vector, "its bias is computed in the graph")


def _constant_right(flow: Flow, left: str, right: str) -> None:
    """x W: the last axis of x is read, the last of W starts new channels."""
    shape = flow.shape(right)
    if any(size != 1 for size in shape[:-2]):
        raise Unproven("a batch of weight matrices")
    contracted = flow.axes(left)[-1]
    if contracted is not None:
        flow.slot(1, len(shape) - 2, contracted, Role.CONSUMER)
    made = flow.labels.fresh(shape[-1])
    _protect_image_maps(flow, left, contracted, made)
    flow.slot(1, len(shape) - 1, made, Role.PRODUCER)
    flow.put(flow.node.output[0], (*_batch_axes(flow), flow.axes(left)[-2], made))


def _constant_left(flow: Flow, left: str, right: str) -> None:
    """W x: the last but one axis of x is read, the rows of W start new channels."""
    shape = flow.shape(left)
    if any(size != 1 for size in shape[:-2]):
        raise Unproven("a batch of weight matrices")
    contracted = flow.axes(right)[-2]
    if contracted is not None:
        flow.slot(0, len(shape) - 1, contracted, Role.CONSUMER)
    made = flow.labels.fresh(shape[-2])
    _protect_image_maps(flow, right, contracted, made)
    flow.slot(0, len(shape) - 2, made, Role.PRODUCER)
    flow.put(flow.node.output[0], (*_batch_axes(flow), made, flow.axes(right)[-1]))


def _protect_image_maps(flow: Flow, source: str, contracted: Vector | None, made: Vector) -> None:
    """Pooling and resizing written as products: the channels lie elsewhere, so these are rows or columns of images."""
    axes = flow.axes(source)
    if contracted is None and len(axes) == 4 and axes[1] is not None:
        flow.protect(made, "a map of image rows or columns")


def _batch_axes(flow: Flow) -> tuple[Vector | None, ...]:
    """Labels of the axes before the last two, broadcast."""
    output = flow.shape(flow.node.output[0])
    names = flow.node.input[:2]
    result: list[Vector | None] = []
    for axis in range(-len(output), -2):
        size = output[axis]
        here = [(name, flow.axes(name)[axis]) for name in names if len(flow.shape(name)) >= -axis]
        full = [vector for name, vector in here if flow.shape(name)[axis] == size]
        for name, vector in here:
            if flow.shape(name)[axis] != size:
                flow.protect(vector, "one channel is stretched over many")
        labelled = [vector for vector in full if vector is not None]
        for other in labelled[1:]:
            flow.unite(labelled[0], other)
        if labelled and len(labelled) < len(full):
            flow.protect(labelled[0], "multiplied with a tensor without channels")
        result.append(labelled[0] if labelled else None)
    return tuple(result)
