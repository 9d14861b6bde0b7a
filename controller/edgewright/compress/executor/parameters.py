"""Which tensors of a network are weights that may be trained.

A whitelist by the place where a tensor is read. "All float initializers" would also train clip bounds, anchors,
strides and the scales of Resize.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import onnx

# Input position -> role, for operators whose constant float inputs are weights.
_PLACES: dict[str, dict[int, str]] = {
    "Conv": {1: "weight", 2: "bias"},
    "ConvTranspose": {1: "weight", 2: "bias"},
    "Gemm": {0: "weight", 1: "weight", 2: "bias"},
    "MatMul": {0: "weight", 1: "weight"},
    "BatchNormalization": {1: "scale", 2: "shift"},
    "InstanceNormalization": {1: "scale", 2: "shift"},
    "LayerNormalization": {1: "scale", 2: "shift"},
    "GroupNormalization": {1: "scale", 2: "shift"},
    "RMSNormalization": {1: "scale"},
    "PRelu": {1: "slope"},
}
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"})
_NORMS = frozenset(name for name, places in _PLACES.items() if "scale" in places.values())
# A weight may lie behind these, read through their first input; its gradient passes.
_CARRIERS = frozenset(
    {"Identity", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "QuantizeLinear", "DequantizeLinear"}
)
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)


@dataclass(frozen=True)
class Weights:
    """`roles` says for each trainable tensor what it is: weight, bias, scale, shift or slope.

    `statistics` are running means and variances that one BatchNormalization alone reads: training mode renews them.
    """

    roles: dict[str, str]
    statistics: frozenset[str]


def find_weights(model: onnx.ModelProto) -> Weights:
    """Looks through initializers and Constant nodes.

    A tensor that is also read in a place outside the whitelist is left alone: it means something else there.
    """
    search = _Search(model)
    roles: dict[str, str] = {}
    for node in model.graph.node:
        for place, role in _weight_places(node, search).items():
            root = search.root(node.input[place])
            if root in search.held and search.held[root].data_type in _FLOATS:
                search.allowed.add((id(node), place))
                roles.setdefault(root, role)
    kept = {name: role for name, role in roles.items() if search.only_allowed(name)}
    reads = Counter(name for node in model.graph.node for name in node.input)
    statistics = {
        name
        for node in model.graph.node
        if node.op_type == "BatchNormalization" and len(set(node.input[3:5])) == 2
        for name in node.input[3:5]
        if all(reads[each] == 1 and each in search.held for each in node.input[3:5])
    }
    return Weights(kept, frozenset(statistics))


class _Search:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.held: dict[str, Any] = {tensor.name: tensor for tensor in model.graph.initializer}
        self.producer: dict[str, Any] = {}
        self.readers: dict[str, list[tuple[Any, int]]] = defaultdict(list)
        self.outputs = {value.name for value in model.graph.output}
        self.allowed: set[tuple[int, int]] = set()
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self.held[node.output[0]] = node.attribute[0].t
            for name in node.output:
                self.producer[name] = node
            for place, name in enumerate(node.input):
                self.readers[name].append((node, place))

    def root(self, name: str) -> str:
        """The constant that a tensor is made of by carriers alone, or the tensor itself."""
        while name not in self.held:
            node = self.producer.get(name)
            if node is None or node.op_type not in _CARRIERS:
                break
            name = node.input[0]
        return name

    def maker(self, name: str) -> Any:
        """The node that computes a tensor, seen through carriers; None for inputs and constants."""
        node = self.producer.get(name)
        while node is not None and node.op_type in _CARRIERS:
            node = self.producer.get(node.input[0])
        return None if node is None or node.op_type == "Constant" else node

    def only_allowed(self, name: str) -> bool:
        """Whether every reader, through carriers, is a place of the whitelist (or only asks for the shape)."""
        if name in self.outputs:
            return False
        for node, place in self.readers[name]:
            if (id(node), place) in self.allowed or node.op_type in ("Shape", "Size"):
                continue
            if node.op_type not in _CARRIERS or place != 0 or not self.only_allowed(node.output[0]):
                return False
        return True


def _weight_places(node: Any, search: _Search) -> dict[int, str]:
    """Places of this node where a constant is a weight."""
    if node.op_type in ("Add", "Mul") and len(node.input) == 2:
        return _written_out(node, search)
    return {place: role for place, role in _PLACES.get(node.op_type, {}).items() if place < len(node.input)}


def _written_out(node: Any, search: _Search) -> dict[int, str]:
    """A bias added after a product, a scale or shift after a normalisation: vectors along one axis only."""
    for place in (0, 1):
        root = search.root(node.input[place])
        maker = search.maker(node.input[1 - place])
        if root not in search.held or maker is None or not _is_vector(search.held[root]):
            continue
        if node.op_type == "Mul" and maker.op_type in _NORMS:
            return {place: "scale"}
        if node.op_type == "Add" and maker.op_type in _PRODUCTS:
            return {place: "bias"}
        after_scale = maker.op_type == "Mul" and bool(_written_out(maker, search))
        if node.op_type == "Add" and (maker.op_type in _NORMS or after_scale):
            return {place: "shift"}
    return {}


def _is_vector(tensor: Any) -> bool:
    return len([size for size in tensor.dims if size != 1]) == 1


def reached_from(nodes: Iterable[Any], names: set[str]) -> set[str]:
    """`names` and every tensor computed from them; `nodes` in topological order."""
    reached = set(names)
    for node in nodes:
        if reached.intersection(node.input):
            reached.update(name for name in node.output if name)
    return reached
