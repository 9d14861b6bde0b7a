"""Convolutions and matrix products."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from edgewright.compress.executor.node import Node, Unsupported
from edgewright.compress.executor.registry import Run, operator, simple
from edgewright.compress.executor.windows import Window, reach, torch_pads

_CONV = (functional.conv1d, functional.conv2d, functional.conv3d)
_TRANSPOSED = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)


@operator("Conv", limits="more than three spatial axes")
def conv(node: Node) -> Run:
    window = Window.of(node)
    group = node.attribute("group", 1)

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        rank = weight.ndim - 2
        begins, ends = window.padding(x.shape[2:], weight.shape[2:])
        if begins != ends:
            x = functional.pad(x, torch_pads(begins, ends))
            begins = (0,) * rank
        return _spatial(_CONV, rank)(x, weight, bias, window.steps(rank), begins, window.spread(rank), group)

    return run


@operator("ConvTranspose", limits="more than three spatial axes")
def conv_transpose(node: Node) -> Run:
    window = Window.of(node)
    group = node.attribute("group", 1)
    extra_given, shape_given = node.attribute("output_padding"), node.attribute("output_shape")

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        rank = weight.ndim - 2
        steps, spread = window.steps(rank), window.spread(rank)
        extra = tuple(extra_given or (0,) * rank)
        spans = [reach(size, gap) for size, gap in zip(weight.shape[2:], spread, strict=True)]
        full = [(size - 1) * step + span for size, step, span in zip(x.shape[2:], steps, spans, strict=True)]
        begins, ends = _transposed_padding(window, x.shape[2:], full, extra, shape_given)
        call = _spatial(_TRANSPOSED, rank)
        # torch takes equal padding on both sides and an extra below the stride; everything else is cut or filled.
        if begins == ends and all(part >= 0 for part in begins) and _fits(extra, steps, spread):
            return call(x, weight, bias, steps, begins, extra, group, spread)
        y = call(x, weight, None, steps, 0, 0, group, spread)
        y = functional.pad(y, torch_pads([-part for part in begins], [a - b for a, b in zip(extra, ends, strict=True)]))
        return y if bias is None else y + bias.reshape(-1, *(1,) * rank)

    return run


@operator("Gemm")
def gemm(node: Node) -> Run:
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    left, right = node.attribute("transA", 0), node.attribute("transB", 0)

    def run(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        a = a.t() if left else a
        if alpha == 1 and beta == 1 and a.is_floating_point() and (c is None or c.ndim == 1):
            return functional.linear(a, b if right else b.t(), c)
        product = a @ (b.t() if right else b)
        product = product if alpha == 1 else (product * alpha).to(a.dtype)
        if c is None:
            return product
        return product + (c if beta == 1 else (c * beta).to(a.dtype))

    return run


@operator("Einsum")
def einsum(node: Node) -> Run:
    equation = node.attribute("equation").replace(" ", "")
    return lambda *operands: torch.einsum(equation, *operands)


simple("MatMul", torch.matmul)


def _spatial(calls: tuple[Run, ...], rank: int) -> Run:
    if not 1 <= rank <= len(calls):
        raise Unsupported(f"a convolution over {rank} axes")
    return calls[rank - 1]


def _fits(extra: tuple[int, ...], steps: tuple[int, ...], spread: tuple[int, ...]) -> bool:
    return all(part < max(step, gap) for part, step, gap in zip(extra, steps, spread, strict=True))


def _transposed_padding(
    window: Window, sizes: list[int], full: list[int], extra: tuple[int, ...], wanted: list[int] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is cut off before and after, from the pads or from the output's size that is asked for."""
    rank = len(full)
    if wanted is None and not window.rule.startswith("SAME"):
        pads = window.pads or (0,) * (2 * rank)
        return pads[:rank], pads[rank:]
    if wanted is None:
        wanted = [size * step for size, step in zip(sizes, window.steps(rank), strict=True)]
    totals = [size + more - goal for size, more, goal in zip(full, extra, wanted[-rank:], strict=True)]
    small = tuple(total // 2 for total in totals)
    large = tuple(total - part for total, part in zip(totals, small, strict=True))
    return (small, large) if window.rule == "SAME_UPPER" else (large, small)
