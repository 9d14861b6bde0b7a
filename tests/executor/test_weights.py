"""Which tensors are weights, and how they come back into the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from edgewright.compress.executor.module import build_executor
from edgewright.compress.executor.parameters import find_weights
from edgewright.graph.model_file import load_model
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.executor.small import Array, by_runtime, floats, graph
from tests.graph.networks import classifier, images, outputs_of, saved


def _detector() -> onnx.ModelProto:
    """A convolution whose output is clipped, shifted by anchors, scaled by strides and resized."""
    constants: dict[str, Array] = {
        "w": floats(6, 3, 3, 3),
        "b": floats(6, seed=1),
        "extra": floats(1, 6, 1, 1, seed=2),
        "low": np.array(-1, np.float32),
        "high": np.array(1, np.float32),
        "anchors": floats(1, 6, 8, 8, seed=3),
        "strides": np.full((1, 1, 8, 8), 8, np.float32),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "slope": floats(6, 1, 1, seed=4),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1] * 4),
        helper.make_node("Add", ["extra", "c"], ["e"]),
        helper.make_node("PRelu", ["e", "slope"], ["p"]),
        helper.make_node("Clip", ["p", "low", "high"], ["k"]),
        helper.make_node("Add", ["k", "anchors"], ["a"]),
        helper.make_node("Mul", ["a", "strides"], ["s"]),
        helper.make_node("Resize", ["s", "", "scales"], ["y"]),
    ]
    return graph(nodes, {"x": floats(1, 3, 8, 8)}, ["y"], constants)


def test_weights_are_found_by_place_never_by_type() -> None:
    """Clip bounds, anchors, strides and scales are floats too, and stay as they are."""
    assert find_weights(_detector()).roles == {"w": "weight", "b": "bias", "extra": "bias", "slope": "slope"}


def test_weights_in_constant_nodes_and_behind_identity_are_trained_and_written_back(tmp_path: Path) -> None:
    """Paddle and TorchScript hide weights there; write-back finds the same place."""
    path = saved(classifier(constant_nodes=True), tmp_path / "m.onnx")
    executor = build_executor(path)
    assert set(executor.trainable) == {"w1", "b1", "w2", "b2", "w3", "b3"}
    with torch.no_grad():
        executor.trainable["w1"].mul_(2)
    executor.write_back(tmp_path / "after.onnx")
    batch = images(2)
    with torch.no_grad():
        found = executor(torch.from_numpy(batch))[0].numpy()
    np.testing.assert_allclose(found, outputs_of(tmp_path / "after.onnx", batch), rtol=1e-4, atol=1e-5)
    assert not np.allclose(found, outputs_of(path, batch), rtol=1e-2)


def test_weights_behind_reshape_transpose_and_qdq_receive_gradients() -> None:
    """A weight reached through carriers is the initializer behind them."""
    constants: dict[str, Array] = {
        "flat": floats(4 * 3 * 9),
        "shape": np.array([4, 3, 3, 3], np.int64),
        "turned": floats(10, 4, seed=1),
        "scale": np.array(0.05, np.float32),
        "zero": np.array(0, np.int8),
    }
    nodes = [
        helper.make_node("Reshape", ["flat", "shape"], ["w"]),
        helper.make_node("QuantizeLinear", ["w", "scale", "zero"], ["wq"]),
        helper.make_node("DequantizeLinear", ["wq", "scale", "zero"], ["wd"]),
        helper.make_node("Conv", ["x", "wd"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Transpose", ["turned"], ["t"]),
        helper.make_node("MatMul", ["f", "t"], ["y"]),
    ]
    executor = build_executor(graph(nodes, {"x": floats(1, 3, 8, 8)}, ["y"], constants))
    assert executor.roles == {"flat": "weight", "turned": "weight"}
    executor(torch.from_numpy(floats(2, 3, 8, 8)))[0].sum().backward()
    assert all(float(parameter.grad.abs().max()) > 0 for parameter in executor.trainable.values())


def test_a_tensor_that_also_means_something_else_is_left_alone() -> None:
    """One initializer as weight and as clip bound or output: training it would change the other meaning."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Sub", ["m", "w"], ["y"]),
    ]
    model = graph(nodes, {"x": floats(4, 4)}, ["y"], {"w": floats(4, 4, seed=1)})
    assert find_weights(model).roles == {}


def test_written_out_normalisations_and_biases() -> None:
    """Scale and shift after a normalisation, bias after a product; position tables and scalars are none of these."""
    constants: dict[str, Array] = {
        "ones": np.ones(2, np.float32),
        "zeros": np.zeros(2, np.float32),
        "to_groups": np.array([0, 2, -1], np.int64),
        "back": np.array([-1, 4, 6], np.int64),
        "gamma": floats(4, 1),
        "beta": floats(4, 1, seed=1),
        "table": floats(1, 4, 6, seed=2),
        "half": np.array(0.5, np.float32),
        "w": floats(6, 5, seed=3),
        "b": floats(5, seed=4),
    }
    nodes = [
        helper.make_node("Reshape", ["x", "to_groups"], ["r"]),
        helper.make_node("InstanceNormalization", ["r", "ones", "zeros"], ["i"]),
        helper.make_node("Reshape", ["i", "back"], ["n"]),
        helper.make_node("Mul", ["n", "gamma"], ["s"]),
        helper.make_node("Add", ["s", "beta"], ["t"]),
        helper.make_node("Add", ["t", "table"], ["u"]),
        helper.make_node("Mul", ["u", "half"], ["v"]),
        helper.make_node("MatMul", ["v", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["y"]),
    ]
    roles = find_weights(graph(nodes, {"x": floats(2, 4, 6)}, ["y"], constants)).roles
    assert roles == {"ones": "scale", "zeros": "shift", "gamma": "scale", "beta": "shift", "w": "weight", "b": "bias"}


def test_untouched_write_back_keeps_every_tensor_byte_for_byte(tmp_path: Path) -> None:
    """Also tensors that are not raw bytes, 0-d ones, and those of other types."""
    model = _detector()
    model.graph.initializer[0].CopyFrom(
        helper.make_tensor("w", onnx.TensorProto.FLOAT, [6, 3, 3, 3], floats(6, 3, 3, 3).reshape(-1).tolist())
    )
    executor = build_executor(model)
    executor.write_back(tmp_path / "after.onnx")
    after = load_model(tmp_path / "after.onnx")
    assert after == model
    executor(torch.from_numpy(floats(1, 3, 8, 8)))[0].sum().backward()
    executor.write_back(tmp_path / "again.onnx")
    assert load_model(tmp_path / "again.onnx") == model


def test_write_back_changes_only_what_was_trained(tmp_path: Path) -> None:
    """Shapes, types, names and all other tensors stay; onnxruntime then gives the executor's outputs."""
    model = _detector()
    executor = build_executor(model)
    with torch.no_grad():
        executor.trainable["slope"].add_(0.5)
    executor.write_back(tmp_path / "after.onnx")
    after = load_model(tmp_path / "after.onnx")
    for old, new in zip(model.graph.initializer, after.graph.initializer, strict=True):
        assert (old == new) == (old.name != "slope")
        assert (old.name, old.dims, old.data_type) == (new.name, new.dims, new.data_type)
    x = floats(1, 3, 8, 8)
    with torch.no_grad():
        found = executor(torch.from_numpy(x))[0].numpy()
    np.testing.assert_allclose(found, by_runtime(after, {"x": x}, tmp_path)[0], rtol=1e-5, atol=1e-5)


def test_extra_constants_are_trained_when_asked_for_and_keep_their_0d_shape(tmp_path: Path) -> None:
    """Scales of Q/DQ pairs: 0-d before, 0-d after (a [1] would change onnxruntime's result)."""
    model = _detector()
    executor = build_executor(model, extra_trainable={"low"})
    assert executor.roles["low"] == "extra"
    assert executor.trainable["low"].shape == ()
    with torch.no_grad():
        executor.trainable["low"].fill_(-0.25)
    executor.write_back(tmp_path / "after.onnx")
    held = {tensor.name: tensor for tensor in load_model(tmp_path / "after.onnx").graph.initializer}
    assert numpy_helper.to_array(held["low"]) == np.float32(-0.25)
    assert list(held["low"].dims) == []
    with pytest.raises(EdgewrightError) as caught:
        build_executor(model, extra_trainable={"nowhere"})
    assert caught.value.code is ErrorCode.OPTION_INVALID


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    """A diverged training leaves no file."""
    executor = build_executor(_detector())
    with torch.no_grad():
        executor.trainable["w"][0, 0, 0, 0] = float("nan")
    with pytest.raises(EdgewrightError) as caught:
        executor.write_back(tmp_path / "after.onnx")
    assert caught.value.code is ErrorCode.MODEL_NOT_FINITE
    assert list(tmp_path.iterdir()) == []


def test_double_precision_is_written_back_as_the_files_type(tmp_path: Path) -> None:
    """The file stays float32 when training computed in float64."""
    executor = build_executor(_detector(), precision=torch.float64)
    with torch.no_grad():
        executor.trainable["b"].add_(0.1)
    executor.write_back(tmp_path / "after.onnx")
    held = {tensor.name: tensor for tensor in load_model(tmp_path / "after.onnx").graph.initializer}
    assert held["b"].data_type == onnx.TensorProto.FLOAT
