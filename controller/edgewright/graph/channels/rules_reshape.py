"""Operators that reshape: axes are cut, merged, added and dropped."""

from __future__ import annotations

import numpy as np

from edgewright.graph.channels.blocks import Block, Table, along, blocks, spread, varying_axes
from edgewright.graph.channels.flow import Flow, Unproven
from edgewright.graph.channels.labels import Vector
from edgewright.graph.channels.rules import rule


@rule("Reshape")
def reshape(flow: Flow) -> None:
    """Labels follow their elements; the target shape is corrected."""
    target = flow.value(1)
    if target is None:
        raise Unproven("its target shape depends on the data")
    before, axes = flow.shape(flow.node.input[0]), flow.axes(flow.node.input[0])
    result = regroup(flow)
    copies_zero = not flow.attribute("allowzero", 0)
    for axis, wanted in enumerate(target.ravel().tolist()):
        if wanted == -1:
            flow.handled(1)
        elif wanted == 0 and copies_zero:
            flow.handled(1)
            _copied(flow, axes[axis] if axis < len(before) else None, result[axis])
        else:
            flow.sized(1, axis, result[axis])
    flow.put(flow.node.output[0], result)


@rule("Flatten", "Squeeze", "Unsqueeze")
def reaxis(flow: Flow) -> None:
    """A reshape that finds its target by itself."""
    if flow.has_input(1):
        if flow.value(1) is None:
            raise Unproven("its axes depend on the data")
        flow.handled(1)
    flow.put(flow.node.output[0], regroup(flow))


def regroup(flow: Flow) -> list[Vector | None]:
    """Labels of the output of any operator that keeps the elements in order."""
    source, output = flow.node.input[0], flow.node.output[0]
    before, after, axes = flow.shape(source), flow.shape(output), flow.axes(source)
    result: list[Vector | None] = [None] * len(after)
    for block in blocks(before, after):
        labelled = [k for k in block.inputs if axes[k] is not None]
        if len(labelled) > 1:
            for k in labelled:
                flow.protect(axes[k], "two labelled axes are merged")
            continue
        table = spread(block, axes, before, after) if block.outputs else None
        if table is None:
            for k in labelled:
                flow.protect(axes[k], "the only channel of a tensor")
            continue
        varying = varying_axes(table)
        if not varying:  # one label for the whole block
            flow.protect(table.ravel()[:1], "all channels of a tensor are tied together")
            continue
        chosen = varying[0]
        if len(varying) > 1:
            chosen = _choose(flow, block, varying)
            _tie(flow, table, chosen)
            flow.cuts[flow.number] = along(table, chosen)
        result[block.outputs[chosen]] = along(table, chosen)
    return result


def _choose(flow: Flow, block: Block, varying: list[int]) -> int:
    """Which of the new axes keeps labels of its own: the last, or as the choices say."""
    wanted = len(block.outputs) + flow.choices.get(flow.number, -1)
    return wanted if wanted in varying else varying[-1]


def _tie(flow: Flow, table: Table, chosen: int) -> None:
    """Positions that are equal along `chosen` go together."""
    rows = np.moveaxis(table, chosen, 0)
    rows = rows.reshape(rows.shape[0], -1)
    for column in range(1, rows.shape[1]):
        flow.unite(rows[:, 0], rows[:, column])


def _copied(flow: Flow, source: Vector | None, result: Vector | None) -> None:
    """A 0 in a target shape copies the size of the same axis: both must lose as many."""
    if source is None and result is None:
        return
    if source is None or result is None or source.size != result.size:
        flow.protect(source, "its size is copied to another axis")
        flow.protect(result, "its size is copied from another axis")
    else:
        flow.unite(source, result)


@rule("DepthToSpace")
def depth_to_space(flow: Flow) -> None:
    """Channels split into (block, block, C) or (C, block, block); positions of one output channel go together."""
    source, output = flow.node.input[0], flow.node.output[0]
    vector = flow.axes(source)[1]
    side = int(flow.attribute("blocksize"))
    made: Vector | None = None
    if vector is not None:
        depth_first = flow.attribute("mode", b"DCR") in (b"DCR", "DCR")
        table = vector.reshape(side * side, -1) if depth_first else vector.reshape(-1, side * side).T
        for row in range(1, table.shape[0]):
            flow.unite(table[0], table[row])
        made = table[0].copy()
    for axis in (0, 2, 3):
        flow.protect(flow.axes(source)[axis], "channels lie along an image axis")
    flow.put(output, (None, made, None, None))


@rule("SpaceToDepth")
def space_to_depth(flow: Flow) -> None:
    """Channels repeat for every position of a block."""
    source, output = flow.node.input[0], flow.node.output[0]
    vector = flow.axes(source)[1]
    side = int(flow.attribute("blocksize"))
    for axis in (0, 2, 3):
        flow.protect(flow.axes(source)[axis], "channels lie along an image axis")
    flow.put(output, (None, None if vector is None else np.tile(vector, side * side), None, None))
