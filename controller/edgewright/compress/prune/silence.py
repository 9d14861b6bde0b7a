"""The original with the removed channels silenced, and its twin in which every branch is heard."""

from __future__ import annotations

import zlib
from collections.abc import Collection

import numpy as np
import onnx

from edgewright.compress.prune.removal import Gone
from edgewright.compress.prune.weights import ConstantReads, Use, rewrite_constants
from edgewright.graph.channels.analysis import ChannelAnalysis
from edgewright.graph.channels.plan import Role
from edgewright.graph.session import Array

# A factor this small hides its branch from any comparison in float32 (ConvNeXt's layer scale starts at 1e-6).
_FAINT = 1e-2
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def silence(model: onnx.ModelProto, analysis: ChannelAnalysis, gone: Gone, roles: Collection[Role]) -> None:
    """Sets the removed positions of all weights of these roles to zero, in place."""
    reads = ConstantReads(model)
    values: dict[Use, Array] = {}
    for slot in analysis.plan.slots:
        if slot.role in roles and gone.touches(slot.vector):
            use = (slot.node, slot.input)
            value = values[use] if use in values else reads.value(use).copy()
            index: list[slice | Array] = [slice(None)] * value.ndim
            index[slot.axis] = ~gone.kept(slot.vector)
            value[tuple(index)] = 0
            values[use] = value
    rewrite_constants(model, values)


def awaken(model: onnx.ModelProto) -> int:
    """Raises, in place, what scales a branch to almost nothing: constant vectors become 0.5..1 (seeded by name),
    weights are multiplied until they pass on about as much as they get. Returns how many tensors; the structure
    stays.
    """
    reads = ConstantReads(model)
    floats = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    values: dict[Use, Array] = {}
    for number, node in enumerate(model.graph.node):
        for place, name in enumerate(node.input):
            if name not in floats or node.op_type not in ("Mul", *_WEIGHTED):
                continue
            value = reads.value((number, place))
            raised = _raised_factor(value, name) if node.op_type == "Mul" else _raised_weight(value)
            if raised is not None:
                values[number, place] = raised
    rewrite_constants(model, values)
    return len(values)


def _raised_factor(value: Array, name: str) -> Array | None:
    """Other values for a vector of faint factors; None where it is not faint."""
    if value.size < 2 or float(np.abs(value).max()) >= _FAINT:
        return None
    drawn = np.random.default_rng(zlib.crc32(name.encode())).random(value.size).reshape(value.shape)
    raised: Array = (0.5 + drawn / 2).astype(value.dtype)
    return raised


def _raised_weight(value: Array) -> Array | None:
    """A faint weight tensor multiplied; a factor folded into a convolution ends here."""
    if value.ndim < 2:
        return None
    flat = value.ravel()
    spread = float(np.sqrt(np.dot(flat, flat) / flat.size))
    gain = spread * float(np.sqrt(value.size / max(value.shape[:2])))
    if not 0 < gain < _FAINT:
        return None
    raised: Array = np.multiply(value, np.float64(1 / gain)).astype(value.dtype)
    return raised
