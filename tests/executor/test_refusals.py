"""What the executor lacks is refused by name; post-processing behind the last weight is left aside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from edgewright.compress.executor.agreement import check_agreement
from edgewright.compress.executor.module import build_executor
from edgewright.compress.executor.table import render_table
from edgewright.graph.model_file import load_model
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.executor.small import Array, floats, graph


def _detector(weight_after: bool = False) -> onnx.ModelProto:
    """Boxes and scores from a convolution, then NonMaxSuppression; with `weight_after`, a product behind it."""
    constants: dict[str, Array] = {
        "w": floats(5, 3, 3, 3),
        "b": floats(5, seed=1),
        "rows": np.array([0, 5, -1], np.int64),
        "split": np.array([4, 1], np.int64),
        "count": np.array([10], np.int64),
        "overlap": np.array([0.5], np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"]),
        helper.make_node("Reshape", ["c", "rows"], ["r"]),
        helper.make_node("Split", ["r", "split"], ["corners", "raw"], axis=1),
        helper.make_node("Sigmoid", ["raw"], ["scores"]),
        helper.make_node("Transpose", ["corners"], ["boxes"], perm=[0, 2, 1]),
        helper.make_node("NonMaxSuppression", ["boxes", "scores", "count", "overlap"], ["chosen"]),
    ]
    outputs = ["chosen"]
    if weight_after:
        constants["late"] = floats(3, 2, seed=2)
        nodes += [
            helper.make_node("Cast", ["chosen"], ["f"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["f", "late"], ["y"]),
        ]
        outputs = ["y"]
    return graph(nodes, {"x": floats(1, 3, 8, 8)}, outputs, constants)


def test_a_post_processing_tail_is_left_aside_and_stays_in_the_file(tmp_path: Path) -> None:
    """The tensors that it reads become the outputs; agreement is checked there; the file keeps the whole network."""
    model = _detector()
    executor = build_executor(model)
    assert executor.removed == ("NonMaxSuppression",)
    assert set(executor.output_names) == {"boxes", "scores"}
    assert check_agreement(executor, model, [{"x": floats(1, 3, 8, 8)}, {"x": floats(1, 3, 8, 8, seed=5)}]) < 1e-5
    executor(torch.from_numpy(floats(1, 3, 8, 8)))[0].sum().backward()
    assert executor.trainable["w"].grad is not None
    executor.write_back(tmp_path / "after.onnx")
    assert load_model(tmp_path / "after.onnx") == model


def test_an_operator_before_a_weight_is_refused_by_name() -> None:
    """Nothing is cut that would leave a weight untrained."""
    with pytest.raises(EdgewrightError) as caught:
        build_executor(_detector(weight_after=True))
    assert caught.value.code is ErrorCode.MODEL_UNSUPPORTED
    assert "NonMaxSuppression (1)" in caught.value.message
    assert "acc1" in caught.value.hint


def test_every_missing_operator_is_listed_with_its_count() -> None:
    """Standard ones, those of other domains, and supported ones asked for what they cannot do."""
    nodes = [
        helper.make_node("FusedThing", ["x"], ["a"], domain="com.example"),
        helper.make_node("Det", ["a"], ["b"]),
        helper.make_node("Det", ["a"], ["c"]),
        helper.make_node("MaxPool", ["a"], ["m", "i"], kernel_shape=[2, 2]),
        helper.make_node("Cast", ["m"], ["s"], to=TensorProto.STRING),
        helper.make_node("MatMul", ["m", "w"], ["y"]),
    ]
    model = graph(nodes, {"x": floats(1, 1, 4, 4)}, ["y"], {"w": floats(2, 2)})
    with pytest.raises(EdgewrightError) as caught:
        build_executor(model)
    for part in ("com.example::FusedThing (1)", "Det (2)", "MaxPool with the output Indices (1)", "STRING"):
        assert part in caught.value.message


def test_a_graph_with_dangling_tensors_is_corrupt() -> None:
    """A node that reads what nothing makes is an error of its own."""
    model = graph([helper.make_node("Relu", ["nothing"], ["y"])], {"x": floats(1)}, ["y"])
    with pytest.raises(EdgewrightError) as caught:
        build_executor(model)
    assert caught.value.code is ErrorCode.MODEL_CORRUPT
    assert "nothing" in caught.value.message


def test_nodes_in_any_order_are_run_in_the_right_one() -> None:
    """Some exporters write nodes unsorted; onnxruntime sorts them too."""
    nodes = [helper.make_node("Relu", ["m"], ["y"]), helper.make_node("MatMul", ["x", "w"], ["m"])]
    executor = build_executor(graph(nodes, {"x": floats(2, 3)}, ["y"], {"w": floats(3, 4)}))
    assert [step.op for step in executor.steps] == ["MatMul", "Relu"]


def test_functions_of_the_model_are_looked_into(tmp_path: Path) -> None:
    """Model-local functions, which newer exporters write, run as their bodies."""
    body = helper.make_function(
        "local", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    model = graph([helper.make_node("MatMul", ["x", "w"], ["m"])], {"x": floats(2, 3)}, ["m"], {"w": floats(3, 4)})
    model.graph.node.append(helper.make_node("Twice", ["m"], ["y"], domain="local"))
    model.graph.output[0].name = "y"
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.functions.append(body)
    executor = build_executor(model)
    assert set(executor.trainable) == {"w"}
    assert check_agreement(executor, model, [{"x": floats(2, 3)}]) < 1e-6
    executor.write_back(tmp_path / "after.onnx")
    assert load_model(tmp_path / "after.onnx") == model


def test_the_table_of_operators_is_up_to_date() -> None:
    """docs/operators.md is what the registry says; `python -m edgewright.compress.executor.table` renews it."""
    page = Path(__file__).resolve().parents[2] / "docs" / "operators.md"
    assert page.read_text() == render_table()
