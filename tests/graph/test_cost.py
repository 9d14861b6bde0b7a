"""Parameters, multiply-accumulates and shapes, against counts by hand."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.graph.cost import count_macs, count_parameters
from edgewright.graph.index import GraphIndex
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
    import numpy as np

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
