"""Activations written out in operators run as one, where nothing else looks inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from edgewright.compress.executor.agreement import run_arrays
from edgewright.compress.executor.module import build_executor
from tests.executor.small import Array, by_runtime, floats, graph

X = floats(3, 40) * 3
CONSTANTS: dict[str, Array] = {
    "root": np.array(np.sqrt(2), np.float32),
    "inverse": np.array(np.sqrt(0.5), np.float32),
    "one": np.array(1, np.float32),
    "half": np.array(0.5, np.float32),
}


def _node(op: str, *names: str) -> onnx.NodeProto:
    return helper.make_node(op, list(names[:-1]), [names[-1]])


FORMS = {
    "silu": [_node("Sigmoid", "x", "s"), _node("Mul", "s", "x", "y")],
    "gelu, as torch writes it": [
        _node("Div", "x", "root", "d"),
        _node("Erf", "d", "e"),
        _node("Add", "e", "one", "a"),
        _node("Mul", "x", "a", "m"),
        _node("Mul", "m", "half", "y"),
    ],
    "gelu with the half first": [
        _node("Mul", "inverse", "x", "d"),
        _node("Erf", "d", "e"),
        _node("Add", "one", "e", "a"),
        _node("Mul", "half", "x", "m"),
        _node("Mul", "a", "m", "y"),
    ],
    "gelu with the half at the sum": [
        _node("Div", "x", "root", "d"),
        _node("Erf", "d", "e"),
        _node("Add", "e", "one", "a"),
        _node("Mul", "a", "half", "m"),
        _node("Mul", "x", "m", "y"),
    ],
}


@pytest.mark.parametrize("name", FORMS)
def test_one_step_with_the_same_values_and_gradients(name: str, tmp_path: Path) -> None:
    """Values as onnxruntime's; gradients as those of the formula, in doubles."""
    model = graph(FORMS[name], {"x": X}, ["y"], CONSTANTS)
    executor = build_executor(model, precision=torch.float64)
    assert [step.op for step in executor.steps] == ["Swish" if name == "silu" else "Gelu"]
    np.testing.assert_allclose(run_arrays(executor, {"x": X})[0], by_runtime(model, {"x": X}, tmp_path)[0], atol=2e-6)
    assert torch.autograd.gradcheck(executor, (torch.from_numpy(X[:, :5]).double().requires_grad_(),))


@pytest.mark.parametrize("output", ["s", "none"])
def test_what_is_read_elsewhere_stays(output: str) -> None:
    """A gate that is an output, or that another node reads, is computed as written."""
    nodes = [*FORMS["silu"], _node("Mul", "s", "y", "z")]
    names = ["z"] if output == "none" else ["y", "s"]
    executor = build_executor(graph(nodes, {"x": X}, names))
    assert "Sigmoid" in [step.op for step in executor.steps]


def test_other_constants_are_other_functions(tmp_path: Path) -> None:
    """A third instead of a half is no GELU."""
    constants = {**CONSTANTS, "half": np.array(1 / 3, np.float32)}
    model = graph(FORMS["gelu, as torch writes it"], {"x": X}, ["y"], constants)
    executor = build_executor(model)
    assert len(executor.steps) == 5
    np.testing.assert_allclose(run_arrays(executor, {"x": X})[0], by_runtime(model, {"x": X}, tmp_path)[0], atol=2e-6)
