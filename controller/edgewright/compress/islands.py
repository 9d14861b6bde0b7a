"""Islands: connected operators on 8 bits, and whether one earns what its shores cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod

import onnx

from edgewright.graph.cost import node_macs
from edgewright.graph.index import GraphIndex
from edgewright.graph.shapes import Shape

_PRODUCT_OPS = ("Gemm", "MatMul")


@dataclass(frozen=True)
class Island:
    """Connected quantised nodes: their arithmetic, and the elements that are converted at their borders."""

    nodes: frozenset[str]
    macs: int
    converted: int


def islands_of(index: GraphIndex, chosen: Collection[str], shapes: Mapping[str, Shape]) -> list[Island]:
    """Splits the chosen nodes into islands. Tensors of unknown size count as nothing converted."""
    members = [node for node in index.nodes if node.name in chosen]
    leader = {node.name: node.name for node in members}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for node in members:
        for reader in index.readers(node):
            if reader.name in leader:
                leader[find(reader.name)] = find(node.name)
    groups: dict[str, list[onnx.NodeProto]] = {}
    for node in members:
        groups.setdefault(find(node.name), []).append(node)
    return [_island(group, index, chosen, shapes) for group in groups.values()]


def _island(
    group: list[onnx.NodeProto], index: GraphIndex, chosen: Collection[str], shapes: Mapping[str, Shape]
) -> Island:
    names = frozenset(node.name for node in group)
    entering: set[str] = set()
    leaving: set[str] = set()
    for node in group:
        for name in index.activations(node.input):
            maker = index.producer.get(name)
            if maker is None or maker.name not in names:
                entering.add(name)
        for name in node.output:
            readers = index.consumers.get(name, [])
            outside = name in index.outputs or any(reader.name not in chosen for reader in readers)
            inside = any(reader.name in chosen for reader in readers)
            # A matrix product that only float operators read hands out floats at no cost.
            if outside and (inside or node.op_type not in _PRODUCT_OPS):
                leaving.add(name)
    macs = sum(node_macs(node, shapes) or 0 for node in group)
    return Island(names, macs, sum(elements(shapes.get(name)) or 0 for name in entering | leaving))


def elements(shape: Shape | None) -> int | None:
    """Elements of a tensor; None where its shape is not fully known."""
    if shape is None or None in shape:
        return None
    return prod(size for size in shape if size is not None)
