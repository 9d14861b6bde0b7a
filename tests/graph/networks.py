"""Small real networks for tests, built node by node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES, SIDE = 10, 16


def classifier(
    opset: int = 17,
    seed: int = 0,
    channels: int = 16,
    constant_nodes: bool = False,
    batchnorm: bool = False,
    initializers_as_inputs: bool = False,
    batch: int | str = "N",
    conv_head: bool = False,
) -> onnx.ModelProto:
    """Conv-Relu, Conv-Relu, residual Add, global pooling, Gemm: [N, 3, 16, 16] -> [N, 10].

    `conv_head` computes the scores by a 1 x 1 convolution instead of a Gemm. `constant_nodes` puts every
    weight into a Constant node, the first behind an Identity as well.
    """
    rng = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {
        "w1": rng.normal(0, 0.3, (channels, 3, 3, 3)),
        "b1": rng.normal(0, 0.1, channels),
        "w2": rng.normal(0, 0.1, (channels, channels, 3, 3)),
        "b2": rng.normal(0, 0.1, channels),
        "w3": rng.normal(0, 0.5, (CLASSES, channels)),
        "b3": rng.normal(0, 0.1, CLASSES),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1_used" if constant_nodes else "w1", "b1"], ["c1"], pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], pads=[1] * 4),
        helper.make_node("Relu", ["n2" if batchnorm else "c2"], ["r2"]),
        helper.make_node("Add", ["r1", "r2"], ["s"]),
        helper.make_node("GlobalAveragePool", ["s"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], transB=1),
    ]
    if conv_head:
        weights["w3"] = weights["w3"].reshape(CLASSES, channels, 1, 1)
        nodes[-2:] = [
            helper.make_node("Conv", ["g", "w3", "b3"], ["h"]),
            helper.make_node("Flatten", ["h"], ["y"]),
        ]
    if batchnorm:
        for name, low, high in (("scale", 0.5, 2), ("shift", -1, 1), ("mean", -1, 1), ("var", 0.1, 3)):
            weights[name] = rng.uniform(low, high, channels)
        nodes.insert(
            3,
            helper.make_node("BatchNormalization", ["c2", "scale", "shift", "mean", "var"], ["n2"], epsilon=1e-3),
        )
    tensors = {name: numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()}
    if constant_nodes:
        nodes = [
            *(helper.make_node("Constant", [], [name], value=value) for name, value in tensors.items()),
            helper.make_node("Identity", ["w1"], ["w1_used"]),
            *nodes,
        ]
        tensors = {}
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])]
    if initializers_as_inputs:
        inputs += [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, list(value.dims)) for name, value in tensors.items()
        ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, CLASSES])
    graph = helper.make_graph(nodes, "classifier", inputs, [output], list(tensors.values()))
    ir_version = 4 if opset < 13 else 8 if opset < 20 else 10
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def saved(model: onnx.ModelProto, path: Path) -> Path:
    """Writes the model and gives its path."""
    path.write_bytes(model.SerializeToString())
    return path


def images(count: int, seed: int = 1) -> np.ndarray:
    """Random network input, float32 [count, 3, 16, 16]: noise on a colour of its own, so that classes differ."""
    rng = np.random.default_rng(seed)
    colour = 2.0 * rng.standard_normal((count, 3, 1, 1))
    return (colour + rng.standard_normal((count, 3, SIDE, SIDE))).astype(np.float32)


def outputs_of(path: Path, batch: np.ndarray) -> np.ndarray:
    """The first output, by onnxruntime with all its optimisations off: an oracle for rewritten graphs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {session.get_inputs()[0].name: batch})[0]
    return result
