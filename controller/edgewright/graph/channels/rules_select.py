"""Operators that move, join and cut out parts of tensors."""

from __future__ import annotations

import numpy as np

from edgewright.graph.channels.flow import Flow, Unproven
from edgewright.graph.channels.labels import Vector
from edgewright.graph.channels.origins import Written
from edgewright.graph.channels.plan import IndexEdit, Role, SplitEdit
from edgewright.graph.channels.rules import rule


@rule("Transpose")
def transpose(flow: Flow) -> None:
    """Labels follow their axes."""
    axes = flow.axes(flow.node.input[0])
    order = flow.attribute("perm", list(range(len(axes)))[::-1])
    flow.put(flow.node.output[0], [axes[k] for k in order])


@rule("Concat")
def concat(flow: Flow) -> None:
    """Labels are joined along one axis and united along the others; constants beside labelled tensors are cut too."""
    output = flow.node.output[0]
    rank = len(flow.shape(output))
    joined = int(flow.attribute("axis")) % rank
    result: list[Vector | None] = []
    for axis in range(rank):
        vectors = [flow.axes(name)[axis] for name in flow.node.input]
        if axis == joined:
            parts = [
                vector if vector is not None else np.zeros(flow.shape(name)[axis], dtype=np.int64)
                for name, vector in zip(flow.node.input, vectors, strict=True)
            ]
            result.append(np.concatenate(parts))
            continue
        labelled = [vector for vector in vectors if vector is not None]
        if not labelled:
            result.append(None)
            continue
        for other in labelled[1:]:
            flow.unite(labelled[0], other)
        for index, (name, vector) in enumerate(zip(flow.node.input, vectors, strict=True)):
            if vector is None and flow.is_initializer(name):
                flow.slot(index, axis, labelled[0], Role.PRODUCER)
            elif vector is None:
                flow.protect(labelled[0], "joined with a tensor without channels")
        result.append(labelled[0])
    flow.put(output, result)


@rule("Split")
def split(flow: Flow) -> None:
    """Each part has the labels of its positions; the sizes are corrected."""
    source = flow.node.input[0]
    axes = flow.axes(source)
    axis = int(flow.attribute("axis", 0)) % len(axes)
    vector = axes[axis]
    bounds = np.cumsum([0, *(flow.shape(name)[axis] for name in flow.node.output)])
    parts = [None if vector is None else vector[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    if flow.has_input(1):
        if flow.value(1) is None:
            raise Unproven("its sizes depend on the data")
        for index, part in enumerate(parts):
            flow.sized(1, index, part)
    elif vector is not None:
        flow.plan.splits.append(SplitEdit(flow.number, tuple(part for part in parts if part is not None)))
    for name, part in zip(flow.node.output, parts, strict=True):
        flow.put(name, [part if k == axis else other for k, other in enumerate(axes)])


@rule("Slice")
def cut(flow: Flow) -> None:
    """Bounds on a labelled axis are corrected; only steps of 1 are proven there."""
    source, output = flow.node.input[0], flow.node.output[0]
    shape, axes = flow.shape(source), flow.axes(source)
    if flow.attribute("starts") is not None:
        raise Unproven("a Slice of an old operator set")
    starts, ends = flow.value(1), flow.value(2)
    if starts is None or ends is None:
        raise Unproven("its bounds depend on the data")
    listed = flow.listed("axes", 3)
    steps = flow.listed("steps", 4) or [1] * starts.size
    result = list(axes)
    for index, axis in enumerate(listed if listed is not None else range(starts.size)):
        axis %= len(shape)
        size, vector = shape[axis], axes[axis]
        start, end, step = int(starts.ravel()[index]), int(ends.ravel()[index]), steps[index]
        whole = steps[index] == 1 and (start == 0 or start <= -size) and end >= size
        if whole:
            _untouched(flow, index, vector)
            continue
        if vector is None or step != 1:
            flow.protect(vector, "cut with a step")
            result[axis] = None
            flow.sized(1, index, None)
            flow.sized(2, index, None)
            continue
        _bound(flow, 1, index, start, size, vector)
        _bound(flow, 2, index, end, size, vector)
        result[axis] = vector[start:end]
    flow.put(output, result)


def _untouched(flow: Flow, index: int, vector: Vector | None) -> None:
    """A cut that takes all: written bounds may stay (too far an end is allowed), measured ones must follow."""
    for place, before in ((1, None if vector is None else vector[:0]), (2, vector)):
        if isinstance(flow.origin(place, index), Written):
            flow.handled(place)
        else:
            flow.sized(place, index, before)


def _bound(flow: Flow, place: int, index: int, bound: int, size: int, vector: Vector) -> None:
    """Input `place` of a Slice: the bound counts the channels before it, a negative one those after."""
    if (bound >= size or bound <= -size or bound == 0) and isinstance(flow.origin(place, index), Written):
        flow.handled(place)
    elif bound >= 0:
        flow.sized(place, index, vector[:bound])
    else:
        flow.sized(place, index, vector[bound:], sign=-1)


@rule("Gather")
def gather(flow: Flow) -> None:
    """Constant indices: the labels are taken as the values are, and the indices corrected."""
    source, indices = flow.node.input[:2]
    axes, shape = flow.axes(source), flow.shape(source)
    axis = int(flow.attribute("axis", 0)) % len(shape)
    vector = axes[axis]
    rank = len(flow.shape(indices))
    taken: list[Vector | None] = [None] * rank
    if flow.is_static(source):
        raise Unproven("a table looked up by the data")
    if vector is not None:
        wanted = flow.value(1)
        if wanted is None or not flow.is_initializer(indices):
            raise Unproven("its indices are computed")
        flow.handled(1)
        flow.plan.indices.append(IndexEdit(flow.number, 1, vector))
        if rank == 1:
            taken = [vector[wanted]]
        else:
            flow.protect(vector[wanted].ravel(), "single channels are picked out")
    flow.put(flow.node.output[0], [*axes[:axis], *taken, *axes[axis + 1 :]])


@rule("Expand")
def expand(flow: Flow) -> None:
    """Axes of size 1 are stretched; the others pass and their sizes are corrected."""
    source, output = flow.node.input[0], flow.node.output[0]
    target = flow.value(1)
    if target is None:
        raise Unproven("its target shape depends on the data")
    shape, before, axes = flow.shape(output), flow.shape(source), flow.axes(source)
    result: list[Vector | None] = [None] * len(shape)
    for axis in range(-len(before), 0):
        if before[axis] == shape[axis]:
            result[axis] = axes[axis]
        else:
            flow.protect(axes[axis], "one channel is stretched over many")
    for index, wanted in enumerate(target.ravel().tolist()):
        axis = index - target.size
        if wanted != 1:
            flow.sized(1, index, result[axis] if -axis <= len(shape) else None)
    flow.handled(1)
    flow.put(output, result)


@rule("Tile")
def tile(flow: Flow) -> None:
    """Labels repeat as the values do."""
    repeats = flow.value(1)
    if repeats is None:
        raise Unproven("its repeats depend on the data")
    axes = flow.axes(flow.node.input[0])
    flow.put(
        flow.node.output[0],
        [
            None if vector is None else np.tile(vector, int(count))
            for vector, count in zip(axes, repeats.ravel(), strict=True)
        ],
    )


@rule("Pad")
def pad(flow: Flow) -> None:
    """Padding adds positions that stay."""
    axes = flow.axes(flow.node.input[0])
    pads = flow.listed("pads", 1)
    if pads is None:
        raise Unproven("its pads are missing")
    named = flow.listed("axes", 3)
    order = [axis % len(axes) for axis in named] if named is not None else list(range(len(axes)))
    result = list(axes)
    constant = flow.attribute("mode", b"constant") in (b"constant", "constant")
    for index, axis in enumerate(order):
        vector, low, high = axes[axis], pads[index], pads[index + len(order)]
        if vector is None or (low == 0 and high == 0):
            continue
        if not constant or low < 0 or high < 0:
            flow.protect(vector, "its channels are padded with one another")
            result[axis] = None
        else:
            ends = (np.zeros(low, dtype=np.int64), vector, np.zeros(high, dtype=np.int64))
            result[axis] = np.concatenate(ends)
    flow.put(flow.node.output[0], result)


@rule("Resize", "Upsample")
def resize(flow: Flow) -> None:
    """Image axes are resized; a size given for a channel axis is corrected."""
    source, output = flow.node.input[0], flow.node.output[0]
    axes, before, after = flow.axes(source), flow.shape(source), flow.shape(output)
    named = flow.attribute("axes")
    order = [int(axis) % len(axes) for axis in named] if named is not None else list(range(len(axes)))
    if flow.has_input(3):
        if flow.value(3) is None:
            raise Unproven("its sizes depend on the data")
        for index, axis in enumerate(order):
            flow.sized(3, index, axes[axis])
    result = list(axes)
    for axis, vector in enumerate(axes):
        if vector is not None and before[axis] != after[axis]:
            flow.protect(vector, "channels lie along a resized axis")
            result[axis] = None
    flow.put(output, result)
