"""Pools."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor

from edgewright.compress.executor.node import Node
from edgewright.compress.executor.registry import Run, operator
from edgewright.compress.executor.windows import Window, reach, torch_pads

_MAX = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
_AVERAGE = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)
_CONV = (functional.conv1d, functional.conv2d, functional.conv3d)


@operator("MaxPool", limits="the second output (Indices); more than three spatial axes")
def max_pool(node: Node) -> Run:
    kernel = tuple(node.attribute("kernel_shape"))
    node.refuse_unless(not node.asked(1), "the output Indices")
    node.refuse_unless(len(kernel) <= 3, f"{len(kernel)} spatial axes")
    window = Window.of(node)
    rank, steps = len(kernel), window.steps(len(kernel))
    spread, call = window.spread(len(kernel)), _MAX[len(kernel) - 1]

    def run(x: Tensor) -> Tensor:
        if not x.is_floating_point():  # torch pools floats only; doubles hold these integers exactly
            return run(x.double()).to(x.dtype)
        begins, ends = window.padding(x.shape[2:], kernel)
        if begins == ends and all(2 * part <= size for part, size in zip(begins, kernel, strict=True)):
            return call(x, kernel, steps, begins, spread, window.ceil)
        counts = window.outputs(x.shape[2:], kernel, begins, ends)
        x = functional.pad(x, torch_pads(begins, _room(x, kernel, window, begins, counts)), value=-torch.inf)
        return call(x, kernel, steps, (0,) * rank, spread)

    return run


@operator("AveragePool", limits="more than three spatial axes")
def average_pool(node: Node) -> Run:
    kernel = tuple(node.attribute("kernel_shape"))
    node.refuse_unless(len(kernel) <= 3, f"{len(kernel)} spatial axes")
    window, include = Window.of(node), bool(node.attribute("count_include_pad", 0))
    rank, steps = len(kernel), window.steps(len(kernel))
    dense = all(gap == 1 for gap in window.spread(rank))
    call = _AVERAGE[rank - 1]

    def run(x: Tensor) -> Tensor:
        begins, ends = window.padding(x.shape[2:], kernel)
        halves = all(2 * part <= size for part, size in zip(begins, kernel, strict=True))
        if dense and halves and begins == ends:
            return call(x, kernel, steps, begins, window.ceil, include)
        counts = window.outputs(x.shape[2:], kernel, begins, ends)
        ones = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype, device=x.device)
        if include:
            ones = functional.pad(ones, torch_pads(begins, ends), value=1.0)
            ones = functional.pad(ones, torch_pads((0,) * rank, _room(ones, kernel, window, (0,) * rank, counts)))
        else:
            ones = functional.pad(ones, torch_pads(begins, _room(ones, kernel, window, begins, counts)))
        x = functional.pad(x, torch_pads(begins, _room(x, kernel, window, begins, counts)))
        return _window_sums(x, kernel, window) / _window_sums(ones, kernel, window)

    return run


@operator("LpPool", limits="more than three spatial axes")
def lp_pool(node: Node) -> Run:
    kernel = tuple(node.attribute("kernel_shape"))
    node.refuse_unless(len(kernel) <= 3, f"{len(kernel)} spatial axes")
    window, power = Window.of(node), node.attribute("p", 2)

    def run(x: Tensor) -> Tensor:
        begins, ends = window.padding(x.shape[2:], kernel)
        counts = window.outputs(x.shape[2:], kernel, begins, ends)
        x = functional.pad(x.abs() ** power, torch_pads(begins, _room(x, kernel, window, begins, counts)))
        return _window_sums(x, kernel, window) ** (1 / power)

    return run


@operator("GlobalAveragePool")
def global_average_pool(_node: Node) -> Run:
    return lambda x: x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(_node: Node) -> Run:
    return lambda x: x.amax(dim=tuple(range(2, x.ndim)), keepdim=True)


@operator("GlobalLpPool")
def global_lp_pool(node: Node) -> Run:
    power = node.attribute("p", 2)
    return lambda x: torch.linalg.vector_norm(x, power, dim=tuple(range(2, x.ndim)), keepdim=True)


def _room(
    x: Tensor, kernel: Sequence[int], window: Window, begins: Sequence[int], counts: Sequence[int]
) -> tuple[int, ...]:
    """Padding after the end that makes exactly `counts` windows fit; negative where the rest is unused."""
    rank = len(kernel)
    steps, spread = window.steps(rank), window.spread(rank)
    return tuple(
        (counts[axis] - 1) * steps[axis] + reach(kernel[axis], spread[axis]) - x.shape[2 + axis] - begins[axis]
        for axis in range(rank)
    )


def _window_sums(x: Tensor, kernel: Sequence[int], window: Window) -> Tensor:
    """Sums over windows of a padded [n, c, ...], as a convolution with ones."""
    rank = len(kernel)
    flat = x.reshape(-1, 1, *x.shape[2:])
    ones = torch.ones(1, 1, *kernel, dtype=x.dtype, device=x.device)
    sums = _CONV[rank - 1](flat, ones, None, window.steps(rank), 0, window.spread(rank))
    return sums.reshape(*x.shape[:2], *sums.shape[2:])
