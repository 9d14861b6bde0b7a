"""Bias correction: the mean shift that rounded weights cause is taken back by the bias.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section
4.2: E[y' - y] = (W' - W) E[x], with E[x] per channel from calibration (exact away from padded borders).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.compress.placement import Layer
from edgewright.graph.index import GraphIndex
from edgewright.graph.session import Array


def correct_biases(
    quantised: onnx.ModelProto,
    weights: Mapping[str, Array],
    layers: tuple[Layer, ...],
    channel_means: Mapping[str, Array],
) -> int:
    """Edits the int32 biases of Conv and Gemm layers in place; returns how many layers were corrected.

    `weights` are the float weights by initializer name, `channel_means` the mean of each layer's input
    [channels].
    """
    index = GraphIndex(quantised)
    nodes = {node.name: node for node in index.nodes}
    done = 0
    for layer in layers:
        node = nodes.get(layer.name)
        if node is None or layer.input not in channel_means or len(node.input) < 3:
            continue
        weight = index.producer.get(node.input[1])
        bias = index.producer.get(node.input[2])
        if weight is None or bias is None or "DequantizeLinear" not in (weight.op_type, bias.op_type):
            continue
        stored = index.initializers.get(bias.input[0])
        if stored is None or len(index.consumers[bias.input[0]]) > 1 or weight.input[0] not in index.initializers:
            continue
        shift = _mean_shift(node, weight, weights[layer.weight], channel_means[layer.input], index)
        if shift is None:
            continue
        scale = numpy_helper.to_array(index.initializers[bias.input[1]]).astype(np.float64)
        values = numpy_helper.to_array(stored).astype(np.float64) - shift / scale
        rounded = np.clip(np.rint(values), -(2**31), 2**31 - 1).astype(np.int32)
        stored.CopyFrom(numpy_helper.from_array(rounded, stored.name))
        done += 1
    return done


def _mean_shift(
    node: onnx.NodeProto, weight: onnx.NodeProto, original: Array, mean: Array, index: GraphIndex
) -> Array | None:
    """(W' - W) E[x] of each output channel, float64 [outputs]; None for forms that are not covered."""
    axis = next((item.i for item in weight.attribute if item.name == "axis"), 1)
    rounded = dequantised(
        numpy_helper.to_array(index.initializers[weight.input[0]]),
        numpy_helper.to_array(index.initializers[weight.input[1]]),
        axis,
    )
    gap = rounded - original.astype(np.float64)
    if node.op_type == "Conv":
        group = next((item.i for item in node.attribute if item.name == "group"), 1)
        per_input = gap.reshape(gap.shape[0], gap.shape[1], -1).sum(axis=2)  # [outputs, inputs / group]
        if mean.size != gap.shape[1] * group:
            return None
        groups = per_input.reshape(group, gap.shape[0] // group, gap.shape[1])
        shift: Array = np.einsum("goi,gi->go", groups, mean.reshape(group, -1)).reshape(-1)
        return shift
    if node.op_type == "Gemm":
        if any(item.name == "transA" and item.i for item in node.attribute):
            return None
        transposed = any(item.name == "transB" and item.i for item in node.attribute)
        matrix = gap if transposed else gap.T
        return None if mean.size != matrix.shape[1] else matrix @ mean
    return None


def dequantised(values: Array, scale: Array, axis: int) -> Array:
    """scale * values along `axis`, float64; symmetric, so the zero point is 0."""
    if scale.size == 1:
        return values.astype(np.float64) * float(scale.reshape(-1)[0])
    shape = [1] * values.ndim
    shape[axis] = -1
    product: Array = values.astype(np.float64) * scale.astype(np.float64).reshape(shape)
    return product
