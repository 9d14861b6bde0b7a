"""Graphs exported for one batch size run with any in the executor, or not at all: never wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from edgewright.compress.executor.agreement import run_arrays
from edgewright.compress.executor.module import build_executor
from edgewright.graph.model_file import load_model
from tests.executor.small import Array, by_runtime, floats, graph


def _fixed(nodes: Sequence[onnx.NodeProto], shape: tuple[int, ...], constants: dict[str, Array]) -> onnx.ModelProto:
    """A graph whose input has exactly this shape."""
    model = graph(nodes, {"x": floats(*shape)}, ["y"], constants)
    for dimension, size in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = size
    return model


def _ints(*values: int) -> Array:
    return np.array(values, np.int64)


def _head() -> onnx.ModelProto:
    """The usual end of a network from the dynamo exporter: a flattening Reshape to [1, n]."""
    return _fixed(
        [
            helper.make_node("Conv", ["x", "w"], ["c"]),
            helper.make_node("GlobalAveragePool", ["c"], ["g"]),
            helper.make_node("Reshape", ["g", "flat"], ["f"]),
            helper.make_node("Gemm", ["f", "w2"], ["y"], transB=1),
        ],
        (1, 3, 8, 8),
        {"w": floats(4, 3, 3, 3), "w2": floats(5, 4, seed=1), "flat": _ints(1, 4)},
    )


def _windows() -> onnx.ModelProto:
    """Windows folded into the batch and back, as in Swin, with a product over them."""
    return _fixed(
        [
            helper.make_node("Reshape", ["x", "cut"], ["a"]),
            helper.make_node("Transpose", ["a"], ["b"], perm=[0, 1, 3, 2, 4, 5]),
            helper.make_node("Reshape", ["b", "fold"], ["c"]),
            helper.make_node("MatMul", ["c", "w"], ["d"]),
            helper.make_node("Add", ["d", "bias"], ["e"]),
            helper.make_node("Reshape", ["e", "unfold"], ["f"]),
            helper.make_node("ReduceMean", ["f"], ["y"], axes=[1, 2], keepdims=0),
        ],
        (1, 4, 4, 6),
        {
            "cut": _ints(1, 2, 2, 2, 2, 6),
            "fold": _ints(4, 4, 6),
            "unfold": _ints(1, -1, 4, 5),
            "w": floats(6, 5),
            "bias": floats(5, seed=1),
        },
    )


def _tokens() -> onnx.ModelProto:
    """A class token in front of patches, which was exported as a constant for one sample; then it is picked."""
    return _fixed(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], strides=[4, 4]),
            helper.make_node("Reshape", ["c", "rows"], ["r"]),
            helper.make_node("Transpose", ["r"], ["t"], perm=[0, 2, 1]),
            helper.make_node("Expand", ["token", "one"], ["k"]),
            helper.make_node("Concat", ["k", "t"], ["s"], axis=1),
            helper.make_node("Transpose", ["s"], ["u"], perm=[1, 0, 2]),
            helper.make_node("Softmax", ["u"], ["p"], axis=2),
            helper.make_node("Gather", ["p", "first"], ["y"], axis=0),
        ],
        (1, 3, 8, 8),
        {
            "w": floats(6, 3, 4, 4),
            "rows": _ints(1, 6, 4),
            "token": floats(1, 1, 6, seed=1),
            "one": _ints(1, -1, -1).clip(1),
            "first": np.array(1, np.int64),
        },
    )


def _upsampled() -> onnx.ModelProto:
    """Resize by sizes names the batch as well."""
    return _fixed(
        [
            helper.make_node("Conv", ["x", "w"], ["c"]),
            helper.make_node("Resize", ["c", "", "", "sizes"], ["y"], mode="linear"),
        ],
        (1, 3, 8, 8),
        {"w": floats(2, 3, 3, 3), "sizes": _ints(1, 2, 12, 12)},
    )


@pytest.mark.parametrize("make", [_head, _windows, _tokens, _upsampled])
def test_three_samples_at_once_give_what_onnxruntime_gives_for_each(make: object, tmp_path: Path) -> None:
    """And the file keeps its fixed batch."""
    assert callable(make)
    model = make()
    executor = build_executor(model)
    assert executor.fixed_batch == 0
    shape = [dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim]
    samples = [floats(*shape, seed=seed) for seed in (7, 8, 9)]
    wanted = np.concatenate([by_runtime(model, {"x": sample}, tmp_path)[0] for sample in samples])
    (found,) = run_arrays(executor, {"x": np.concatenate(samples)})
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    executor.write_back(tmp_path / "after.onnx")
    assert load_model(tmp_path / "after.onnx") == model


def test_training_in_a_batch_is_the_mean_of_training_one_by_one() -> None:
    """Gradients of the mean loss."""
    freed, fixed = build_executor(_head()), build_executor(_head(), free_batch=False)
    assert fixed.fixed_batch == 1
    batch = torch.from_numpy(floats(4, 3, 8, 8))
    freed(batch)[0].square().mean(dim=1).mean().backward()
    for sample in batch:
        (fixed(sample[None])[0].square().mean() / 4).backward()
    for name, parameter in freed.trainable.items():
        torch.testing.assert_close(parameter.grad, fixed.trainable[name].grad, rtol=1e-4, atol=1e-6)


def test_a_graph_that_mixes_samples_keeps_its_batch() -> None:
    """A maximum over the whole batch, exported for one sample: two at once would not be two samples."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("ReduceMax", ["m"], ["k"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["m", "k"], ["s"]),
        helper.make_node("Add", ["s", "m"], ["y"]),
    ]
    assert build_executor(_fixed(nodes, (1, 4), {"w": floats(4, 3)})).fixed_batch == 1


def test_a_batch_that_leaves_its_place_for_good_stays_fixed() -> None:
    """The output has the batch on another axis: no caller could tell samples apart."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Transpose", ["m"], ["y"], perm=[1, 0]),
    ]
    executor = build_executor(_fixed(nodes, (1, 4), {"w": floats(4, 3)}))
    assert executor.fixed_batch == 1
    assert executor(torch.from_numpy(floats(1, 4)))[0].shape == (3, 1)
