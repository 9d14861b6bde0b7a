"""Parameters, multiply-accumulates and shapes, against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.graph.cost import count_macs, count_parameters
from edgewright.graph.index import GraphIndex
from edgewright.graph.measured_shapes import known_shapes
from edgewright.graph.shapes import concrete_shapes, infer_shapes, random_probe, tensor_spec
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.graph.networks import classifier

# w1 16*3*9 + 16, w2 16*16*9 + 16, w3 10*16 + 10
PARAMETERS = 432 + 16 + 2304 + 16 + 160 + 10
# 16 x 16 positions of both convolutions, and the Gemm
MACS = 256 * 16 * 27 + 256 * 16 * 144 + 160


@pytest.mark.parametrize("batch", ["N", 1])
def test_counts_of_a_known_network(batch: int | str) -> None:
    """Counted at batch 1, dynamic or not."""
    model = classifier(batch=batch)

    shapes = infer_shapes(model, concrete_shapes(model))

    assert count_parameters(model) == PARAMETERS
    assert count_macs(model, shapes) == (MACS, 0)
    assert shapes["c2"] == (1, 16, 16, 16)


def test_transposed_convolution_and_grouped_convolution() -> None:
    """ConvTranspose counts each input position once per kernel weight; groups divide the input channels."""
    weight = numpy_helper.from_array(np.zeros((4, 2, 2, 2), np.float32), "w")
    depthwise = numpy_helper.from_array(np.zeros((2, 1, 3, 3), np.float32), "d")
    graph = helper.make_graph(
        [
            helper.make_node("ConvTranspose", ["x", "w"], ["t"], strides=[2, 2]),
            helper.make_node("Conv", ["t", "d"], ["y"], group=2),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 5, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weight, depthwise],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])

    macs, unknown = count_macs(model, infer_shapes(model, concrete_shapes(model)))

    assert (macs, unknown) == (4 * 25 * 2 * 4 + 2 * 64 * 9, 0)


def test_input_size_fills_open_sides_and_misfits_are_refused() -> None:
    """An open graph takes the spec's size; a graph that fixes another one says which."""
    model = classifier()
    open_graph = classifier()
    for axis in (2, 3):
        open_graph.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"side{axis}"

    assert concrete_shapes(open_graph, (40, 48)) == {"x": (1, 3, 40, 48)}
    assert concrete_shapes(open_graph) == {"x": (1, 3, 224, 224)}
    with pytest.raises(EdgewrightError, match=r"x takes \[16, 16\]") as caught:
        concrete_shapes(model, (40, 48))
    assert caught.value.code is ErrorCode.SPEC_MISMATCH


def test_probes_have_the_inputs_dtype_and_shape() -> None:
    """Random feeds fit the graph and repeat for one seed."""
    model = classifier()
    shapes = concrete_shapes(model)

    probe = random_probe(model, shapes, seed=3)

    assert probe["x"].shape == (1, 3, 16, 16)
    assert probe["x"].dtype.name == "float32"
    assert (probe["x"] == random_probe(model, shapes, seed=3)["x"]).all()


def test_index_knows_shared_readers() -> None:
    """A tensor's readers and maker, and unknown dimensions by their symbol."""
    model = classifier()
    index = GraphIndex(model)

    assert [node.op_type for node in index.consumers["r1"]] == ["Conv", "Add"]
    assert index.producer["s"].op_type == "Add"
    assert tensor_spec(model.graph.input[0]).shape == ("N", 3, 16, 16)


def test_shapes_that_inference_cannot_tell_are_measured() -> None:
    """A reshape by computed numbers hides the shape of a matrix product; running the network reveals it."""
    rng = np.random.default_rng(0)
    tensors = [
        numpy_helper.from_array(rng.standard_normal((12, 5)).astype(np.float32), "w"),
        numpy_helper.from_array(np.array([2], np.float32), "half"),
        numpy_helper.from_array(np.array([-1, 12], np.int64), "target"),
        numpy_helper.from_array(np.array([1, 1], np.int64), "ones"),
    ]
    graph = helper.make_graph(
        [
            helper.make_node("NonZero", ["x"], ["where"]),
            helper.make_node("Cast", ["where"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Reshape", ["numbers", "target"], ["rows"]),
            helper.make_node("MatMul", ["rows", "w"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    inputs = concrete_shapes(model)

    assert count_macs(model, infer_shapes(model, inputs)) == (0, 1)
    # 48 non-zero values of 4 axes make 16 rows of 12.
    assert count_macs(model, known_shapes(model, inputs)) == (16 * 5 * 12, 0)
