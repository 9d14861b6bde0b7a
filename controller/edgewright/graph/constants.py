"""Weights where later passes expect them: in initializers."""

from __future__ import annotations

import onnx
import onnx_ir
from onnx_ir.passes import common

# Folding larger results than this would only grow the file (an expanded mask, a tiled table).
_FOLDED_ELEMENTS = 4 * 1024 * 1024


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constant nodes and chains of constants become initializers; initializers leave the graph's inputs;
    Identity and unused nodes go; every node gets a name of its own.

    The model comes back as a new message; its tensors share memory with the old one where they can.
    """
    from onnxscript import optimizer

    graph_model = onnx_ir.from_proto(model)
    common.RemoveInitializersFromInputsPass()(graph_model)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(graph_model)
    optimizer.fold_constants_ir(graph_model, input_size_limit=_FOLDED_ELEMENTS, output_size_limit=_FOLDED_ELEMENTS)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(graph_model)
    common.IdentityEliminationPass()(graph_model)
    common.RemoveUnusedNodesPass()(graph_model)
    _unique_node_names(graph_model)
    graph_model.ir_version = max(graph_model.ir_version or 0, 8)
    return onnx_ir.to_proto(graph_model)


def strip_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """The mildest form: the model with initializers removed from its inputs and nodes named, nothing else."""
    graph_model = onnx_ir.from_proto(model)
    common.RemoveInitializersFromInputsPass()(graph_model)
    _unique_node_names(graph_model)
    graph_model.ir_version = max(graph_model.ir_version or 0, 4)
    return onnx_ir.to_proto(graph_model)


def _unique_node_names(model: onnx_ir.Model) -> None:
    taken: set[str] = set()
    for index, node in enumerate(model.graph.all_nodes()):
        name = node.name or f"{node.op_type}_{index}"
        while name in taken:
            name = f"{name}_{index}"
        taken.add(name)
        node.name = name
