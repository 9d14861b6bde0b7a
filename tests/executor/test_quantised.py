"""Q/DQ graphs: integers in, integers out, and gradients between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper

from edgewright.compress.executor.agreement import run_arrays
from edgewright.compress.executor.module import build_executor
from edgewright.graph.model_file import load_model
from tests.executor.small import Array, by_runtime, floats, graph


def _pair(scale: Array, zero: Array, axis: int = 1) -> tuple[list[object], dict[str, Array]]:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], axis=axis),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], axis=axis),
    ]
    return nodes, {"scale": scale, "zero": zero}


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("channels", [False, True])
def test_integers_and_values_are_onnxruntimes(kind: type, channels: bool, tmp_path: Path) -> None:
    """Exactly, ties and values out of range included; the integers have their type at the graph's border."""
    edges = np.array([0.25, -0.75, 1.25, 99, -99], np.float32)
    x = np.concatenate([floats(2, 3, 40) * 2, np.broadcast_to(edges, (2, 3, 5))], 2)
    scale = np.array([0.1, 0.5, 0.02] if channels else 0.5, np.float32)
    zero: Array = np.array([3, 0, 5] if channels else 7, kind)
    nodes, constants = _pair(scale, zero)
    model = graph(nodes, {"x": x}, ["q", "y"], constants)
    expected = by_runtime(model, {"x": x}, tmp_path)
    for found, wanted in zip(run_arrays(build_executor(model), {"x": x}), expected, strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def test_the_gradient_is_straight_through_inside_the_range_and_lsq_for_the_scale() -> None:
    """Esser et al., 2020: dy/ds is round(x/s) - x/s inside and the clipped end outside; dy/dx is 1 and 0."""
    nodes, constants = _pair(np.array(0.5, np.float32), np.array(0, np.int8))
    executor = build_executor(graph(nodes, {"x": floats(5)}, ["y"], constants), extra_trainable={"scale"})
    x = torch.tensor([0.3, -1.1, 0.74, 200.0, -200.0], requires_grad=True)
    (y,) = executor(x)
    weights = torch.tensor([1.0, 2.0, 3.0, 5.0, 7.0])
    (y * weights).sum().backward()
    assert torch.equal(x.grad, torch.tensor([1.0, 2.0, 3.0, 0.0, 0.0]))
    steps = x.detach() / 0.5
    per_value = torch.where(steps.abs() < 127, torch.round(steps) - steps, torch.tensor([0, 0, 0, 127.0, -128.0]))
    assert executor.trainable["scale"].grad.item() == pytest.approx(float((per_value * weights).sum()), rel=1e-5)


def test_scales_per_channel_get_a_gradient_each() -> None:
    """The channel's own values only."""
    nodes, constants = _pair(np.array([0.5, 0.25], np.float32), np.array([0, 0], np.int8), axis=0)
    executor = build_executor(graph(nodes, {"x": floats(2, 4)}, ["y"], constants), extra_trainable={"scale"})
    y = executor(torch.from_numpy(floats(2, 4)))[0]
    y[0].sum().backward()
    gradient = executor.trainable["scale"].grad
    assert gradient.shape == (2,)
    assert gradient[0] != 0
    assert gradient[1] == 0


def test_a_quantised_network_trains_as_it_is(tmp_path: Path) -> None:
    """Float weight behind Q/DQ: loss falls, and onnxruntime agrees with the written network to a rounding step."""
    constants: dict[str, Array] = {
        "w": floats(4, 3, 3, 3) * 0.2,
        "ws": np.array([0.01, 0.01, 0.02, 0.02], np.float32),
        "wz": np.zeros(4, np.int8),
        "b": np.array([5, -3, 2, 0], np.int32),
        "bs": np.array([0.001] * 4, np.float32),
        "xs": np.array(0.03, np.float32),
        "xz": np.array(128, np.uint8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("QuantizeLinear", ["w", "ws", "wz"], ["wq"], axis=0),
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["bd"], axis=0),
        helper.make_node("Conv", ["xd", "wd", "bd"], ["y"]),
    ]
    model = graph(nodes, {"x": floats(1, 3, 8, 8)}, ["y"], constants)
    executor = build_executor(model, extra_trainable={"ws", "xs"})
    assert executor.roles == {"w": "weight", "ws": "extra", "xs": "extra"}
    x, target = torch.from_numpy(floats(2, 3, 8, 8)), torch.from_numpy(floats(2, 4, 6, 6, seed=9))
    optimizer = torch.optim.Adam(executor.trainable.values(), lr=1e-3)
    losses = []
    for _ in range(20):
        loss = torch.nn.functional.mse_loss(executor(x)[0], target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    executor.write_back(tmp_path / "after.onnx")
    (found,) = run_arrays(executor, {"x": x.numpy()})
    written = build_executor(tmp_path / "after.onnx")
    (again,) = run_arrays(written, {"x": x.numpy()})
    np.testing.assert_array_equal(found, again)
    (wanted,) = by_runtime(load_model(tmp_path / "after.onnx"), {"x": x.numpy()}, tmp_path)
    np.testing.assert_allclose(found, wanted, atol=0.01)


def test_integers_may_be_rearranged_between_the_pair(tmp_path: Path) -> None:
    """Exporters move Reshape, Transpose and MaxPool in between: values and gradients pass."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("MaxPool", ["q"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Transpose", ["m"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("DequantizeLinear", ["t", "s", "z"], ["y"]),
    ]
    constants: dict[str, Array] = {"s": np.array(0.1, np.float32), "z": np.array(100, np.uint8)}
    x = floats(1, 2, 4, 4)
    model = graph(nodes, {"x": x}, ["y"], constants)
    executor = build_executor(model)
    np.testing.assert_array_equal(run_arrays(executor, {"x": x})[0], by_runtime(model, {"x": x}, tmp_path)[0])
    leaf = torch.from_numpy(x).requires_grad_()
    executor(leaf)[0].sum().backward()
    assert float(leaf.grad.abs().sum()) == 8
