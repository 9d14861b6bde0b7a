"""How large a network is: parameters and multiply-accumulates."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import onnx

from edgewright.graph.shapes import Shape

_FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
    onnx.TensorProto.DOUBLE,
)
COUNTED_OPS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def count_parameters(model: onnx.ModelProto) -> int:
    """Elements of all floating-point initializers."""
    return sum(prod(tensor.dims) for tensor in model.graph.initializer if tensor.data_type in _FLOATS)


def node_macs(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int | None:
    """Multiply-accumulates of one node; None where a shape is unknown, 0 for operators that are not
    counted.
    """
    if node.op_type not in COUNTED_OPS:
        return 0
    first, second = shapes.get(node.input[0]), shapes.get(node.input[1])
    result = shapes.get(node.output[0])
    if first is None or second is None or result is None or None in (*first, *second, *result):
        return None
    known = [size for size in result if size is not None]
    if node.op_type == "Conv":
        return prod(known) * prod(size for size in second[1:] if size is not None)
    if node.op_type == "ConvTranspose":
        return prod(size for size in (*first, *second[1:]) if size is not None)
    inner = first[-1]
    if node.op_type == "Gemm" and any(item.name == "transA" and item.i for item in node.attribute):
        inner = first[0]
    return prod(known) * (inner or 0)


def count_macs(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> tuple[int, int]:
    """Multiply-accumulates of Conv, ConvTranspose, Gemm and MatMul, and how many of them had unknown
    shapes.
    """
    counts = [node_macs(node, shapes) for node in model.graph.node]
    return sum(count for count in counts if count is not None), sum(count is None for count in counts)
