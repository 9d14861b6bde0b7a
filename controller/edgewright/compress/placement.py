"""Placement: which operators become INT8. Whole islands that the runtime fuses, never single operators."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import onnx

from edgewright.compress.islands import elements, islands_of
from edgewright.graph.cost import node_macs
from edgewright.graph.index import GraphIndex
from edgewright.graph.shapes import Shape

# Operators with constant weights: the reason for quantising at all.
ANCHOR_OPS = ("Conv", "Gemm", "MatMul")
# Disappear into the quantization of the operator before them.
REMOVABLE_OPS = ("Relu", "Clip")
# What onnxruntime's CPU provider runs on 8 bits between anchors, by fusing or by passing numbers through.
GLUE_OPS = (
    *REMOVABLE_OPS,
    "LeakyRelu",
    "Sigmoid",
    "Add",
    "Mul",
    "Concat",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Resize",
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Split",
    "Slice",
    "Pad",
)
_RESHAPING_OPS = ("Reshape", "Flatten", "Squeeze", "Identity")
# Inputs besides the first that are shapes, axes and bounds, not data.
_ONE_DATA_INPUT = frozenset(GLUE_OPS) - {"Add", "Mul", "Concat"}
# A float input this many times smaller than the result (a gate) costs nothing to quantise in between.
_GATE_RATIO = 16
# An output layer of a network that is no classifier stays float up to this share of all MACs.
_HEAD_SHARE = 0.08


@dataclass(frozen=True)
class FloatLayer:
    """A layer with weights that stays float, and why."""

    name: str
    op: str
    reason: str


@dataclass(frozen=True)
class Layer:
    """An anchor with the activation that disappears into it; the unit of mixed precision."""

    name: str
    op: str
    nodes: tuple[str, ...]
    input: str
    output: str
    weight: str
    macs: int


@dataclass(frozen=True)
class Placement:
    """`nodes` are quantised; `tensors` need a range; `layers` are the quantised anchors; the rest is
    named.
    """

    nodes: tuple[str, ...]
    tensors: tuple[str, ...]
    layers: tuple[Layer, ...]
    float_layers: tuple[FloatLayer, ...]
    macs: int
    hopeless: bool = False

    @property
    def ops(self) -> tuple[str, ...]:
        return tuple(sorted({*ANCHOR_OPS, *GLUE_OPS}))


def place(
    model: onnx.ModelProto,
    shapes: dict[str, Shape],
    classification: bool,
    keep_float: dict[str, str] | None = None,
    macs_per_conversion: float = 0.0,
) -> Placement:
    """Chooses what is quantised. `keep_float` maps names of anchors to the reason why they stay float.

    By structure these stay float: gates of squeeze-and-excite blocks, output layers of networks that are not
    classifiers (where they are cheap), and everything that does not lead from anchor to anchor: decoding
    tails, attention products, normalisations.
    """
    index = GraphIndex(model)
    wanted = dict(keep_float or {})
    total = sum(node_macs(node, shapes) or 0 for node in index.nodes)
    anchors: dict[str, onnx.NodeProto] = {}
    float_layers: list[FloatLayer] = []
    for node in index.nodes:
        if node.op_type not in ANCHOR_OPS or len(node.input) < 2 or node.input[1] not in index.initializers:
            continue
        reason = wanted.get(node.name) or _structural_reason(node, index, shapes, classification, total)
        if reason:
            float_layers.append(FloatLayer(node.name, node.op_type, reason))
        else:
            anchors[node.name] = node
    chosen = _islands(index, anchors, shapes)
    losing = _losing(index, anchors, chosen, shapes, macs_per_conversion)
    hopeless = bool(losing) and len(losing) == len(anchors)
    if losing and not hopeless:
        for name in losing:
            reason = "converting to and from 8 bits costs more than it saves"
            float_layers.append(FloatLayer(name, anchors.pop(name).op_type, reason))
        chosen = _islands(index, anchors, shapes)
    layers = tuple(_layer(node, index, chosen, shapes) for node in anchors.values())
    tensors: dict[str, None] = {}
    for node in index.nodes:
        if node.name not in chosen:
            continue
        for name in (*index.activations(_data_inputs(node)), *node.output):
            if name and not _absorbed(name, index, chosen):
                tensors[name] = None
    return Placement(tuple(chosen), tuple(tensors), layers, tuple(float_layers), total, hopeless)


def _islands(
    index: GraphIndex, anchors: dict[str, onnx.NodeProto], shapes: dict[str, Shape]
) -> dict[str, onnx.NodeProto]:
    """Anchors and the glue between them: glue stays only when its data comes from the island and goes into
    it.
    """
    chosen = {node.name: node for node in index.nodes if node.name in anchors or node.op_type in GLUE_OPS}
    changed = True
    while changed:
        changed = False
        for node in list(chosen.values()):
            if node.name in anchors:
                continue
            if not _fed(node, index, chosen, shapes) or not _used(node, index, chosen, anchors):
                del chosen[node.name]
                changed = True
    return chosen


def _losing(
    index: GraphIndex,
    anchors: dict[str, onnx.NodeProto],
    chosen: Collection[str],
    shapes: dict[str, Shape],
    macs_per_conversion: float,
) -> list[str]:
    """Anchors of islands that do not earn their conversions."""
    return [
        name
        for island in islands_of(index, chosen, shapes)
        if island.macs < macs_per_conversion * island.converted
        for name in island.nodes
        if name in anchors
    ]


def _fed(node: onnx.NodeProto, index: GraphIndex, chosen: Collection[str], shapes: dict[str, Shape]) -> bool:
    result = elements(shapes.get(node.output[0]))
    from_island = 0
    for name in index.activations(_data_inputs(node)):
        maker = index.producer.get(name)
        if maker is not None and maker.name in chosen:
            from_island += 1
            continue
        size = elements(shapes.get(name))
        if result is None or size is None or size * _GATE_RATIO > result:
            return False
    return from_island > 0


def _used(node: onnx.NodeProto, index: GraphIndex, chosen: Collection[str], anchors: Collection[str]) -> bool:
    if node.op_type in REMOVABLE_OPS and any(maker.name in anchors for maker in index.makers(node)):
        return True
    if node.op_type == "GlobalAveragePool" and not _is_output(node, index):
        return True  # what goes back to float is so much smaller
    return any(reader.name in chosen for reader in index.readers(node))


def _structural_reason(
    node: onnx.NodeProto, index: GraphIndex, shapes: dict[str, Shape], classification: bool, total: int
) -> str:
    weight = index.initializers[node.input[1]]
    if weight.data_type != onnx.TensorProto.FLOAT:
        return "its weights are not float32"
    if node.op_type == "MatMul" and len(weight.dims) != 2:
        return "a batched matrix product"
    if node.op_type == "Gemm" and any(a.name in ("alpha", "beta") and a.f != 1.0 for a in node.attribute):
        return "a scaled matrix product"
    if _is_gate(node, index, shapes):
        return "gate of a squeeze-and-excite block: costs nothing, decides much"
    macs = node_macs(node, shapes) or 0
    if not classification and macs <= _HEAD_SHARE * total and _is_head(node, index):
        return "output layer: its values are read as they are"
    return ""


def _is_gate(node: onnx.NodeProto, index: GraphIndex, shapes: dict[str, Shape]) -> bool:
    """A layer on 1 x 1 maps whose result, a few steps on, multiplies a larger tensor."""
    own = shapes.get(node.output[0])
    if own is None or (node.op_type == "Conv" and any(side != 1 for side in own[2:])):
        return False
    if node.op_type != "Conv" and len(own) != 2:
        return False
    size = elements(own)
    frontier, depth = index.readers(node), 0
    while frontier and depth < 8:
        following: list[onnx.NodeProto] = []
        for reader in frontier:
            result = elements(shapes.get(reader.output[0]))
            if reader.op_type == "Mul" and size and result and result >= 4 * size:
                return True
            if result is not None and size and result <= 64 * size:
                following.extend(index.readers(reader))
        frontier, depth = following[:32], depth + 1
    return False


def _is_head(node: onnx.NodeProto, index: GraphIndex) -> bool:
    """Whether no anchor follows."""
    seen: set[str] = set()
    frontier = index.readers(node)
    while frontier:
        reader = frontier.pop()
        if reader.name in seen:
            continue
        seen.add(reader.name)
        if reader.op_type in ANCHOR_OPS and len(reader.input) > 1 and reader.input[1] in index.initializers:
            return False
        frontier.extend(index.readers(reader))
    return True


def _is_output(node: onnx.NodeProto, index: GraphIndex) -> bool:
    """Whether the network hands out this node's result, reshaped at most: scores deserve more than 8 bits."""
    while node.output[0] not in index.outputs:
        readers = index.readers(node)
        if len(readers) != 1 or readers[0].op_type not in _RESHAPING_OPS:
            return False
        node = readers[0]
    return True


def _layer(node: onnx.NodeProto, index: GraphIndex, chosen: Collection[str], shapes: dict[str, Shape]) -> Layer:
    nodes, output = [node.name], node.output[0]
    readers = index.consumers.get(output, [])
    if len(readers) == 1 and readers[0].op_type in REMOVABLE_OPS and readers[0].name in chosen:
        nodes.append(readers[0].name)
        output = readers[0].output[0]
    macs = node_macs(node, shapes) or 0
    return Layer(node.name, node.op_type, tuple(nodes), node.input[0], output, node.input[1], macs)


def _absorbed(name: str, index: GraphIndex, chosen: Collection[str]) -> bool:
    """Whether the tensor vanishes because its only reader is an activation that is folded into its maker."""
    readers = index.consumers.get(name, [])
    maker = index.producer.get(name)
    return (
        maker is not None
        and maker.name in chosen
        and name not in index.outputs
        and len(readers) == 1
        and readers[0].op_type in REMOVABLE_OPS
        and readers[0].name in chosen
    )


def _data_inputs(node: onnx.NodeProto) -> list[str]:
    if node.op_type in ANCHOR_OPS or node.op_type in _ONE_DATA_INPUT:
        return list(node.input[:1])
    return list(node.input)
