"""ONNX's own test cases for every operator that the executor claims."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgewright.compress.executor.agreement import run_arrays
from edgewright.compress.executor.module import build_executor
from edgewright.compress.executor.registry import load_operators
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.executor.small import by_runtime

KINDS = onnx.TensorProto
COMMON = {KINDS.FLOAT, KINDS.DOUBLE, KINDS.INT8, KINDS.INT32, KINDS.INT64, KINDS.UINT8, KINDS.BOOL}

RANDOM = "the graph itself turns dropout on: random by definition, and the executor's own mode decides"
STATISTICS = "the graph itself turns training on: the executor's own mode decides"
INDICES = "indices of maxima are not made"
# Cases that are refused, each with the reason; anything not listed must pass.
REFUSED = {
    "test_batchnorm_example_training_mode": STATISTICS,
    "test_batchnorm_epsilon_training_mode": STATISTICS,
    "test_training_dropout_default": RANDOM,
    "test_training_dropout_default_mask": RANDOM,
    "test_training_dropout": RANDOM,
    "test_training_dropout_mask": RANDOM,
    "test_training_dropout_zero_ratio": RANDOM,
    "test_training_dropout_zero_ratio_mask": RANDOM,
    "test_maxpool_with_argmax_2d_precomputed_pads": INDICES,
    "test_maxpool_with_argmax_2d_precomputed_strides": INDICES,
}
# Cases where onnxruntime, which runs the network in the end, gives other values than ONNX's reference: its are taken.
AS_RUNTIME = {
    "test_resize_downsample_scales_linear_align_corners": "scale * size is no whole number: onnxruntime rounds it",
    "test_resize_downsample_scales_cubic_align_corners": "scale * size is no whole number: onnxruntime rounds it",
}
# Operators that ONNX has no case for in these types; tests/executor/test_old_opsets.py compares with onnxruntime.
UNTESTED_BY_ONNX = {"GlobalLpPool"}


@functools.cache
def _cases() -> dict[str, tuple[set[str], Any]]:
    """Cases that need nothing but claimed operators and the common element types: name -> (operators, case)."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = load_model_tests(kind="node")
    known = load_operators().keys()
    found = {}
    for case in loaded:
        graph = case.model.graph
        used = {node.op_type if node.domain in ("", "ai.onnx") else node.domain for node in graph.node}
        ports = [*graph.input, *graph.output]
        common = all(port.type.HasField("tensor_type") and port.type.tensor_type.elem_type in COMMON for port in ports)
        if used <= known and common:
            found[case.name] = (used, case)
    return found


def _array(value: Any) -> Any:
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _difference(case: Any) -> str:
    """What is wrong with the executor's outputs; "" when nothing is."""
    executor = build_executor(case.model)
    names = [value.name for value in case.model.graph.input]
    for inputs, outputs in case.data_sets:
        found = run_arrays(executor, dict(zip(names, map(_array, inputs), strict=True)))
        for actual, wanted in zip(found, map(_array, outputs), strict=True):
            if actual.shape != wanted.shape or actual.dtype != wanted.dtype:
                return f"{actual.dtype}{actual.shape} instead of {wanted.dtype}{wanted.shape}"
            if not np.allclose(actual, wanted, rtol=case.rtol, atol=case.atol, equal_nan=True):
                return f"values differ by up to {np.abs(actual.astype(float) - wanted.astype(float)).max()}"
    return ""


@pytest.mark.slow
def test_every_case_of_a_claimed_operator_passes() -> None:
    """More than a thousand cases give ONNX's expected values, shapes and types, at ONNX's tolerances."""
    wrong = {}
    for name, (_, case) in _cases().items():
        if name not in REFUSED and name not in AS_RUNTIME:
            try:
                difference = _difference(case)
            except EdgewrightError as error:
                difference = error.message
            if difference:
                wrong[name] = difference
    assert wrong == {}
    assert len(_cases()) > 1000


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_listed_exceptions_are_refused_not_computed_wrongly(name: str) -> None:
    """What a case asks for and the executor lacks is refused by the operator's name when the executor is built."""
    used, case = _cases()[name]
    with pytest.raises(EdgewrightError) as caught:
        build_executor(case.model)
    assert caught.value.code is ErrorCode.MODEL_UNSUPPORTED
    assert any(operator in caught.value.message for operator in used)


@pytest.mark.parametrize("name", sorted(AS_RUNTIME))
def test_where_onnxruntime_differs_from_the_reference_it_is_followed(name: str, tmp_path: Path) -> None:
    """The executor trains the network that onnxruntime runs."""
    _, case = _cases()[name]
    names = [value.name for value in case.model.graph.input]
    feed = dict(zip(names, map(_array, case.data_sets[0][0]), strict=True))
    for found, wanted in zip(
        run_arrays(build_executor(case.model), feed), by_runtime(case.model, feed, tmp_path), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert _difference(case)


def test_every_claimed_operator_is_tested() -> None:
    """No operator is claimed that neither ONNX's cases nor a test of our own runs."""
    tested = set().union(*(used for name, (used, _) in _cases().items() if name not in REFUSED))
    assert set(load_operators()) - tested == UNTESTED_BY_ONNX
