"""Constants of a graph rewritten where they are read: a shared one is cloned for the readers that differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.graph.session import Array

# A reader: number of the node in the graph, number of its input.
Use = tuple[int, int]


class ConstantReads:
    """Values of a model's initializers, by reader."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._nodes = list(model.graph.node)

    def value(self, use: Use) -> Array:
        """What the reader sees (a copy)."""
        node, place = use
        value: Array = numpy_helper.to_array(self._tensors[self._nodes[node].input[place]])
        return value


def rewrite_constants(model: onnx.ModelProto, values: Mapping[Use, Array]) -> None:
    """Gives each reader in `values` its new constant, in place; all other readers keep the old one."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    names = set(tensors) | {name for node in model.graph.node for name in (*node.input, *node.output)}
    readers: dict[str, list[Use]] = defaultdict(list)
    for number, node in enumerate(model.graph.node):
        for place, name in enumerate(node.input):
            if name in tensors:
                readers[name].append((number, place))
    held = {value.name for value in model.graph.output} | _captured(model)
    for name in dict.fromkeys(model.graph.node[node].input[place] for node, place in values):
        changed = [use for use in readers[name] if use in values]
        distinct = _distinct(changed, values)
        alone = name not in held and len(changed) == len(readers[name])
        for index, uses in enumerate(distinct):
            target = name
            if index or not alone:
                target = _free_name(name, names)
                names.add(target)
            tensor = numpy_helper.from_array(np.asarray(values[uses[0]]), target)
            if target == name:
                tensors[name].CopyFrom(tensor)
            else:
                model.graph.initializer.append(tensor)
                for node, place in uses:
                    model.graph.node[node].input[place] = target


def _distinct(uses: list[Use], values: Mapping[Use, Array]) -> list[list[Use]]:
    """Readers with equal new values together."""
    found: list[list[Use]] = []
    for use in uses:
        for known in found:
            if np.array_equal(values[known[0]], values[use]):
                known.append(use)
                break
        else:
            found.append([use])
    return found


def _captured(model: onnx.ModelProto) -> set[str]:
    """Names that nested graphs read."""
    found: set[str] = set()
    graphs = [
        graph
        for node in model.graph.node
        for item in node.attribute
        for graph in ([item.g] if item.HasField("g") else list(item.graphs))
    ]
    while graphs:
        graph = graphs.pop()
        for node in graph.node:
            found.update(node.input)
            for item in node.attribute:
                graphs.extend([item.g] if item.HasField("g") else list(item.graphs))
    return found


def _free_name(name: str, taken: set[str]) -> str:
    index = 2
    while f"{name}_{index}" in taken:
        index += 1
    return f"{name}_{index}"
