"""A deployed Q/DQ graph opened for training, and closed again.

Opened: each int8 weight becomes a float one behind a QuantizeLinear, each int32 bias a float one. Closed: weights are
rounded with the learned scales, and biases with the product of the scales of input and weight, which is what runtimes
take them to have. What was not trained keeps its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.compress.executor.plan import in_order
from edgewright.graph.index import GraphIndex
from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode

# They only move numbers: runtimes run them on 8 bits when both sides have the same scale, which must stay so.
_MOVERS = frozenset(
    {"MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Gather", "Split", "Expand"}
    | {"Tile", "Resize", "DepthToSpace", "SpaceToDepth", "Identity", "Concat"}
)
_BOUNDED = frozenset({"Relu", "Clip"})
_FLOATS = (onnx.TensorProto.FLOAT,)


@dataclass(frozen=True)
class OpenWeight:
    """`name` is the float tensor, `stored` the int8 one in the deployed file; `largest` the greatest magnitude that
    its numbers may have (64 where the file keeps to 7 bits)."""

    name: str
    stored: str
    scale: str
    axis: int
    largest: int


@dataclass(frozen=True)
class OpenBias:
    """`name` is the float tensor; `factors` are the scales of input and weight, whose product is its own `scale`."""

    name: str
    stored: str
    scale: str
    factors: tuple[str, str]


@dataclass(frozen=True)
class OpenGraph:
    """`model` is plain ONNX with the deployed graph's nodes and names.

    `scales` maps each scale that may be trained to the one that it follows, most to themselves; those in `shrinking`
    belong to a Clip or Relu that runtimes drop only while the range does not exceed it, and must not grow.
    """

    model: onnx.ModelProto
    weights: tuple[OpenWeight, ...]
    biases: tuple[OpenBias, ...]
    scales: dict[str, str]
    shrinking: frozenset[str]


def unfold(quantised: onnx.ModelProto, float_model: onnx.ModelProto) -> OpenGraph:
    """Opens `quantised` (which is not changed). Float weights come from `float_model` by name; where the deployed
    number is not the nearest one (adaptive rounding), the float weight is moved to the border of its step.

    Raises COMPRESSION_FAILED when there is no int8 weight to open.
    """
    model = onnx.ModelProto()
    model.CopyFrom(quantised)
    index = GraphIndex(model)
    originals = {tensor.name: tensor for tensor in float_model.graph.initializer}
    weights = [
        _open_weight(node, index, originals) for node in index.nodes if _holds(node, index, onnx.TensorProto.INT8)
    ]
    if not weights:
        raise EdgewrightError(
            ErrorCode.COMPRESSION_FAILED,
            "the network has no int8 weight behind a DequantizeLinear, so there is nothing to train",
            "quantise it first (step `quantize`), in the Q/DQ form",
        )
    biases, frozen = [], set()
    for node in index.nodes:
        if _holds(node, index, onnx.TensorProto.INT32):
            bias = _bias_of(node, index)
            if bias is None:
                frozen |= {scale for reader in index.readers(node) for scale in _factors(reader, index)}
            else:
                biases.append(bias)
    # Before the stored numbers give way to floats below.
    scales = _scales(index, frozen)
    shrinking = _shrinking(index)
    new_nodes = []
    for weight, values, source in weights:
        zero = list(source.input[2:3])
        axis = next((item.i for item in source.attribute if item.name == "axis"), 1)
        new_nodes.append(
            onnx.helper.make_node(
                "QuantizeLinear", [weight.name, weight.scale, *zero], [weight.stored], weight.name + "_Q", axis=axis
            )
        )
        _replace(model, weight.stored, numpy_helper.from_array(values, weight.name))
    for bias in biases:
        scale = numpy_helper.to_array(index.initializers[bias.scale])
        stored = numpy_helper.to_array(index.initializers[bias.stored])
        values = (stored.astype(np.float64) * scale.astype(np.float64)).astype(np.float32)
        _replace(model, bias.stored, numpy_helper.from_array(values, bias.name))
    gone = {bias.name for bias in biases}
    kept = [_copy(node) for node in model.graph.node if node.output[0] not in gone]
    del model.graph.node[:]
    model.graph.node.extend([*new_nodes, *kept])
    ordered = [_copy(node) for node in in_order(model)]
    del model.graph.node[:]
    model.graph.node.extend(ordered)
    opened = tuple(weight for weight, _, _ in weights)
    return OpenGraph(model, opened, tuple(biases), scales, shrinking & scales.keys())


def fold(quantised: onnx.ModelProto, opened: OpenGraph, values: Mapping[str, Array]) -> onnx.ModelProto:
    """A copy of `quantised` with the trained `values` (by their names in `opened.model`: weights, biases and scales).

    Raises MODEL_NOT_FINITE for a value that cannot be written.
    """
    made = onnx.ModelProto()
    made.CopyFrom(quantised)
    held = {tensor.name: tensor for tensor in made.graph.initializer}
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in opened.model.graph.initializer}
    for name, value in values.items():
        if not np.isfinite(value).all() or (name in opened.scales and not (value > 0).all()):
            raise EdgewrightError(
                ErrorCode.MODEL_NOT_FINITE,
                f"the trained values of {name!r} are not finite",
                "train with a smaller learning rate",
            )
    changed = {name: value for name, value in values.items() if value.tobytes() != before[name].tobytes()}

    def scale_of(name: str) -> Array:
        return np.asarray(values.get(name, before[name]), np.float32)

    own = {weight.name for weight in opened.weights} | {bias.name for bias in opened.biases}
    for name, value in changed.items():
        if name not in own:
            _put(held[name], value.astype(np.float32))
    for weight in opened.weights:
        if weight.name in changed or weight.scale in changed:
            shaped = _along(scale_of(weight.scale), values[weight.name].ndim, weight.axis)
            numbers = np.clip(np.rint(values[weight.name] / shaped), -weight.largest, min(weight.largest, 127))
            _put(held[weight.stored], numbers.astype(np.int8))
    for bias in opened.biases:
        if bias.name in changed or changed.keys() & set(bias.factors):
            product = (scale_of(bias.factors[0]) * scale_of(bias.factors[1])).astype(np.float32)
            shape = tuple(held[bias.scale].dims)
            product = np.array(np.broadcast_to(product.reshape(-1), (int(np.prod(shape)),))).reshape(shape)
            numbers = np.rint(values[bias.name].astype(np.float64) / product.astype(np.float64))
            _put(held[bias.scale], product)
            _put(held[bias.stored], np.clip(numbers, -(2**31), 2**31 - 1).astype(np.int32))
    return made


def _holds(node: Any, index: GraphIndex, kind: int) -> bool:
    stored = index.initializers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
    return stored is not None and stored.data_type == kind and node.input[1] in index.initializers


def _open_weight(node: Any, index: GraphIndex, originals: Mapping[str, Any]) -> tuple[OpenWeight, Array, Any]:
    stored, scale_name = node.input[0], node.input[1]
    numbers = numpy_helper.to_array(index.initializers[stored])
    axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
    scale = _along(numpy_helper.to_array(index.initializers[scale_name]), numbers.ndim, axis)
    base = stored.removesuffix("_quantized")
    original = originals.get(base)
    exact = (numbers.astype(np.float32) * scale).astype(np.float32)
    values = exact if original is None else numpy_helper.to_array(original)
    if values.shape != numbers.shape or values.dtype != np.float32:
        values = exact
    most = int(np.abs(numbers.astype(np.int32)).max(initial=0))
    largest = 64 if most <= 64 else max(127, most)
    name = base + "_float"
    while name in index.initializers or name in index.producer:
        name += "_"
    return OpenWeight(name, stored, scale_name, axis, largest), _inside(values, numbers, scale, exact), node


def _inside(values: Array, numbers: Array, scale: Array, exact: Array) -> Array:
    """`values` where they round to `numbers` (or are clipped to them), else the nearest that do."""

    def right(candidate: Array) -> Array:
        rounded: Array = np.clip(np.rint(candidate / scale), -128, 127) == numbers
        return rounded

    nearest = (np.clip(values / scale, numbers - np.float32(0.499), numbers + np.float32(0.499)) * scale).astype(
        np.float32
    )
    moved = np.where(right(values), values, nearest)
    return np.where(right(moved), moved, exact).astype(np.float32)


def _bias_of(node: Any, index: GraphIndex) -> OpenBias | None:
    """The bias behind a DequantizeLinear, when one layer alone reads it and its scale is the product it should be."""
    readers = index.readers(node)
    alone = len(readers) == 1 and len(index.consumers[node.input[0]]) == 1 and len(index.consumers[node.input[1]]) == 1
    if not alone or node.output[0] in index.outputs:
        return None
    factors = _factors(readers[0], index)
    return OpenBias(node.output[0], node.input[0], node.input[1], factors) if len(factors) == 2 else None


def _factors(layer: Any, index: GraphIndex) -> tuple[str, ...]:
    """Names of the scales of a layer's input and weight, as far as both come from DequantizeLinear."""
    makers = [index.producer.get(name) for name in layer.input[:2]]
    return tuple(
        maker.input[1]
        for maker in makers
        if maker is not None and maker.op_type == "DequantizeLinear" and maker.input[1] in index.initializers
    )


def _scales(index: GraphIndex, frozen: set[str]) -> dict[str, str]:
    """Scales of activations and int8 weights -> the one each follows."""
    found: dict[str, str] = {}
    for node in index.nodes:
        is_weight = _holds(node, index, onnx.TensorProto.INT8)
        if node.op_type == "QuantizeLinear" or is_weight:
            scale = index.initializers.get(node.input[1])
            if scale is not None and scale.data_type in _FLOATS and node.input[1] not in frozen:
                found.setdefault(node.input[1], node.input[1])
    for node in index.nodes:
        if node.op_type in _MOVERS:
            _tie(node, index, found)
    return {name: _root(found, name) for name in found}


def _tie(mover: Any, index: GraphIndex, follows: dict[str, str]) -> None:
    """Lets the scales around a mover follow one another where they are equal now."""
    around = [index.producer.get(name) for name in mover.input]
    around += [reader for name in mover.output for reader in index.consumers.get(name, [])]
    pairs: list[tuple[Any, ...]] = [
        (node.input[1], *(numpy_helper.to_array(index.initializers[name]).tobytes() for name in node.input[1:3]))
        for node in around
        if node is not None
        and node.op_type in ("QuantizeLinear", "DequantizeLinear")
        and node.input[1] in follows
        and all(name in index.initializers for name in node.input[1:3])
    ]
    for name, *parameters in pairs[1:]:
        if parameters == list(pairs[0][1:]):
            follows[_root(follows, name)] = _root(follows, pairs[0][0])


def _root(follows: Mapping[str, str], name: str) -> str:
    while follows[name] != name:
        name = follows[name]
    return name


def _shrinking(index: GraphIndex) -> frozenset[str]:
    found = set()
    for node in index.nodes:
        maker = index.producer.get(node.input[0]) if node.op_type == "QuantizeLinear" else None
        if maker is not None and maker.op_type in _BOUNDED:
            found.add(node.input[1])
    return frozenset(found)


def _along(scale: Array, rank: int, axis: int) -> Array:
    if scale.size == 1:
        return scale.reshape(())
    shape = [1] * rank
    shape[axis] = -1
    return scale.reshape(shape)


def _put(tensor: Any, values: Array) -> None:
    """Writes numbers of the tensor's own type; name and shape (0-d too) stay."""
    for field in ("float_data", "int32_data"):
        tensor.ClearField(field)
    tensor.raw_data = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def _replace(model: onnx.ModelProto, name: str, tensor: Any) -> None:
    place = next(i for i, item in enumerate(model.graph.initializer) if item.name == name)
    model.graph.initializer[place].CopyFrom(tensor)


def _copy(node: Any) -> Any:
    made = onnx.NodeProto()
    made.CopyFrom(node)
    return made
