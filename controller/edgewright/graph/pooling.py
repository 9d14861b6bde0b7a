"""Means over whole images written as the pooling that every runtime knows, also on 8 bits."""

from __future__ import annotations

import onnx
from onnx import helper, numpy_helper

from edgewright.graph.shapes import concrete_shapes, infer_shapes


def mean_to_pooling(model: onnx.ModelProto) -> int:
    """Rewrites, in place, ReduceMean over both sides of an NCHW tensor as GlobalAveragePool (and Flatten where the
    axes are dropped). Returns how many."""
    if not any(node.op_type == "ReduceMean" for node in model.graph.node):
        return 0
    shapes = infer_shapes(model, concrete_shapes(model))
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    done = 0
    for position, node in reversed(list(enumerate(model.graph.node))):
        if node.op_type != "ReduceMean" or len(shapes.get(node.input[0], ())) != 4:
            continue
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        axes = attributes.get("axes")
        if len(node.input) > 1 and node.input[1] in held:
            axes = numpy_helper.to_array(held[node.input[1]]).tolist()
        if axes is None or {axis % 4 for axis in axes} != {2, 3}:
            continue
        keeps = attributes.get("keepdims", 1)
        pooled = node.output[0] if keeps else f"{node.output[0]}_pooled"
        made = [helper.make_node("GlobalAveragePool", [node.input[0]], [pooled], node.name)]
        if not keeps:
            made.append(helper.make_node("Flatten", [pooled], [node.output[0]], f"{node.name}_flatten", axis=1))
        model.graph.node.remove(node)
        for offset, item in enumerate(made):
            model.graph.node.insert(position + offset, item)
        done += 1
    return done
