"""Small networks that each hold one difficulty of pruning, built node by node with seeded weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 8


class Builder:
    """Adds nodes and weights; tensors are known by name."""

    def __init__(self, seed: int = 0, batch: int | str = 1, channels: int = 3, opset: int = 17) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.opset = opset
        self.input = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, channels, SIDE, SIDE])
        self.batch = batch

    def add(self, operator: str, inputs: list[str], outputs: int = 1, **attributes: Any) -> Any:
        """A node; the name of its output, or of all of them."""
        number = len(self.nodes)
        names = [f"{operator.lower()}_{number}" + (f"_{part}" if outputs > 1 else "") for part in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=f"{operator}_{number}", **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        name = f"constant_{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.array(value, dtype=dtype), name))
        return name

    def weight(self, *shape: int, scale: float = 1.0) -> str:
        fan_in = max(int(np.prod(shape[1:])), 1)
        return self.constant(self.rng.normal(0, scale / np.sqrt(fan_in), shape), np.float32)

    def conv(self, x: str, source: int, made: int, kernel: int = 3, groups: int = 1) -> str:
        weight = self.weight(made, source // groups, kernel, kernel)
        bias = self.constant(self.rng.normal(0, 0.3, made), np.float32)
        return str(self.add("Conv", [x, weight, bias], group=groups, pads=[kernel // 2] * 4))

    def norm(self, x: str, channels: int) -> str:
        parameters = [
            self.constant(self.rng.uniform(low, high, channels), np.float32)
            for low, high in ((0.5, 2), (-1, 1), (-0.5, 0.5), (0.5, 2))
        ]
        return str(self.add("BatchNormalization", [x, *parameters]))

    def head(self, x: str, channels: int, classes: int = 5) -> onnx.ModelProto:
        """Global pooling, Gemm, and the finished model."""
        pooled = self.add("Flatten", [self.add("GlobalAveragePool", [x])])
        bias = self.constant(self.rng.normal(0, 0.3, classes), np.float32)
        y = self.add("Gemm", [pooled, self.weight(classes, channels), bias], transB=1)
        return self.model(y, [self.batch, classes])

    def model(self, output: str, shape: list[int | str]) -> onnx.ModelProto:
        made = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "network", [self.input], [made], self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def residual() -> onnx.ModelProto:
    """Two residual blocks with BatchNormalization kept."""
    b = Builder()
    x = b.add("Relu", [b.norm(b.conv("x", 3, 16), 16)])
    for _ in range(2):
        y = b.add("Relu", [b.norm(b.conv(x, 16, 24), 24)])
        x = b.add("Relu", [b.add("Add", [x, b.norm(b.conv(y, 24, 16), 16)])])
    return b.head(x, 16)


def mobile() -> onnx.ModelProto:
    """Inverted residuals with depthwise convolution and squeeze-and-excitation; dynamic batch."""
    b = Builder(batch="N")
    x = b.add("HardSwish", [b.conv("x", 3, 8)])
    for _ in range(2):
        y = b.add("Relu", [b.conv(x, 8, 24, 1)])
        y = b.add("HardSwish", [b.conv(y, 24, 24, groups=24)])
        gate = b.add("GlobalAveragePool", [y])
        gate = b.add("HardSigmoid", [b.conv(b.add("Relu", [b.conv(gate, 24, 12, 1)]), 12, 24, 1)])
        x = b.add("Add", [x, b.conv(b.add("Mul", [y, gate]), 24, 8, 1)])
    return b.head(x, 8)


def shuffle() -> onnx.ModelProto:
    """Split, branch, Concat and channel shuffle, twice."""
    b = Builder()
    x = b.add("Relu", [b.conv("x", 3, 16)])
    for _ in range(2):
        left, right = b.add("Split", [x, b.constant([8, 8])], outputs=2, axis=1)
        right = b.add("Relu", [b.conv(b.conv(right, 8, 8, 1), 8, 8, groups=8)])
        x = b.add("Concat", [left, right], axis=1)
        x = b.add("Reshape", [x, b.constant([1, 2, 8, SIDE, SIDE])])
        x = b.add("Reshape", [b.add("Transpose", [x], perm=[0, 2, 1, 3, 4]), b.constant([1, 16, SIDE, SIDE])])
    return b.head(x, 16)


def grouped() -> onnx.ModelProto:
    """Grouped convolutions: few wide groups (positions are tied) and many narrow ones (whole groups go)."""
    b = Builder()
    x = b.add("Relu", [b.conv("x", 3, 32)])
    x = b.add("Relu", [b.conv(x, 32, 48, groups=2)])
    x = b.add("Relu", [b.conv(x, 48, 32, groups=16)])
    return b.head(b.add("Relu", [b.conv(x, 32, 16)]), 16)


def dense() -> onnx.ModelProto:
    """Features joined again and again, read by Slice and Gather as well."""
    b = Builder()
    x, width = b.conv("x", 3, 8), 8
    for _ in range(3):
        y = b.add("Relu", [b.conv(b.add("Relu", [b.norm(x, width)]), width, 12)])
        x, width = b.add("Concat", [x, y], axis=1), width + 12
    first = b.add("Slice", [x, b.constant([4]), b.constant([20]), b.constant([1])])
    last = b.add("Slice", [x, b.constant([-16]), b.constant([2**62]), b.constant([1])])
    picked = b.add("Gather", [x, b.constant(list(range(40, 8, -2)))], axis=1)
    x = b.add("Add", [b.add("Mul", [b.conv(first, 16, 6), b.conv(last, 16, 6)]), b.conv(picked, 16, 6)])
    return b.head(x, 6)


def decoder() -> onnx.ModelProto:
    """Transposed convolutions (plain and grouped), pixel shuffle, Resize to a size, Pad, PRelu, a flatten head."""
    b = Builder()
    x = b.conv("x", 3, 12)
    slope = b.constant(b.rng.uniform(0.1, 0.5, (12, 1, 1)), np.float32)
    x = b.add("PRelu", [x, slope])
    bias = b.constant(b.rng.normal(0, 0.3, 16), np.float32)
    x = b.add("ConvTranspose", [x, b.weight(12, 16, 2, 2), bias], strides=[2, 2])
    x = b.add("ConvTranspose", [x, b.weight(16, 2, 2, 2)], group=8)
    x = b.add("DepthToSpace", [x], blocksize=2)
    x = b.add("Resize", [x, "", "", b.constant([1, 4, 8, 8])], mode="nearest")
    x = b.add("Pad", [x, b.constant([0, 2, 1, 1, 0, 1, 1, 1])])
    x = b.add("Relu", [b.conv(x, 7, 10)])
    x = b.add("Flatten", [b.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])])
    y = b.add("Gemm", [x, b.weight(10 * 25, 7)])
    return b.model(y, [1, 7])


def attention() -> onnx.ModelProto:
    """A transformer block: packed q, k, v, LayerNormalization, an MLP; widths of heads are computed from Shape."""
    b = Builder(batch="N")
    width, heads = 16, 4
    x = b.add("Transpose", [b.add("Reshape", [b.conv("x", 3, width), b.constant([0, width, -1])])], perm=[0, 2, 1])
    scale, shift = (b.constant(b.rng.uniform(0.5, 1.5, width), np.float32) for _ in range(2))
    y = b.add("LayerNormalization", [x, scale, shift])
    y = b.add("Add", [b.add("MatMul", [y, b.weight(width, 3 * width)]), b.constant(b.rng.normal(size=48), np.float32)])
    y = b.add("Reshape", [y, b.constant([0, -1, 3, heads, width // heads])])
    y = b.add("Transpose", [y], perm=[2, 0, 3, 1, 4])
    q, k, v = (b.add("Gather", [y, b.constant(part)], axis=0) for part in range(3))
    scores = b.add("MatMul", [q, b.add("Transpose", [k], perm=[0, 1, 3, 2])])
    scores = b.add("Add", [scores, b.constant(b.rng.normal(size=(1, heads, 1, 64)), np.float32)])
    scores = b.add("Softmax", [b.add("Mul", [scores, b.constant(0.5, np.float32)])], axis=-1)
    y = b.add("Transpose", [b.add("MatMul", [scores, v])], perm=[0, 2, 1, 3])
    size = b.add("Shape", [x])
    target = [b.add("Gather", [size, b.constant([axis])], axis=0) for axis in range(3)]
    y = b.add("Reshape", [y, b.add("Concat", target, axis=0)])
    x = b.add("Add", [x, b.add("MatMul", [y, b.weight(width, width)])])
    y = b.add("Erf", [b.add("MatMul", [x, b.weight(width, 40)])])
    x = b.add("Add", [x, b.add("MatMul", [y, b.weight(40, width)])])
    y = b.add("MatMul", [b.add("ReduceMean", [x], axes=[1], keepdims=0), b.weight(width, 5)])
    return b.model(y, ["N", 5])


def measured() -> onnx.ModelProto:
    """Both bounds of a Slice, and the target of a Reshape, are computed from sizes of another tensor."""
    b = Builder(batch="N")
    wide, other = b.conv("x", 3, 12), b.conv("x", 3, 6)
    six = b.add("Gather", [b.add("Shape", [other]), b.constant([1])], axis=0)
    x = b.add(
        "Slice", [wide, b.add("Div", [six, b.constant([2])]), b.add("Add", [six, b.constant([4])]), b.constant([1])]
    )
    x = b.add("Relu", [b.conv(x, 7, 6)])
    target = [b.add("Gather", [b.add("Shape", ["x"]), b.constant([0])], axis=0), six, b.constant([-1])]
    x = b.add("Reshape", [x, b.add("Concat", target, axis=0)])
    y = b.add("MatMul", [b.add("ReduceMean", [x], axes=[2], keepdims=0), b.weight(6, 5)])
    whole = b.add("Slice", [wide, b.add("Sub", [six, six]), b.add("Mul", [six, b.constant([2])]), b.constant([1])])
    for read, width in ((other, 6), (whole, 12)):
        pooled = b.add("Flatten", [b.add("GlobalAveragePool", [read])])
        y = b.add("Add", [y, b.add("MatMul", [pooled, b.weight(width, 5)])])
    return b.model(y, ["N", 5])


def normalised() -> onnx.ModelProto:
    """GroupNormalization as one operator, and as exporters spell it: a cut into groups and InstanceNormalization."""
    b = Builder(opset=21)
    parameters = [b.constant(b.rng.uniform(0.5, 1.5, 24), np.float32) for _ in range(2)]
    x = b.add("GroupNormalization", [b.conv("x", 3, 24), *parameters], num_groups=8)
    x = b.add("Reshape", [b.conv(b.add("Relu", [x]), 24, 16), b.constant([0, 4, -1])])
    parameters = [b.constant(b.rng.uniform(0.5, 1.5, 4), np.float32) for _ in range(2)]
    x = b.add("InstanceNormalization", [x, *parameters])
    x = b.add("Reshape", [x, b.constant([1, 16, SIDE, SIDE])])
    factor, shift = (b.constant(b.rng.uniform(0.5, 1.5, (16, 1, 1)), np.float32) for _ in range(2))
    return b.head(b.add("Add", [b.add("Mul", [x, factor]), shift]), 16)


def recurrent() -> onnx.ModelProto:
    """Columns of an image read by an LSTM, as text recognisers do."""
    b = Builder()
    x = b.add("Relu", [b.conv("x", 3, 12)])
    x = b.add("MaxPool", [x], kernel_shape=[SIDE, 1])
    x = b.add("Transpose", [b.add("Squeeze", [x, b.constant([2])])], perm=[2, 0, 1])
    weights = [b.weight(1, 20, 12), b.weight(1, 20, 5), b.weight(1, 40)]
    _, last, _ = b.add("LSTM", [x, *weights], outputs=3, hidden_size=5)
    return b.model(last, [1, 1, 5])


def speaking() -> onnx.ModelProto:
    """A scalar added after the convolution and a sigmoid: zeroed channels still say something."""
    b = Builder()
    x = b.add("Add", [b.conv("x", 3, 16), b.constant(0.7, np.float32)])
    x = b.add("Sigmoid", [b.conv(x, 16, 16)])
    return b.head(b.add("Relu", [b.conv(x, 16, 12)]), 12)


def faint(scale: float = 1e-6) -> onnx.ModelProto:
    """A residual block whose branch is scaled to almost nothing, as ConvNeXt is initialised; the trunk cannot go."""
    b = Builder()
    x = b.conv("x", 3, 8)
    y = b.conv(b.add("Relu", [b.conv(x, 8, 32, 1)]), 32, 8, 1)
    x = b.add("Add", [x, b.add("Mul", [y, b.constant(np.full((8, 1, 1), scale), np.float32)])])
    x = b.add("Transpose", [x], perm=[0, 2, 3, 1])
    scale_and_shift = [b.constant(b.rng.uniform(0.5, 1.5, 8), np.float32) for _ in range(2)]
    x = b.add("Transpose", [b.add("LayerNormalization", [x, *scale_and_shift])], perm=[0, 3, 1, 2])
    return b.model(x, [1, 8, SIDE, SIDE])


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    function.__name__: function
    for function in (
        residual,
        mobile,
        shuffle,
        grouped,
        dense,
        decoder,
        attention,
        measured,
        normalised,
        recurrent,
        speaking,
        faint,
    )
}


def saved(model: onnx.ModelProto, folder: Path, name: str = "original") -> Path:
    """Writes the model; its path."""
    path = folder / f"{name}.onnx"
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path
