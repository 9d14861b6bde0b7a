"""QuantizeLinear and DequantizeLinear, differentiable, so that a quantised graph trains as it is.

Between the two, numbers are whole but held as floats: gradients pass. Rounding is straight-through (Bengio et al.,
2013) and autograd through x / scale is then the gradient of learned step sizes (LSQ, Esser et al., 2020): inside the
range the scale receives (q - x/s) of the gradient, outside it the clipped end. Zero points are not trained.
"""

from __future__ import annotations

from typing import Any

import onnx
import torch
from torch import Tensor

from edgewright.compress.executor.dtypes import QUANTISED_RANGES, type_name
from edgewright.compress.executor.node import Node, Unsupported
from edgewright.compress.executor.registry import Run, operator


class _Quantise(torch.autograd.Function):  # type: ignore[misc]
    """clip(round(x / scale) + zero, low, high), rounding half to even; the gradient passes inside the range."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor | None, low: int, high: int) -> Tensor:
        y = torch.div(x, scale).round_()
        if zero is not None:
            y.add_(zero)
        inside = (y >= low) & (y <= high)
        ctx.save_for_backward(x, scale, inside)
        return y.clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, inside = ctx.saved_tensors
        passed = gradient * inside / scale
        to_scale = _summed(-passed * (x / scale), scale.shape) if ctx.needs_input_grad[1] else None
        return (passed if ctx.needs_input_grad[0] else None), to_scale, None, None, None


def _summed(value: Tensor, shape: torch.Size) -> Tensor:
    """Undoes broadcasting."""
    return value.sum_to_size(shape)


@operator("QuantizeLinear", limits="8-bit floats")
def quantise(node: Node) -> Run:
    axis, block = node.attribute("axis", 1), node.attribute("block_size", 0)
    wanted = node.attribute("output_dtype", 0)
    elem_type = wanted or node.input_type(2)
    node.refuse_unless(not node.given(2) or bool(elem_type), "a zero point of unknown type")
    elem_type = elem_type or onnx.TensorProto.UINT8
    if elem_type not in QUANTISED_RANGES:
        raise Unsupported(f"QuantizeLinear to {type_name(elem_type)}")
    low, high = QUANTISED_RANGES[elem_type]

    def run(x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        x = x if x.is_floating_point() else x.to(scale.dtype)
        scale = _along(scale, x, axis, block)
        zero = None if zero is None else _along(zero.to(device=x.device, dtype=x.dtype), x, axis, block)
        return _Quantise.apply(x, scale, zero, low, high)

    return run


@operator("DequantizeLinear", limits="8-bit floats")
def dequantise(node: Node) -> Run:
    axis, block = node.attribute("axis", 1), node.attribute("block_size", 0)
    wanted = node.attribute("output_dtype", 0)
    kind = node.torch_type(wanted) if wanted else None

    def run(x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        x = x.to(device=scale.device, dtype=scale.dtype)
        if zero is not None:
            x = x - _along(zero.to(device=x.device, dtype=x.dtype), x, axis, block)
        y = x * _along(scale, x, axis, block)
        return y if kind is None else y.to(kind)

    return run


def _along(value: Tensor, x: Tensor, axis: int, block: int) -> Tensor:
    """A scale or zero point shaped to broadcast against `x`: one in all, one a channel, or one a block."""
    if block:
        place = axis % x.ndim
        return value.repeat_interleave(block, place).narrow(place, 0, x.shape[place])
    if value.numel() == 1:
        return value.reshape(())
    shape = [1] * x.ndim
    shape[axis] = -1
    return value.reshape(shape)
