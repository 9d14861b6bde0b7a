"""Concat inputs share one scale where that costs little."""

from __future__ import annotations

from dataclasses import replace

from onnx import TensorProto, helper

from edgewright.compress.placement import Placement
from edgewright.compress.sharing import share_ranges


def test_concat_inputs_take_the_range_of_the_result() -> None:
    """Near ranges become one, also along a chain; a far one and one that others read stay as they are."""
    graph = helper.make_graph(
        [
            helper.make_node("Concat", ["near", "far", "read"], ["inner"], "c1", axis=1),
            helper.make_node("Concat", ["inner", "last"], ["outer"], "c2", axis=1),
            helper.make_node("Relu", ["read"], ["other"], "r"),
        ],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in ("near", "far", "read", "last")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("outer", "other")],
    )
    placement = Placement(("c1", "c2"), (), (), (), 0)
    ranges = {
        "near": (0.0, 6.0),
        "far": (0.0, 1.0),
        "read": (0.0, 7.0),
        "inner": (0.0, 7.0),
        "last": (-1.0, 8.0),
        "outer": (-1.0, 8.0),
    }
    model = helper.make_model(graph)

    shared = share_ranges(model, placement, ranges)

    assert shared == {**ranges, "near": (-1.0, 8.0), "inner": (-1.0, 8.0)}
    assert share_ranges(model, replace(placement, nodes=()), ranges) == ranges
