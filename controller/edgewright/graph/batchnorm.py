"""BatchNormalization folded into the convolution before it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.graph.session import Array

# Axis of the output channels in the weight.
_WEIGHT_AXIS = {"Conv": 0, "ConvTranspose": 1}


def fold_batchnorm(model: onnx.ModelProto) -> int:
    """Folds, in place, every inference-mode BatchNormalization that alone reads a convolution with constant
    weights; computed in float64. Returns how many.

    y = g (Wx + b - m) / sqrt(v + e) + s is a convolution with weight kW and bias k(b - m) + s, k = g / sqrt(v
    + e).
    """
    graph = model.graph
    held = {tensor.name: tensor for tensor in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    reads = Counter(name for node in graph.node for name in node.input)
    reads.update(output.name for output in graph.output)
    folded: list[onnx.NodeProto] = []
    for norm in graph.node:
        if norm.op_type != "BatchNormalization" or not _inference_mode(norm):
            continue
        conv = producers.get(norm.input[0])
        if conv is None or conv.op_type not in _WEIGHT_AXIS or reads[norm.input[0]] != 1:
            continue
        if conv.op_type == "ConvTranspose" and _attribute(conv, "group", 1) != 1:
            continue
        constants = [*conv.input[1:], *norm.input[1:5]]
        if any(name and name not in held for name in constants):
            continue
        scale, shift, mean, variance = (_float64(held[name]) for name in norm.input[1:5])
        factor = scale / np.sqrt(variance + _attribute(norm, "epsilon", 1e-5))
        weight = held[conv.input[1]]
        axis = _WEIGHT_AXIS[conv.op_type]
        shape = [1] * len(weight.dims)
        shape[axis] = -1
        has_bias = len(conv.input) > 2 and conv.input[2]
        bias = _float64(held[conv.input[2]]) if has_bias else np.zeros_like(mean)
        names = (f"{norm.output[0]}_weight", f"{norm.output[0]}_bias")
        values = (_float64(weight) * factor.reshape(shape), (bias - mean) * factor + shift)
        for name, value in zip(names, values, strict=True):
            dtype = numpy_helper.to_array(weight).dtype
            graph.initializer.append(numpy_helper.from_array(value.astype(dtype), name))
        del conv.input[1:]
        conv.input.extend(names)
        conv.output[0] = norm.output[0]
        folded.append(norm)
    for norm in folded:
        graph.node.remove(norm)
    if folded:
        drop_unused_initializers(model)
    return len(folded)


def drop_unused_initializers(model: onnx.ModelProto) -> None:
    """Removes, in place, initializers that no node reads."""
    read = {output.name for output in model.graph.output}
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        for node in graph.node:
            read.update(node.input)
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    graphs.append(attribute.g)
                graphs.extend(attribute.graphs)
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    if len(kept) < len(model.graph.initializer):
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)


def _inference_mode(norm: onnx.NodeProto) -> bool:
    return len([name for name in norm.output if name]) == 1 and _attribute(norm, "training_mode", 0) == 0


def _attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    for attribute in node.attribute:
        if attribute.name == name:
            value: float = onnx.helper.get_attribute_value(attribute)
            return value
    return default


def _float64(tensor: onnx.TensorProto) -> Array:
    values: Array = numpy_helper.to_array(tensor).astype(np.float64)
    return values
