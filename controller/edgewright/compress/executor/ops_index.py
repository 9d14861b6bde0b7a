"""Operators that pick, place, sort and count by index."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from edgewright.compress.executor.node import Node
from edgewright.compress.executor.registry import Run, operator, simple

_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def _wrapped(index: Tensor, size: int, device: torch.device) -> Tensor:
    """Indices with negative ones counted from the end, int64."""
    index = index.to(device=device, dtype=torch.int64)
    return torch.where(index < 0, index + size, index)


@operator("Gather")
def gather(node: Node) -> Run:
    axis, fixed = node.attribute("axis", 0), node.constant(1)
    if fixed is not None and fixed.ndim == 0:
        place = int(fixed)
        return lambda x, _index: x.select(axis, place)

    def run(x: Tensor, index: Tensor) -> Tensor:
        start = axis % x.ndim
        flat = _wrapped(index, x.shape[start], x.device).reshape(-1)
        picked = x.index_select(start, flat)
        return picked.reshape(*x.shape[:start], *index.shape, *x.shape[start + 1 :])

    return run


@operator("GatherElements")
def gather_elements(node: Node) -> Run:
    axis = node.attribute("axis", 0)
    return lambda x, index: torch.gather(x, axis, _wrapped(index, x.shape[axis], x.device))


@operator("GatherND")
def gather_nd(node: Node) -> Run:
    batch = node.attribute("batch_dims", 0)

    def run(x: Tensor, index: Tensor) -> Tensor:
        lead = x.shape[:batch]
        rows = x.reshape(math.prod(lead), *x.shape[batch:])
        places = index.reshape(math.prod(lead), -1, index.shape[-1])
        depth = index.shape[-1]
        parts = [_wrapped(places[..., axis], rows.shape[axis + 1], x.device) for axis in range(depth)]
        row = torch.arange(rows.shape[0], device=x.device).reshape(-1, 1)
        picked = rows[(row, *parts)]
        return picked.reshape(*lead, *index.shape[batch:-1], *x.shape[batch + depth :])

    return run


@operator("ScatterElements", "Scatter")
def scatter_elements(node: Node) -> Run:
    axis, reduction = node.attribute("axis", 0), node.attribute("reduction", "none")

    def run(x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
        places = _wrapped(index, x.shape[axis], x.device)
        if reduction == "none":
            return x.scatter(axis, places, updates)
        return x.scatter_reduce(axis, places, updates, _REDUCTIONS[reduction])

    return run


@operator("ScatterND")
def scatter_nd(node: Node) -> Run:
    reduction = node.attribute("reduction", "none")

    def run(x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
        depth = index.shape[-1]
        outer, inner = x.shape[:depth], x.shape[depth:]
        place = torch.zeros(index.shape[:-1], dtype=torch.int64, device=x.device)
        for axis, size in enumerate(outer):
            place = place * size + _wrapped(index[..., axis], size, x.device)
        place = place.reshape(-1)
        rows = x.reshape(math.prod(outer), -1)
        news = updates.to(x.device).reshape(place.numel(), -1)
        if reduction == "none":
            done = rows.index_put((place,), news)
        else:
            done = rows.scatter_reduce(0, place.reshape(-1, 1).expand_as(news), news, _REDUCTIONS[reduction])
        return done.reshape(*outer, *inner)

    return run


@operator("OneHot")
def one_hot(node: Node) -> Run:
    axis = node.attribute("axis", -1)

    def run(index: Tensor, depth: Tensor, values: Tensor) -> Tensor:
        size = int(depth.reshape(()).item())
        place = index.to(torch.int64)
        # Out of range on either side gives a row of "off".
        inside = (place >= -size) & (place < size)
        place = torch.where(inside, place.remainder(size), torch.full_like(place, -1))
        where = axis % (index.ndim + 1)
        counter = torch.arange(size, device=index.device).reshape(-1, *(1,) * (index.ndim - where))
        return torch.where(place.unsqueeze(where) == counter, values[1], values[0])

    return run


simple("NonZero", lambda x: torch.nonzero(x if x.ndim else x.reshape(1)).t())


@operator("Compress")
def compress(node: Node) -> Run:
    axis = node.attribute("axis")

    def run(x: Tensor, condition: Tensor) -> Tensor:
        chosen = torch.nonzero(condition).reshape(-1).to(x.device)
        return x.reshape(-1).index_select(0, chosen) if axis is None else x.index_select(axis, chosen)

    return run


@operator("TopK")
def top_k(node: Node) -> Run:
    axis, largest = node.attribute("axis", -1), bool(node.attribute("largest", 1))
    counts = node.ints(1, default=[node.attribute("k", 1)])

    def run(x: Tensor, k: Tensor | None = None) -> tuple[Tensor, Tensor]:
        # A stable sort gives equal values in the order of their indices, as ONNX asks; topk does not.
        values, places = torch.sort(x, dim=axis, descending=largest, stable=True)
        count = counts(k)[0]
        return values.narrow(axis, 0, count), places.narrow(axis, 0, count)

    return run


@operator("ArgMax", "ArgMin")
def arg_extreme(node: Node) -> Run:
    axis, keep = node.attribute("axis", 0), bool(node.attribute("keepdims", 1))
    last, pick = node.attribute("select_last_index", 0), torch.argmax if node.op == "ArgMax" else torch.argmin

    def run(x: Tensor) -> Tensor:
        if last:
            return x.shape[axis] - 1 - pick(x.flip(axis), axis, keepdim=keep)
        return pick(x, axis, keepdim=keep)

    return run


@operator("CumSum")
def cumulative_sum(node: Node) -> Run:
    axes = node.ints(1)
    exclusive, backwards = node.attribute("exclusive", 0), node.attribute("reverse", 0)

    def run(x: Tensor, given: Tensor) -> Tensor:
        axis = axes(given)[0]
        x = x.flip(axis) if backwards else x
        total = torch.cumsum(x, axis, dtype=x.dtype)
        if exclusive:
            total = total - x
        return total.flip(axis) if backwards else total

    return run
