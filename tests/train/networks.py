"""Small networks as ONNX files, with random weights drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgewright.compress.judge import TuningJudge

SIZE = 8
CLASSES = 5


def classifier(path: Path, seed: int = 0, batch: str | int = "n", softmax: bool = False) -> Path:
    """[n, 3, 8, 8] -> [n, 5]: Conv, Relu, a residual block, pooling, Gemm."""
    rng = np.random.default_rng(seed)
    weights = {
        "w1": rng.normal(0, 0.35, (8, 3, 3, 3)),
        "b1": rng.normal(0, 0.1, 8),
        "w2": rng.normal(0, 0.2, (8, 8, 3, 3)),
        "b2": rng.normal(0, 0.1, 8),
        "w3": rng.normal(0, 1.0, (CLASSES, 8)),
        "b3": rng.normal(0, 0.1, CLASSES),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c2", "r1"], ["a"], "add"),
        helper.make_node("Relu", ["a"], ["r2"], "relu2"),
        helper.make_node("GlobalAveragePool", ["r2"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["logits" if softmax else "y"], "gemm", transB=1),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["y"], "softmax"))
    return save(path, nodes, weights, [("y", [batch, CLASSES])], batch)


def detector(path: Path, seed: int = 0, batch: str | int = 1) -> Path:
    """[n, 3, 8, 8] -> boxes [n, 64, 4], large numbers, and scores [n, 64, 2] between 0 and 1."""
    rng = np.random.default_rng(seed)
    weights = {
        "w1": rng.normal(0, 0.35, (8, 3, 3, 3)),
        "w2": rng.normal(0, 20.0, (4, 8, 1, 1)),
        "w3": rng.normal(0, 0.5, (2, 8, 1, 1)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "conv2"),
        helper.make_node("Conv", ["r1", "w3"], ["c3"], "conv3"),
        helper.make_node("Sigmoid", ["c3"], ["s"], "sigmoid"),
        helper.make_node("Reshape", ["c2", "shape4"], ["t2"], "reshape2"),
        helper.make_node("Reshape", ["s", "shape2"], ["t3"], "reshape3"),
        helper.make_node("Transpose", ["t2"], ["boxes"], "transpose2", perm=[0, 2, 1]),
        helper.make_node("Transpose", ["t3"], ["scores"], "transpose3", perm=[0, 2, 1]),
    ]
    shapes = {"shape4": np.array([0, 4, 64], np.int64), "shape2": np.array([0, 2, 64], np.int64)}
    return save(path, nodes, weights, [("boxes", [batch, 64, 4]), ("scores", [batch, 64, 2])], batch, shapes)


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    outputs: list[tuple[str, list[str | int]]],
    batch: str | int,
    others: dict[str, np.ndarray] | None = None,
) -> Path:
    tensors = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()]
    tensors += [numpy_helper.from_array(value, name) for name, value in (others or {}).items()]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return path


def perturbed(source: Path, path: Path, share: float, seed: int = 7) -> Path:
    """A copy whose weights have noise of `share` of their own spread."""
    model, rng = onnx.load(str(source)), np.random.default_rng(seed)
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float32:
            noisy = value + rng.normal(0, share * value.std(), value.shape)
            tensor.CopyFrom(numpy_helper.from_array(noisy.astype(np.float32), tensor.name))
    onnx.save(model, str(path))
    return path


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, 3, SIZE, SIZE)).astype(np.float32)


def passes(data: np.ndarray, size: int = 32) -> Callable[[], Iterator[np.ndarray]]:
    return lambda: (data[start : start + size] for start in range(0, len(data), size))


def judge(data: np.ndarray, labels: np.ndarray | None = None, classification: bool = True) -> TuningJudge:
    if labels is None:
        return TuningJudge(passes(data), classification)
    return TuningJudge(
        passes(data), classification, "top1", lambda outputs: float((outputs[0].argmax(1) == labels).mean())
    )
