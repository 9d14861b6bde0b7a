"""The original with the removed channels silenced."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from edgewright.compress.prune.removal import Gone
from edgewright.compress.prune.weights import ConstantReads, Use, rewrite_constants
from edgewright.graph.channels.analysis import ChannelAnalysis
from edgewright.graph.channels.plan import Role
from edgewright.graph.session import Array


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
