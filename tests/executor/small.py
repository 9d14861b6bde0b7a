"""One-node and few-node graphs for the executor's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgewright.graph.session import open_session, run

Array = np.ndarray[Any, np.dtype[Any]]


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Array],
    outputs: Sequence[str],
    constants: Mapping[str, Array] | None = None,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model whose inputs have the types and ranks of these example arrays, all sizes left open."""
    declared = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim)
        for name, value in inputs.items()
    ]
    made = helper.make_graph(
        list(nodes),
        "small",
        declared,
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=4 if opset < 13 else 8)
    if any(node.domain for node in nodes):
        return model
    inferred = onnx.shape_inference.infer_shapes(model)
    for value in inferred.graph.output:
        value.type.tensor_type.ClearField("shape")
    return inferred


def by_runtime(model: onnx.ModelProto, feed: Mapping[str, Array], folder: Path) -> list[Array]:
    """onnxruntime's outputs."""
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return run(open_session(path, threads=1, plain=True), feed)


def floats(*shape: int, seed: int = 0) -> Array:
    """Normal noise, float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
