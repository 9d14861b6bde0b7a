"""Post-processing that cannot be trained, cut off behind the last weight."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import onnx

from edgewright.compress.executor.parameters import reached_from
from edgewright.compress.executor.plan import in_order
from edgewright.graph.shapes import skeleton, true_inputs


def without_tail(
    model: onnx.ModelProto, refused: Collection[Any], variables: Collection[str]
) -> onnx.ModelProto | None:
    """The graph without `refused` nodes and all that depends on them; the float tensors that those read from the rest
    become outputs.

    None where that would cut off a weight (one of `variables`), or leave no weight at all.
    """
    graph = model.graph
    nodes = in_order(model)
    lost = reached_from(nodes, {name for node in refused for name in node.output if name})
    tail = [node for node in nodes if lost.intersection(node.output)]
    rest = [node for node in nodes if not lost.intersection(node.output)]
    if any(name in variables for node in tail for name in _reads(node)):
        return None
    trained = reached_from(rest, set(variables))
    computed = reached_from(rest, {value.name for value in true_inputs(model)})
    names = [value.name for value in graph.output if value.name not in lost]
    floats = _float_tensors(model)
    for node in tail:
        for name in _reads(node):
            if name in trained and name in computed and name in floats and name not in names:
                names.append(name)
    if not trained.intersection(names):
        return None
    cut = onnx.ModelProto()
    cut.ir_version = model.ir_version
    cut.opset_import.extend(model.opset_import)
    cut.graph.name = graph.name
    cut.graph.node.extend(rest)
    cut.graph.initializer.extend(graph.initializer)
    cut.graph.input.extend(graph.input)
    kept = {value.name: value for value in graph.output}
    cut.graph.output.extend(kept.get(name) or floats[name] for name in names)
    return cut


def _reads(node: Any) -> list[str]:
    """What a node reads, also from within its nested graphs."""
    names = list(node.input)
    for attribute in node.attribute:
        graphs = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
        names.extend(name for graph in graphs for inner in graph.node for name in _reads(inner))
    return names


def _float_tensors(model: onnx.ModelProto) -> dict[str, Any]:
    """Tensors that shape inference knows to be floats."""
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
    inferred = onnx.shape_inference.infer_shapes(skeleton(model), data_prop=False)
    values = (*inferred.graph.value_info, *inferred.graph.output)
    return {value.name: value for value in values if value.type.tensor_type.elem_type in kinds}
