"""Forms of operators that newer opsets no longer have, against onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgewright.compress.executor.agreement import run_arrays
from edgewright.compress.executor.module import build_executor
from tests.executor.small import Array, by_runtime, floats, graph

X = floats(2, 6, 5, 4)


def _ints(*values: int) -> Array:
    return np.array(values, dtype=np.int64)


def _number(values: object) -> Array:
    return np.array(values, dtype=np.float32)


# name: (opset, operator, attributes, constant inputs after x)
CASES: dict[str, tuple[int, str, dict[str, object], list[Array]]] = {
    "softmax over all axes from one on": (11, "Softmax", {"axis": 2}, []),
    "softmax with the old default axis": (9, "Softmax", {}, []),
    "log-softmax": (11, "LogSoftmax", {"axis": -1}, []),
    "hardmax": (11, "Hardmax", {"axis": 1}, []),
    "clip by attributes": (9, "Clip", {"min": -0.5, "max": 0.7}, []),
    "clip below only": (9, "Clip", {"min": 0.1}, []),
    "clip by inputs": (13, "Clip", {}, [_number(-0.3), _number(0.4)]),
    "clip with bounds the wrong way round": (13, "Clip", {}, [_number(0.4), _number(-0.3)]),
    "slice by attributes": (9, "Slice", {"starts": [1, -3], "ends": [99, -1], "axes": [1, 2]}, []),
    "slice without axes": (9, "Slice", {"starts": [0, 2], "ends": [1, 5]}, []),
    "slice backwards": (13, "Slice", {}, [_ints(-1, 4), _ints(-(2**63), 0), _ints(1, 2), _ints(-2, -1)]),
    "slice of nothing": (13, "Slice", {}, [_ints(3), _ints(3), _ints(1)]),
    "pad by attributes": (9, "Pad", {"pads": [0, 0, 1, 2, 0, 0, 2, 1], "value": 1.5}, []),
    "pad by reflection": (9, "Pad", {"pads": [0, 0, 1, 2, 0, 0, 2, 1], "mode": "reflect"}, []),
    "pad by edge": (9, "Pad", {"pads": [0, 0, 1, 2, 0, 0, 2, 1], "mode": "edge"}, []),
    "negative pads": (13, "Pad", {}, [_ints(0, -1, 0, 0, 0, 0, -2, 1), _number(2)]),
    "unsqueeze by attribute": (11, "Unsqueeze", {"axes": [0, 3]}, []),
    "sum by attribute": (11, "ReduceSum", {"axes": [1, -1], "keepdims": 0}, []),
    "mean by attribute": (13, "ReduceMean", {"axes": [2, 3], "keepdims": 1}, []),
    "maximum of all": (11, "ReduceMax", {"keepdims": 0}, []),
    "upsample": (9, "Upsample", {"mode": "nearest"}, [_number([1, 1, 2, 3])]),
    "upsample linear": (9, "Upsample", {"mode": "linear"}, [_number([1, 1, 2, 2])]),
    "first resize": (10, "Resize", {"mode": "nearest"}, [_number([1, 1, 2, 2])]),
    "first resize, linear": (10, "Resize", {"mode": "linear"}, [_number([1, 1, 2, 2])]),
    "dropout at inference": (9, "Dropout", {"ratio": 0.3}, []),
    "global norm pool": (13, "GlobalLpPool", {"p": 2}, []),
    "scatter": (9, "Scatter", {"axis": 1}, [np.full((2, 1, 5, 4), 3, np.int64), floats(2, 1, 5, 4, seed=1)]),
    "local response": (13, "LRN", {"size": 3, "alpha": 0.2}, []),
}


@pytest.mark.parametrize("name", CASES)
def test_as_onnxruntime(name: str, tmp_path: Path) -> None:
    """The operator in that opset's form gives onnxruntime's values."""
    opset, operator, attributes, extra = CASES[name]
    names = [f"c{index}" for index in range(len(extra))]
    node = helper.make_node(operator, ["x", *names], ["y"], **attributes)
    model = graph([node], {"x": X}, ["y"], dict(zip(names, extra, strict=True)), opset)
    (wanted,) = by_runtime(model, {"x": X}, tmp_path)
    (found,) = run_arrays(build_executor(model), {"x": X})
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [11, 13])
def test_split_and_squeeze(opset: int, tmp_path: Path) -> None:
    """Sizes and axes are found in attributes of old opsets and in inputs of new ones."""
    if opset == 11:
        split = helper.make_node("Split", ["x"], ["a", "b"], axis=1, split=[1, 5])
        squeeze = helper.make_node("Squeeze", ["a"], ["s"], axes=[1])
    else:
        split = helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1)
        squeeze = helper.make_node("Squeeze", ["a", "axes"], ["s"])
    constants = {} if opset == 11 else {"sizes": _ints(1, 5), "axes": _ints(1)}
    _equal(graph([split, squeeze], {"x": X}, ["s", "b"], constants, opset), X, tmp_path)


def test_top_k_by_attribute_and_by_ties(tmp_path: Path) -> None:
    """Equal values come in the order of their indices, as in onnxruntime."""
    x = _number([[1, 3, 3, 2, 3, 0], [5, 5, 5, 5, 5, 5]])
    _equal(graph([helper.make_node("TopK", ["x"], ["v", "i"], k=4)], {"x": x}, ["v", "i"], opset=9), x, tmp_path)


def _equal(model: onnx.ModelProto, x: Array, folder: Path) -> None:
    found, wanted = run_arrays(build_executor(model), {"x": x}), by_runtime(model, {"x": x}, folder)
    for actual, expected in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(actual, expected)
