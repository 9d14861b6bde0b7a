"""Operators that rearrange tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor

from edgewright.compress.executor.node import Node
from edgewright.compress.executor.registry import Run, operator
from edgewright.compress.executor.windows import torch_pads


@operator("Reshape")
def reshape(node: Node) -> Run:
    target, keep_zero = node.ints(1, "shape"), node.attribute("allowzero", 0)

    def run(x: Tensor, shape: Tensor | None = None) -> Tensor:
        sizes = target(shape)
        if 0 in sizes and not keep_zero:
            sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
        if -1 in sizes and x.numel() == 0:  # torch cannot divide by nothing
            known = math.prod(size for size in sizes if size != -1)
            sizes = [(x.numel() // known if known else 0) if size == -1 else size for size in sizes]
        return x.reshape(sizes)

    return run


@operator("Flatten")
def flatten(node: Node) -> Run:
    axis = node.attribute("axis", 1)

    def run(x: Tensor) -> Tensor:
        start = axis + x.ndim if axis < 0 else axis
        return x.reshape(math.prod(x.shape[:start]), math.prod(x.shape[start:]))

    return run


@operator("Transpose")
def transpose(node: Node) -> Run:
    order = node.attribute("perm")
    return lambda x: x.permute(order if order is not None else tuple(reversed(range(x.ndim))))


@operator("Squeeze")
def squeeze(node: Node) -> Run:
    axes = node.ints(1, "axes")

    def run(x: Tensor, given: Tensor | None = None) -> Tensor:
        chosen = axes(given) or [axis for axis, size in enumerate(x.shape) if size == 1]
        return torch.squeeze(x, tuple(chosen)) if chosen else x

    return run


@operator("Unsqueeze")
def unsqueeze(node: Node) -> Run:
    axes = node.ints(1, "axes")

    def run(x: Tensor, given: Tensor | None = None) -> Tensor:
        places = axes(given)
        rank = x.ndim + len(places)
        for place in sorted(place % rank for place in places):
            x = x.unsqueeze(place)
        return x

    return run


@operator("Concat")
def concat(node: Node) -> Run:
    axis = node.attribute("axis")

    def run(*parts: Tensor) -> Tensor:
        device = next((part.device for part in parts if part.device.type != "cpu"), parts[0].device)
        return torch.cat([part.to(device) for part in _broadcast(parts, axis)], axis)

    return run


def _broadcast(parts: Sequence[Tensor], axis: int) -> Sequence[Tensor]:
    """A constant part (a class token) that was exported for a batch of one is repeated for the others' batch."""
    batches = {part.shape[0] for part in parts if part.ndim}
    if len(batches) < 2 or axis % parts[0].ndim == 0:
        return parts
    batch = max(batches)
    return [part.expand(batch, *part.shape[1:]) if part.shape[0] == 1 else part for part in parts]


@operator("Split")
def split(node: Node) -> Run:
    axis, sizes, count = node.attribute("axis", 0), node.ints(1, "split"), len(node.outputs)

    def run(x: Tensor, given: Tensor | None = None) -> tuple[Tensor, ...]:
        whole = x.shape[axis]
        chosen = sizes(given)
        if not chosen:
            part = -(-whole // count)
            chosen = [min(part, whole - part * index) for index in range(count)]
        return tuple(torch.split(x, chosen, axis))

    return run


@operator("Slice")
def slices(node: Node) -> Run:
    starts, ends = node.ints(1, "starts"), node.ints(2, "ends")
    axes, steps = node.ints(3, "axes"), node.ints(4)

    def run(x: Tensor, a: Tensor, b: Tensor, c: Tensor | None = None, d: Tensor | None = None) -> Tensor:
        first, last = starts(a), ends(b)
        places = axes(c) or list(range(len(first)))
        stride = steps(d) or [1] * len(first)
        for place, start, end, step in zip(places, first, last, stride, strict=True):
            size = x.shape[place]
            chosen = range(*slice(_open(start, step), _open(end, step, end=True), step).indices(size))
            if step > 0:
                x = _take(x, place, chosen)
            else:
                x = x.index_select(place, torch.tensor(list(chosen), dtype=torch.int64, device=x.device))
        return x

    return (lambda x: run(x, None, None)) if node.opset < 10 else run


def _open(bound: int, step: int, end: bool = False) -> int | None:
    """Python reads -1 as "the last"; an end far below zero means "before the first"."""
    return None if end and step < 0 and bound < -(2**31) + 1 else bound


def _take(x: Tensor, axis: int, chosen: range) -> Tensor:
    """A view of the chosen positions, in rising order."""
    if len(chosen) == x.shape[axis]:
        return x
    part = x.narrow(axis, chosen.start if chosen else 0, chosen[-1] - chosen[0] + 1 if chosen else 0)
    if chosen.step == 1:
        return part
    index = [slice(None)] * x.ndim
    index[axis] = slice(None, None, chosen.step)
    return part[tuple(index)]


@operator("Expand")
def expand(node: Node) -> Run:
    target = node.ints(1)

    def run(x: Tensor, shape: Tensor) -> Tensor:
        return x.expand(torch.broadcast_shapes(x.shape, tuple(target(shape))))

    return run


@operator("Tile")
def tile(node: Node) -> Run:
    counts = node.ints(1)
    return lambda x, given: x.repeat(counts(given)) if x.ndim else x


@operator("DepthToSpace")
def depth_to_space(node: Node) -> Run:
    block, columns_first = node.attribute("blocksize"), node.attribute("mode", "DCR") == "CRD"

    def run(x: Tensor) -> Tensor:
        if columns_first:
            return functional.pixel_shuffle(x, block)
        n, c, h, w = x.shape
        parts = x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
        return parts.reshape(n, c // block**2, h * block, w * block)

    return run


@operator("SpaceToDepth")
def space_to_depth(node: Node) -> Run:
    block = node.attribute("blocksize")
    order = (0, 1, 3, 5, 2, 4) if node.attribute("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)

    def run(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        parts = x.reshape(n, c, h // block, block, w // block, block).permute(order)
        return parts.reshape(n, c * block**2, h // block, w // block)

    return run


@operator("Pad")
def pad(node: Node) -> Run:
    mode, fixed_value = node.attribute("mode", "constant"), node.attribute("value", 0.0)
    pads, axes = node.ints(1, "pads"), node.ints(3)

    def run(x: Tensor, given: Tensor | None = None, value: Tensor | None = None, at: Tensor | None = None) -> Tensor:
        amounts = pads(given)
        chosen = [axis % x.ndim for axis in axes(at)] or list(range(x.ndim))
        begins, ends = [0] * x.ndim, [0] * x.ndim
        for index, axis in enumerate(chosen):
            begins[axis], ends[axis] = amounts[index], amounts[len(chosen) + index]
        if mode == "constant":
            fill = fixed_value if value is None else value.item()
            if x.dtype == torch.bool:
                return functional.pad(x.to(torch.uint8), torch_pads(begins, ends), value=fill).bool()
            return functional.pad(x, torch_pads(begins, ends), value=fill)
        for axis, (before, after) in enumerate(zip(begins, ends, strict=True)):
            if before or after:
                x = x.index_select(axis, _mirror(mode, x.shape[axis], before, after).to(x.device))
        return x

    return run


def _mirror(mode: str, size: int, before: int, after: int) -> Tensor:
    """Source positions of an axis padded by copies of itself."""
    place = torch.arange(-before, size + after)
    if mode == "edge":
        return place.clamp(0, size - 1)
    if mode == "wrap":
        return place.remainder(size)
    period = max(2 * (size - 1), 1)
    place = place.remainder(period)
    return torch.where(place >= size, period - place, place)
