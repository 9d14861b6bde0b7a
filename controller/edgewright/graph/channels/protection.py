"""What cannot be removed, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from edgewright.graph.channels.flow import Flow
from edgewright.graph.channels.labels import KEEP, Vector
from edgewright.graph.channels.plan import Role, Slot

# Weights are floats; integer constants are shapes, indices and quantised tensors.
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE)


@dataclass(frozen=True)
class Protected:
    """`parameters` elements of the weight `name` stay whatever is removed; `reason` says why."""

    name: str
    parameters: int
    reason: str


def protected_parameters(flow: Flow, model: onnx.ModelProto, roots: Vector) -> tuple[tuple[Protected, ...], float]:
    """Per weight what must stay, and the share (0..1) of all parameters that may go."""
    by_name: dict[str, list[Slot]] = {}
    for slot in flow.plan.slots:
        by_name.setdefault(flow.nodes[slot.node].input[slot.input], []).append(slot)
    found: list[Protected] = []
    total = free = 0
    for tensor in model.graph.initializer:
        if tensor.data_type not in _FLOATS:
            continue
        elements = int(np.prod(tensor.dims)) if tensor.dims else 1
        slots = by_name.get(tensor.name, [])
        stays = elements
        for axis in {slot.axis for slot in slots}:
            fixed = np.zeros(tensor.dims[axis], dtype=bool)
            for slot in slots:
                if slot.axis == axis:
                    fixed |= roots[slot.vector] == KEEP
            stays = stays * int(fixed.sum()) // fixed.size
        total += elements
        free += elements - stays
        if stays:
            found.append(Protected(tensor.name, stays, _reason(flow, slots, roots)))
    return tuple(found), free / total if total else 0.0


def _reason(flow: Flow, slots: list[Slot], roots: Vector) -> str:
    """Of the first protected axis; producers speak first."""
    if not slots:
        return "not read along a channel axis"
    for slot in sorted(slots, key=lambda item: item.role is not Role.PRODUCER):
        fixed = slot.vector[roots[slot.vector] == KEEP]
        known = [flow.labels.reason(int(label)) for label in fixed[:1]]
        if known and known[0]:
            return known[0]
    return "no channels"
