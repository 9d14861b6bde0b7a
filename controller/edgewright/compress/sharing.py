"""Shared ranges: what meets in a Concat gets one scale where that costs little, so that it is copied, not rescaled."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from edgewright.compress.placement import Placement
from edgewright.compress.ranges import Range
from edgewright.graph.index import GraphIndex

# Of the shared range, the least that a tensor must fill by itself: below it more than one bit would be lost.
_LEAST_SHARE = 0.5


def share_ranges(model: onnx.ModelProto, placement: Placement, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """`ranges` with the inputs of each quantised Concat moved to its output's range, where the Concat alone reads
    them and they fill at least half of it; the last Concat of a chain decides."""
    shared = dict(ranges)
    index = GraphIndex(model)
    chosen = set(placement.nodes)
    for node in reversed(index.nodes):
        if node.op_type != "Concat" or node.name not in chosen or node.output[0] not in shared:
            continue
        low, high = shared[node.output[0]]
        for name in index.activations(node.input):
            if name not in shared or len(index.consumers[name]) != 1 or name in index.outputs:
                continue
            own_low, own_high = shared[name]
            if own_high - own_low >= _LEAST_SHARE * (high - low):
                shared[name] = (low, high)
    return shared
