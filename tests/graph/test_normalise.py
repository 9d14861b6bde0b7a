"""Normalisation: one form for every network, the same outputs, and refusals of what would change them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgewright.graph import normalise as normalise_module
from edgewright.graph.batchnorm import fold_batchnorm
from edgewright.graph.compare import is_vacuous, reference_of, relative_difference
from edgewright.graph.constants import tidy
from edgewright.graph.model_file import load_model
from edgewright.graph.normalise import normalise
from edgewright.graph.opset import move_opset, opset_of
from tests.graph.networks import classifier, images, outputs_of, saved


def test_constant_nodes_become_initializers(tmp_path: Path) -> None:
    """Weights in Constant nodes, one behind an Identity, end as initializers of the same values."""
    source = saved(classifier(constant_nodes=True), tmp_path / "source.onnx")

    made = tidy(load_model(source))

    assert {node.op_type for node in made.graph.node}.isdisjoint({"Constant", "Identity"})
    assert len(made.graph.initializer) == 6
    x = images(3)
    np.testing.assert_array_equal(outputs_of(saved(made, tmp_path / "made.onnx"), x), outputs_of(source, x))


def test_names_of_nodes_become_unique(tmp_path: Path) -> None:
    """Unnamed nodes and two nodes of one name get names of their own."""
    model = classifier()
    model.graph.node[1].name = model.graph.node[3].name = "relu"

    made = tidy(model)

    names = [node.name for node in made.graph.node]
    assert all(names)
    assert len(set(names)) == len(names)


def test_initializers_leave_the_inputs() -> None:
    """Old exporters list weights as inputs; afterwards only the image is an input."""
    made = tidy(classifier(initializers_as_inputs=True))

    assert [value.name for value in made.graph.input] == ["x"]


def test_batchnorm_folds_into_the_convolution(tmp_path: Path) -> None:
    """The node goes, the outputs stay within float rounding."""
    model = classifier(batchnorm=True)
    source = saved(model, tmp_path / "source.onnx")

    folded = fold_batchnorm(model)

    x = images(4)
    assert folded == 1
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    gap = relative_difference(outputs_of(source, x), outputs_of(saved(model, tmp_path / "made.onnx"), x))
    assert gap < 1e-5


def test_batchnorm_stays_where_others_read_the_convolution() -> None:
    """A convolution with a second reader keeps its weights."""
    model = classifier(batchnorm=True)
    model.graph.output.append(onnx.helper.make_tensor_value_info("c2", onnx.TensorProto.FLOAT, None))

    assert fold_batchnorm(model) == 0


@pytest.mark.parametrize("opset", [9, 11, 12, 13, 17, 21, 22, 23])
def test_opset_ends_between_13_and_21(tmp_path: Path, opset: int) -> None:
    """Older opsets are raised for per-channel Q/DQ, newer lowered for old runtimes; outputs are the same."""
    model = classifier(opset=opset)
    source = saved(model, tmp_path / "source.onnx")

    moved, note = move_opset(load_model(source))

    x = images(2)
    assert note == ""
    assert 13 <= opset_of(moved) <= 21
    assert moved.ir_version <= 10
    np.testing.assert_allclose(
        outputs_of(saved(moved, tmp_path / "moved.onnx"), x), outputs_of(source, x), rtol=1e-5, atol=1e-6
    )


def test_large_weights_survive_the_version_converter(tmp_path: Path) -> None:
    """Weights above the size that the converter sees are put back, and inputs are what they were."""
    model = classifier(opset=9, channels=64, initializers_as_inputs=True)

    moved, _ = move_opset(model)

    assert {tensor.name for tensor in moved.graph.initializer} == {"w1", "b1", "w2", "b2", "w3", "b3"}
    onnx.checker.check_model(moved, full_check=True)


def test_a_stage_that_changes_outputs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clean-up that moves the outputs beyond tolerance is left out with a note; the model is kept."""
    source = saved(classifier(), tmp_path / "source.onnx")

    def wrong(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        bias = next(tensor for tensor in changed.graph.initializer if tensor.name == "b3")
        bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 0.01, "b3"))
        return changed, ""

    monkeypatch.setattr(normalise_module, "_slim", wrong)
    reference = reference_of(source, [{"x": images(1)}])

    done = normalise(load_model(source), reference, tmp_path)

    assert done.difference <= 1e-5
    assert any("clean-up refused" in note for note in done.notes)
    x = images(2)
    np.testing.assert_allclose(outputs_of(done.path, x), outputs_of(source, x), rtol=1e-5, atol=1e-6)


def test_a_stage_that_fails_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third-party pass that raises costs its own result only."""
    source = saved(classifier(), tmp_path / "source.onnx")

    def broken(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
        raise RuntimeError("pass is broken")

    monkeypatch.setattr(normalise_module, "_slim", broken)

    done = normalise(load_model(source), reference_of(source, [{"x": images(1)}]), tmp_path)

    assert done.simplified
    assert any("pass is broken" in note for note in done.notes)


def test_a_new_file_format_is_lowered(tmp_path: Path) -> None:
    """IR versions beyond 10 are not readable on old boards."""
    model = classifier(opset=17)
    model.ir_version = 12
    source = saved(model, tmp_path / "source.onnx")

    done = normalise(load_model(source), reference_of(source, [{"x": images(1)}]), tmp_path)

    assert onnx.load(str(done.path)).ir_version <= 10


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize(("axes", "keepdims"), [([2, 3], 1), ([-1, -2], 0)])
def test_means_over_images_become_pooling(tmp_path: Path, opset: int, axes: list[int], keepdims: int) -> None:
    """ReduceMean over both sides, axes as attribute or as input, is the pooling that runtimes know."""
    helper = onnx.helper
    inputs, attributes, tensors = ["x"], {"axes": axes}, []
    if opset >= 18:
        tensors = [onnx.numpy_helper.from_array(np.array(axes), "axes")]
        inputs, attributes = ["x", "axes"], {}
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", inputs, ["y"], keepdims=keepdims, **attributes)],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    source = saved(model, tmp_path / "source.onnx")

    done = normalise(load_model(source), reference_of(source, [{"x": images(2)}]), tmp_path)

    kinds = [node.op_type for node in onnx.load(str(done.path)).graph.node]
    assert kinds == ["GlobalAveragePool"] + ["Flatten"] * (1 - keepdims)
    x = images(3)
    np.testing.assert_allclose(outputs_of(done.path, x), outputs_of(source, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("expected", "actual", "gap"),
    [
        ([1.0, -4.0], [1.0, -3.0], 0.25),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([0.0, 0.0], [0.0, 0.1], np.inf),
        ([1.0, np.nan], [1.0, np.nan], 0.0),
        ([1.0, 2.0], [1.0, np.nan], np.inf),
    ],
)
def test_relative_difference_by_hand(expected: list[float], actual: list[float], gap: float) -> None:
    """max |a - b| / max |a|; NaN must be where it was."""
    assert relative_difference(np.array(expected), np.array(actual)) == gap


def test_relative_difference_sees_shapes_and_integers() -> None:
    """Another shape, or one other integer, is infinitely far."""
    assert relative_difference(np.zeros((2, 1)), np.zeros(2)) == np.inf
    assert relative_difference(np.array([1, 2]), np.array([1, 3])) == np.inf


def test_constant_outputs_are_called_vacuous(tmp_path: Path) -> None:
    """A network whose outputs ignore the input proves nothing when compared."""
    model = classifier()
    for tensor in model.graph.initializer:
        if tensor.name in ("w3", "b3"):
            zeros = np.zeros(tuple(tensor.dims), np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(zeros, tensor.name))
    source = saved(model, tmp_path / "source.onnx")

    assert is_vacuous(reference_of(source, [{"x": images(1, 0)}, {"x": images(1, 1)}]))
