"""Shapes that inference cannot tell, found by running the network once."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from edgewright.graph.cost import COUNTED_OPS
from edgewright.graph.model_file import save_model
from edgewright.graph.session import open_session, run
from edgewright.graph.shapes import Shape, infer_shapes, random_probe
from edgewright_contract.errors import EdgewrightError, ErrorCode


def known_shapes(model: onnx.ModelProto, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, Shape]:
    """Shape of every tensor for inputs of these shapes; what inference leaves open around counted operators is
    measured. Still open (None or missing) is what a network that refuses random input leaves open."""
    shapes = infer_shapes(model, inputs)
    open_names = _open_around_products(model, shapes)
    if open_names:
        shapes.update(_measured(model, inputs, open_names))
    return shapes


def _open_around_products(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> list[str]:
    """Activations of convolutions and matrix products whose shape is not fully known."""
    held = {tensor.name for tensor in model.graph.initializer}
    wanted: dict[str, None] = {}
    for node in model.graph.node:
        if node.op_type not in COUNTED_OPS:
            continue
        for name in (*node.input[:2], node.output[0]):
            if name not in held and None in shapes.get(name, (None,)):
                wanted[name] = None
    return list(wanted)


def _measured(model: onnx.ModelProto, inputs: Mapping[str, tuple[int, ...]], names: list[str]) -> dict[str, Shape]:
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    present = {value.name for value in watched.graph.output}
    for name in names:
        if name not in present:
            watched.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    with tempfile.TemporaryDirectory(prefix="edgewright-shapes-") as folder:
        path = Path(folder) / "watched.onnx"
        save_model(watched, path)
        try:
            values = run(open_session(path, threads=1), random_probe(model, inputs, seed=0), names)
        except EdgewrightError as error:
            if error.code is not ErrorCode.MODEL_UNRUNNABLE:
                raise
            return {}
    return {name: np.shape(value) for name, value in zip(names, values, strict=True)}
