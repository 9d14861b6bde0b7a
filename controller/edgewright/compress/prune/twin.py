"""A network of the same structure in which every channel is heard."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import numpy as np
import onnx

from edgewright.compress.prune.weights import ConstantReads, Use, rewrite_constants
from edgewright.graph.session import Array

# A factor this small hides its branch from any comparison in float32 (ConvNeXt's layer scale starts at 1e-6).
_FAINT = 1e-2
_PRODUCTS = {"Conv": 0, "ConvTranspose": 1, "Gemm": 0, "MatMul": 1}
_NORMS = ("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization")


def has_faint_parts(model: onnx.ModelProto) -> bool:
    """Whether constant factors or weights pass almost nothing on: what lies before them cannot be judged by the
    outputs.
    """
    reads = ConstantReads(model)
    for number, node, place in _float_reads(model):
        if node.op_type == "Mul" or (node.op_type in _NORMS and place == 1):
            if _is_faint_factor(reads.value((number, place))):
                return True
        elif node.op_type in _PRODUCTS and place < 2 and _gain(reads.value((number, place))) < _FAINT:
            return True
    return False


def random_twin(model: onnx.ModelProto, seed: int = 0) -> onnx.ModelProto:
    """A copy with random weights: products pass on as much as they get (He et al. 2015), factors and norm scales are
    0.5 to 1.5, shifts small, running statistics 0 and 1. Seeded by `seed` and the tensors' names.
    """
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    reads = ConstantReads(twin)
    values: dict[Use, Array] = {}
    for number, node, place in _float_reads(twin):
        draw = _draw(node, place)
        if draw is None:
            continue
        old = reads.value((number, place))
        if node.op_type == "Mul" and not _is_faint_factor(old):
            continue
        rng = np.random.default_rng([seed, zlib.crc32(node.input[place].encode())])
        values[number, place] = draw(rng, old).reshape(old.shape).astype(old.dtype)
    rewrite_constants(twin, values)
    return twin


def _draw(node: onnx.NodeProto, place: int) -> Callable[[np.random.Generator, Array], Array] | None:
    """How the constant at `place` is drawn; None where it stays."""
    if node.op_type in _PRODUCTS:
        return _weight if place < 2 else _shift
    if node.op_type == "Mul":
        return _factor
    if node.op_type in _NORMS:
        return (_factor, _shift, _zeros, _ones)[place - 1]
    return None


def _weight(rng: np.random.Generator, old: Array) -> Array:
    if old.ndim < 2:
        return old
    return rng.standard_normal(old.size, dtype=np.float32) * np.float32(np.sqrt(2 / _fan_in(old)))


def _factor(rng: np.random.Generator, old: Array) -> Array:
    return 0.5 + rng.random(old.size)


def _shift(rng: np.random.Generator, old: Array) -> Array:
    return 0.1 * rng.standard_normal(old.size)


def _zeros(_: np.random.Generator, old: Array) -> Array:
    return np.zeros_like(old)


def _ones(_: np.random.Generator, old: Array) -> Array:
    return np.ones_like(old)


def _float_reads(model: onnx.ModelProto) -> Iterator[tuple[int, onnx.NodeProto, int]]:
    """(number, node, input) wherever a float32 initializer is read."""
    floats = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    for number, node in enumerate(model.graph.node):
        for place, name in enumerate(node.input):
            if name in floats:
                yield number, node, place


def _is_faint_factor(value: Array) -> bool:
    return value.size > 1 and float(np.abs(value).max()) < _FAINT


def _gain(value: Array) -> float:
    """How much of its input's spread a product passes on, about; 1 for what is no matrix."""
    if value.ndim < 2:
        return 1.0
    flat = value.ravel()
    return float(np.sqrt(np.dot(flat, flat) / flat.size) * np.sqrt(_fan_in(value)))


def _fan_in(value: Array) -> float:
    """Terms of one sum; of the two matrix axes the larger counts as outputs, which is near enough."""
    return float(value.size / max(value.shape[:2]))
