"""What a network of given widths costs: exact parameters and multiply-accumulates without cutting anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import onnx

from edgewright.compress.prune.solver import Axis, Cost, CostModel
from edgewright.graph.channels.analysis import ChannelAnalysis
from edgewright.graph.cost import count_macs, count_parameters, node_macs


@dataclass(frozen=True)
class _Reader:
    """A weight as one node reads it: node number, input, and the groups along each axis."""

    number: int
    input: int
    axes: Mapping[int, Mapping[str, int]]


def cost_models(model: onnx.ModelProto, analysis: ChannelAnalysis) -> tuple[CostModel, CostModel]:
    """(parameters, multiply-accumulates) as functions of the groups' widths. `analysis` is of this very model.

    Products of two computed tensors (attention) count as constant.
    """
    readers = _readers(analysis)
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    seen: set[str] = set()
    parameters: list[Cost] = []
    macs: list[Cost] = []
    for reader in readers:
        node = model.graph.node[reader.number]
        tensor = initializers[node.input[reader.input]]
        axes = tuple(Axis(tensor.dims[axis], tuple(sorted(parts.items()))) for axis, parts in reader.axes.items())
        if tensor.name not in seen:
            seen.add(tensor.name)
            parameters.append(Cost(float(prod(tensor.dims)), axes))
        if reader.input == 1 or (reader.input == 0 and node.op_type == "MatMul"):
            macs.append(Cost(float(node_macs(node, analysis.shapes) or 0), axes))
    total = float(count_parameters(model))
    work = float(count_macs(model, analysis.shapes)[0])
    return (
        CostModel(tuple(parameters), total - sum(cost.amount for cost in parameters)),
        CostModel(tuple(macs), work - sum(cost.amount for cost in macs)),
    )


def _readers(analysis: ChannelAnalysis) -> list[_Reader]:
    found: dict[tuple[int, int], dict[int, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for group in analysis.groups:
        for member in (*group.producers, *group.consumers, *group.followers):
            parts = found[member.number, member.input][member.axis]
            # One axis may be reached twice by one group (a tensor joined with itself).
            parts[group.id] = max(parts.get(group.id, 0), len(member.positions[0]))
    return [_Reader(number, place, axes) for (number, place), axes in sorted(found.items())]
