"""Arithmetic and activations, element by element."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as functional
from torch import Tensor

from edgewright.compress.executor.node import Node
from edgewright.compress.executor.registry import Run, operator, simple

for _name, _run in {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "HardSwish": functional.hardswish,
    "Identity": lambda x: x,
    "Log": torch.log,
    "Mish": functional.mish,
    "Neg": torch.neg,
    "Reciprocal": torch.reciprocal,
    "Relu": torch.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Softplus": functional.softplus,
    "Softsign": functional.softsign,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
    "Tanh": torch.tanh,
}.items():
    simple(_name, _run)


def _together(run: Callable[[Tensor, Tensor], Tensor]) -> Run:
    """Constants that describe shapes stay on the CPU: moves one to where the other operand is."""

    def both(a: Tensor, b: Tensor) -> Tensor:
        if a.device != b.device:
            a, b = (a.to(b.device), b) if a.device.type == "cpu" else (a, b.to(a.device))
        return run(a, b)

    return both


simple("Add", _together(torch.add))
simple("Sub", _together(torch.sub))
simple("Mul", _together(torch.mul))


@operator("Div")
def divide(_node: Node) -> Run:
    def run(a: Tensor, b: Tensor) -> Tensor:
        return torch.div(a, b) if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")

    return _together(run)


@operator("Mod")
def modulo(node: Node) -> Run:
    return _together(torch.fmod if node.attribute("fmod", 0) else torch.remainder)


@operator("Pow")
def power(_node: Node) -> Run:
    return _together(lambda a, b: torch.pow(a, b).to(a.dtype))


@operator("Sum")
def add_all(_node: Node) -> Run:
    return lambda *values: functools.reduce(_together(torch.add), values)


@operator("Mean")
def mean_of_all(_node: Node) -> Run:
    return lambda *values: functools.reduce(torch.add, values) / len(values)


@operator("Max")
def maximum(_node: Node) -> Run:
    return lambda *values: functools.reduce(_together(torch.maximum), values)


@operator("Min")
def minimum(_node: Node) -> Run:
    return lambda *values: functools.reduce(_together(torch.minimum), values)


@operator("Clip")
def clip(node: Node) -> Run:
    low, high = _bound(node, 1, "min"), _bound(node, 2, "max")
    fixed = not (node.given(1) and low is None) and not (node.given(2) and high is None)
    if not fixed:
        return lambda x, low=None, high=None: torch.clamp(x, low, high)
    if low is None and high is None:
        return lambda x, *_bounds: x
    # hardtanh is what ReLU6 is natively: the same speed, and the same gradient at the bounds (0).
    if low is None or high is None or low > high:
        return lambda x, *_bounds: torch.clamp(x, low, high)
    bottom, top = low, high

    def run(x: Tensor, *_bounds: Tensor) -> Tensor:
        return functional.hardtanh(x, bottom, top) if x.is_floating_point() else torch.clamp(x, bottom, top)

    return run


def _bound(node: Node, index: int, name: str) -> float | None:
    """A bound of Clip that never changes: an attribute before opset 11, then an input."""
    value = node.constant(index)
    found: float | None = node.attribute(name) if value is None else value.item()
    return found


@operator("LeakyRelu")
def leaky_relu(node: Node) -> Run:
    slope = node.attribute("alpha", 0.01)
    return lambda x: functional.leaky_relu(x, slope)


@operator("PRelu")
def parametric_relu(_node: Node) -> Run:
    def run(x: Tensor, slope: Tensor) -> Tensor:
        per_channel = slope.ndim == x.ndim - 1 and x.ndim > 2 and slope.numel() == slope.shape[0] == x.shape[1]
        if x.is_floating_point() and (slope.numel() == 1 or per_channel):
            return functional.prelu(x, slope.reshape(-1))
        return torch.where(x < 0, x * slope, x)

    return run


@operator("Elu")
def elu(node: Node) -> Run:
    alpha = node.attribute("alpha", 1.0)
    return lambda x: functional.elu(x, alpha)


@operator("Celu")
def celu(node: Node) -> Run:
    alpha = node.attribute("alpha", 1.0)
    return lambda x: functional.celu(x, alpha)


@operator("Selu")
def selu(node: Node) -> Run:
    alpha, gamma = node.attribute("alpha", 1.6732632423543772), node.attribute("gamma", 1.0507009873554805)
    return lambda x: gamma * functional.elu(x, alpha)


@operator("Gelu")
def gelu(node: Node) -> Run:
    form = node.attribute("approximate", "none")
    return lambda x: functional.gelu(x, approximate=form)


@operator("Swish")
def swish(node: Node) -> Run:
    alpha = node.attribute("alpha", 1.0)
    return functional.silu if alpha == 1 else lambda x: x * torch.sigmoid(alpha * x)


@operator("HardSigmoid")
def hard_sigmoid(node: Node) -> Run:
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return functional.hardsigmoid
    return lambda x: torch.clamp(x * alpha + beta, 0, 1)


@operator("ThresholdedRelu")
def thresholded_relu(node: Node) -> Run:
    alpha = node.attribute("alpha", 1.0)
    return lambda x: functional.threshold(x, alpha, 0)


@operator("Shrink")
def shrink(node: Node) -> Run:
    bias, limit = node.attribute("bias", 0.0), node.attribute("lambd", 0.5)

    def run(x: Tensor) -> Tensor:
        inner = torch.where(x > limit, x - bias, torch.zeros_like(x))
        return torch.where(x < -limit, x + bias, inner).to(x.dtype)

    return run


def _flat_before_13(node: Node, run: Callable[[Tensor, int], Tensor]) -> Run:
    """Softmax and its kin: over one axis; before opset 13 over all axes from `axis` on, as if they were one."""
    if node.opset >= 13:
        axis = node.attribute("axis", -1)
        return lambda x: run(x, axis)
    first = node.attribute("axis", 1)

    def flat(x: Tensor) -> Tensor:
        start = first % x.ndim if first < 0 else first
        return run(x.reshape(math.prod(x.shape[:start]), -1), 1).reshape(x.shape)

    return flat


@operator("Softmax")
def softmax(node: Node) -> Run:
    return _flat_before_13(node, torch.softmax)


@operator("LogSoftmax")
def log_softmax(node: Node) -> Run:
    return _flat_before_13(node, torch.log_softmax)


@operator("Hardmax")
def hardmax(node: Node) -> Run:
    def run(x: Tensor, axis: int) -> Tensor:
        return torch.zeros_like(x).scatter(axis, x.argmax(axis, keepdim=True), 1)

    return _flat_before_13(node, run)
