"""What is known of a graph before channels are followed: shapes, and values that no input can change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.graph.session import Array, runtime_errors, short_reason
from edgewright.graph.shapes import concrete_shapes, infer_shapes, random_probe
from edgewright_contract.errors import EdgewrightError, ErrorCode

# Shapes, axes, indices and scales are small; larger constants are never read as values.
_SMALL_ELEMENTS = 65536
# Their results depend on the shape of the input alone.
_SHAPE_READERS = frozenset({"Shape", "Size"})


@dataclass(frozen=True)
class Facts:
    """`shapes` of all tensors at one concrete input size and batch 1; `static` names tensors that do not depend
    on the input's values; `values` holds those of them that are small.
    """

    shapes: dict[str, tuple[int, ...]]
    static: frozenset[str]
    values: dict[str, Array]


def gather_facts(model: onnx.ModelProto, input_size: tuple[int, int] | None = None) -> Facts:
    """Shapes by inference, and by one run where inference does not reach.

    Raises SPEC_MISMATCH (input size), MODEL_UNRUNNABLE (the network runs on no input of that size).
    """
    fed = concrete_shapes(model, input_size)
    inferred = infer_shapes(model, fed)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in inferred.items():
        known = tuple(size for size in shape if size is not None)
        if len(known) == len(shape):
            shapes[name] = known
    values = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if prod(tensor.dims) <= _SMALL_ELEMENTS
    }
    initializers = {tensor.name for tensor in model.graph.initializer}
    static = _static_names(model, initializers)
    made = [name for node in model.graph.node for name in node.output if name]
    wanted = [name for name in made if name not in shapes or (name in static and _is_small(shapes, name))]
    if wanted:
        found = _run(model, fed, wanted)
        for name, value in found.items():
            shapes[name] = value.shape
            if name in static and value.size <= _SMALL_ELEMENTS:
                values[name] = value
    return Facts(shapes, frozenset(static), values)


def _static_names(model: onnx.ModelProto, initializers: set[str]) -> set[str]:
    static = set(initializers)
    for node in model.graph.node:
        random = node.op_type.startswith("Random") or node.op_type in ("Bernoulli", "Multinomial")
        nested = any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)
        fixed = all(not name or name in static for name in node.input) and not random and not nested
        if fixed or node.op_type in _SHAPE_READERS:
            static.update(name for name in node.output if name)
    return static


def _is_small(shapes: dict[str, tuple[int, ...]], name: str) -> bool:
    return prod(shapes[name]) <= _SMALL_ELEMENTS


def _run(model: onnx.ModelProto, fed: dict[str, tuple[int, ...]], wanted: Iterable[str]) -> dict[str, Array]:
    """Values of `wanted` in one run without graph optimisation."""
    import onnxruntime

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    names = list(wanted)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
        results = session.run(names, random_probe(model, fed, seed=0))
    except runtime_errors() as error:
        raise EdgewrightError(
            ErrorCode.MODEL_UNRUNNABLE,
            f"the network does not run on inputs {fed}: {short_reason(error)}",
            "check the input size (spec file: [input] size = [height, width])",
        ) from error
    return {name: value for name, value in zip(names, results, strict=True) if isinstance(value, np.ndarray)}
