"""The check before any training: right networks pass, wrong ones are named down to the node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from edgewright.compress.executor import registry
from edgewright.compress.executor.agreement import check_agreement, compare_nodes, run_arrays, span_difference
from edgewright.compress.executor.module import build_executor
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.executor.small import by_runtime, floats, graph
from tests.graph.networks import classifier, images


@pytest.fixture
def _wrong_pool() -> Iterator[None]:
    """An executor whose GlobalAveragePool is a maximum."""
    operators = registry.load_operators()
    right = operators["GlobalAveragePool"]
    operators["GlobalAveragePool"] = registry.Operator(right.name, operators["GlobalMaxPool"].build)
    yield
    operators["GlobalAveragePool"] = right


def test_a_network_agrees_and_the_difference_is_told() -> None:
    """Rounding only."""
    model = classifier()
    assert 0 < check_agreement(build_executor(model), model, [{"x": images(2)}]) < 1e-5


@pytest.mark.usefixtures("_wrong_pool")
def test_a_wrong_operator_is_found_and_named() -> None:
    """Not the output's node, where the error shows, but the first one that differs."""
    model = classifier()
    with pytest.raises(EdgewrightError) as caught:
        check_agreement(build_executor(model), model, [{"x": images(2)}])
    assert caught.value.code is ErrorCode.COMPRESSION_FAILED
    assert "GlobalAveragePool" in caught.value.message
    assert "1e-04 allowed" in caught.value.message


def _dead_head() -> onnx.ModelProto:
    """A classifier whose last weights are all zero: its output is constant."""
    model = classifier()
    for tensor in model.graph.initializer:
        if tensor.name in ("w3", "b3"):
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros(tuple(tensor.dims), np.float32), tensor.name))
    return model


def test_a_constant_output_is_no_proof_so_inner_tensors_are_compared() -> None:
    """The right executor passes by its inner tensors."""
    model = _dead_head()
    assert 0 < check_agreement(build_executor(model), model, [{"x": images(2)}]) < 1e-5


@pytest.mark.usefixtures("_wrong_pool")
def test_a_constant_output_does_not_hide_a_wrong_operator() -> None:
    """All outputs are equal, and yet it is refused."""
    model = _dead_head()
    with pytest.raises(EdgewrightError, match="GlobalAveragePool"):
        check_agreement(build_executor(model), model, [{"x": images(2)}])


def test_amplified_rounding_is_no_disagreement(tmp_path: Path) -> None:
    """A difference of nearly equal numbers: single precision differs by more than the mark, double shows why."""
    rows = 2000
    weights = floats(rows, 8) * 30
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("MatMul", ["x", "v"], ["b"]),
        helper.make_node("Sub", ["a", "b"], ["d"]),
        helper.make_node("Sin", ["d"], ["y"]),
    ]
    constants = {"w": weights, "v": weights[::-1].copy()}
    model = graph(nodes, {"x": floats(2, rows)}, ["y"], constants)
    executor = build_executor(model)
    twin = executor.in_double()
    for seed in range(50):
        feed = {"x": floats(2, rows, seed=seed)}
        wanted = by_runtime(model, feed, tmp_path)[0]
        single, exact = (
            span_difference(wanted, run_arrays(each, feed)[0].astype(np.float32)) for each in (executor, twin)
        )
        if exact < 0.8 * single:
            assert check_agreement(executor, model, [feed], tolerance=0.9 * single) == pytest.approx(exact)
            return
    pytest.fail("no example where double precision is closer")


def test_differences_are_shares_of_the_range() -> None:
    """Not of the largest value: an output of 1000 to 1001 has a range of 1."""
    wanted = np.array([1000.0, 1001.0])
    assert span_difference(wanted, wanted + np.array([0.5, 0])) == pytest.approx(0.5)
    assert span_difference(wanted, wanted[:1]) == float("inf")
    assert span_difference(np.array([1.0, np.nan]), np.array([1.0, 2.0])) == float("inf")
    assert span_difference(np.array([2.0]), np.array([2.2])) == pytest.approx(0.1)
    assert span_difference(np.array([1, 2]), np.array([1, 3])) == float("inf")
    assert span_difference(np.zeros(0), np.zeros(0)) == 0


def test_nodes_are_compared_in_order() -> None:
    """One line for each float tensor that both compute."""
    model = classifier()
    found = compare_nodes(build_executor(model), model, {"x": images(1)})
    assert [item.tensor for item in found] == ["c1", "r1", "c2", "r2", "s", "g", "f", "y"]
    assert max(item.difference for item in found) < 1e-5


def test_nan_and_missing_inputs_are_told() -> None:
    """NaN in the reference is the network's fault, not the executor's; no feed at all is the caller's."""
    model = graph(
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Sqrt", ["m"], ["y"])],
        {"x": floats(2, 3)},
        ["y"],
        {"w": floats(3, 4)},
    )
    executor = build_executor(model)
    with pytest.raises(EdgewrightError) as caught:
        check_agreement(executor, model, [{"x": floats(2, 3)}])
    assert caught.value.code is ErrorCode.MODEL_NOT_FINITE
    with pytest.raises(EdgewrightError) as caught:
        check_agreement(executor, model, [])
    assert caught.value.code is ErrorCode.OPTION_INVALID


def test_double_precision_computes_floats_in_doubles() -> None:
    """Also where the graph itself casts to FLOAT."""
    nodes = [
        helper.make_node("Cast", ["i"], ["f"], to=onnx.TensorProto.FLOAT),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    feed = {"i": np.arange(6).reshape(2, 3)}
    executor = build_executor(graph(nodes, feed, ["y"], {"w": floats(3, 4)}), precision=torch.float64)
    assert executor(torch.from_numpy(feed["i"]))[0].dtype == torch.float64
