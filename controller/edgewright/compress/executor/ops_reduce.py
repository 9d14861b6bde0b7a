"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from edgewright.compress.executor.node import Node
from edgewright.compress.executor.registry import Run, operator

Reduce = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def _register(name: str, reduce: Reduce) -> None:
    """Axes are an attribute in old opsets (an input of ReduceSum since 13, of the others since 18); none means all."""

    @operator(name)
    def build(node: Node) -> Run:
        axes, keep = node.ints(1, "axes"), bool(node.attribute("keepdims", 1))
        empty_is_none = bool(node.attribute("noop_with_empty_axes", 0))

        def run(x: Tensor, given: Tensor | None = None) -> Tensor:
            chosen = tuple(axes(given))
            if not chosen and empty_is_none:
                # No axis is reduced, but what happens to each element still does (a square, a logarithm).
                return reduce(x.unsqueeze(0), (0,), False).to(x.dtype)
            chosen = chosen or tuple(range(x.ndim))
            return (reduce(x, chosen, keep) if x.ndim else reduce(x.reshape(1), (0,), False)).to(x.dtype)

        return run


def _float(x: Tensor) -> Tensor:
    return x if x.is_floating_point() else x.double()


def _extreme(run: Callable[..., Tensor], lowest: bool) -> Reduce:
    def reduce(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
        if x.numel() == 0:  # of nothing: the value that loses against every other
            sizes = [1 if axis in {place % x.ndim for place in axes} else size for axis, size in enumerate(x.shape)]
            full = torch.full(sizes, _limit(x.dtype, lowest), dtype=x.dtype, device=x.device)
            return full if keep else full.squeeze(axes)
        if x.dtype == torch.bool:
            return run(x.to(torch.uint8), dim=axes, keepdim=keep).bool()
        return run(x, dim=axes, keepdim=keep)

    return reduce


def _limit(kind: torch.dtype, lowest: bool) -> float:
    if kind == torch.bool:
        return float(not lowest)
    if kind.is_floating_point:
        return float("-inf") if lowest else float("inf")
    limits = torch.iinfo(kind)
    return int(limits.min if lowest else limits.max)


def _product(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    places = sorted((axis % x.ndim for axis in axes), reverse=True)
    for axis in places:
        x = torch.prod(x, axis, keepdim=keep, dtype=x.dtype)
    return x


def _mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return _float(x).mean(dim=axes, keepdim=keep)


def _sum(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.sum(dim=axes, keepdim=keep, dtype=x.dtype)


def _norm(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    # Unlike the square root of a sum of squares it has a gradient at zero.
    return torch.linalg.vector_norm(_float(x), 2, dim=axes, keepdim=keep)


_register("ReduceSum", _sum)
_register("ReduceMean", _mean)
_register("ReduceMax", _extreme(torch.amax, lowest=True))
_register("ReduceMin", _extreme(torch.amin, lowest=False))
_register("ReduceProd", _product)
_register("ReduceL1", lambda x, axes, keep: _sum(x.abs(), axes, keep))
_register("ReduceL2", _norm)
_register("ReduceSumSquare", lambda x, axes, keep: _sum(x * x, axes, keep))
_register("ReduceLogSum", lambda x, axes, keep: torch.log(_float(_sum(x, axes, keep))))
_register("ReduceLogSumExp", lambda x, axes, keep: torch.logsumexp(_float(x), axes, keepdim=keep))
