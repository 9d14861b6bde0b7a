"""Placement: whole islands become INT8, and what stays float is named with its reason."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgewright.compress.placement import Placement, place
from edgewright.graph.constants import tidy
from edgewright.graph.shapes import concrete_shapes, infer_shapes
from tests.graph.networks import classifier


def placed(model: onnx.ModelProto, classification: bool = True, **keep: str) -> tuple[onnx.ModelProto, Placement]:
    model = tidy(model)
    shapes = infer_shapes(model, concrete_shapes(model))
    return model, place(model, shapes, classification, keep)


def kinds(model: onnx.ModelProto, placement: Placement) -> list[str]:
    return [node.op_type for node in model.graph.node if node.name in placement.nodes]


def graph(nodes: list[onnx.NodeProto], weights: dict[str, tuple[int, ...]], output: str) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    tensors = [
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name) for name, shape in weights.items()
    ]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 16, 16])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        tensors,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_plain_classifier_is_one_island() -> None:
    """Every operator from the first convolution to the last product is quantised."""
    model, placement = placed(classifier())

    assert kinds(model, placement) == [
        "Conv",
        "Relu",
        "Conv",
        "Relu",
        "Add",
        "GlobalAveragePool",
        "Flatten",
        "Gemm",
    ]
    assert placement.float_layers == ()
    assert [layer.op for layer in placement.layers] == ["Conv", "Conv", "Gemm"]
    # Convolution outputs vanish into their activations, so they need no range.
    assert set(placement.tensors) == {"x", "r1", "r2", "s", "g", "f", "y"}


def test_asked_layers_stay_float() -> None:
    """A layer kept float takes its activation and the Add that it feeds along, and is named."""
    model = tidy(classifier())
    second = [node.name for node in model.graph.node if node.op_type == "Conv"][1]

    model, placement = placed(model, **{second: "asked for"})

    assert [(layer.name, layer.reason) for layer in placement.float_layers] == [(second, "asked for")]
    assert "Add" not in kinds(model, placement)


def test_a_decoding_tail_stays_float() -> None:
    """What follows the last convolution of a detector (scores, boxes) is not quantised, nor is its cheap head."""
    model, placement = placed(
        graph(
            [
                helper.make_node("Conv", ["x", "w1"], ["c1"], pads=[1] * 4),
                helper.make_node("Relu", ["c1"], ["r1"]),
                helper.make_node("Conv", ["r1", "w2"], ["c2"]),
                helper.make_node("Sigmoid", ["c2"], ["p"]),
                helper.make_node("Mul", ["p", "p"], ["m"]),
                helper.make_node("Concat", ["m", "c2"], ["y"], axis=1),
            ],
            {"w1": (32, 8, 3, 3), "w2": (4, 32, 1, 1)},
            "y",
        ),
        classification=False,
    )

    assert kinds(model, placement) == ["Conv", "Relu"]
    assert ["output layer" in layer.reason for layer in placement.float_layers] == [True]


def test_gates_stay_float_and_their_product_does_not() -> None:
    """A squeeze-and-excite gate is float; the multiplication by it stays on 8 bits."""
    model, placement = placed(
        graph(
            [
                helper.make_node("Conv", ["x", "w1"], ["c1"], pads=[1] * 4),
                helper.make_node("GlobalAveragePool", ["c1"], ["g"]),
                helper.make_node("Conv", ["g", "w2"], ["s1"]),
                helper.make_node("Relu", ["s1"], ["s2"]),
                helper.make_node("Conv", ["s2", "w3"], ["s3"]),
                helper.make_node("HardSigmoid", ["s3"], ["s4"]),
                helper.make_node("Mul", ["c1", "s4"], ["m"]),
                helper.make_node("Conv", ["m", "w4"], ["c2"]),
                helper.make_node("GlobalAveragePool", ["c2"], ["y"]),
            ],
            {"w1": (16, 8, 3, 3), "w2": (4, 16, 1, 1), "w3": (16, 4, 1, 1), "w4": (16, 16, 1, 1)},
            "y",
        )
    )

    assert kinds(model, placement) == ["Conv", "GlobalAveragePool", "Mul", "Conv"]
    assert len(placement.float_layers) == 2
    assert all("gate" in layer.reason for layer in placement.float_layers)


def test_operators_between_float_ones_stay_float() -> None:
    """An Add whose inputs come from operators without 8-bit form is no island."""
    model, placement = placed(
        graph(
            [
                helper.make_node("Conv", ["x", "w1"], ["c1"]),
                helper.make_node("HardSwish", ["c1"], ["h"]),
                helper.make_node("Add", ["h", "h"], ["a"]),
                helper.make_node("Conv", ["a", "w2"], ["y"]),
            ],
            {"w1": (16, 8, 3, 3), "w2": (16, 16, 1, 1)},
            "y",
        )
    )

    assert kinds(model, placement) == ["Conv", "Conv"]


def test_islands_that_do_not_earn_their_conversions_stay_float() -> None:
    """Between operators without 8-bit form a thin convolution returns to float, a thick one stays on 8 bits."""
    model = tidy(
        graph(
            [
                helper.make_node("Conv", ["x", "thin"], ["c1"]),
                helper.make_node("HardSwish", ["c1"], ["h1"]),
                helper.make_node("Conv", ["h1", "thick"], ["c2"], pads=[1] * 4),
                helper.make_node("HardSwish", ["c2"], ["y"]),
            ],
            {"thin": (8, 8, 1, 1), "thick": (8, 8, 3, 3)},
            "y",
        )
    )
    shapes = infer_shapes(model, concrete_shapes(model))

    # Both convert 2 * 8 * 256 elements; the thin one does 4 multiply-accumulates for each, the thick one 36.
    placement = place(model, shapes, True, None, macs_per_conversion=20.0)

    assert [layer.weight for layer in placement.layers] == ["thick"]
    assert ["costs more than it saves" in layer.reason for layer in placement.float_layers] == [True]
    assert not placement.hopeless


def test_a_network_of_thin_islands_is_quantised_all_the_same() -> None:
    """Where no island earns its conversions the file still gets smaller, and the placement is called hopeless."""
    model = tidy(classifier())
    shapes = infer_shapes(model, concrete_shapes(model))

    placement = place(model, shapes, True, None, macs_per_conversion=1e9)

    assert len(placement.layers) == 3
    assert placement.hopeless
