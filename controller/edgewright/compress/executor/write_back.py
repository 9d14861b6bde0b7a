"""Trained weights back into the ONNX model they came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from edgewright.graph.model_file import save_model
from edgewright_contract.errors import EdgewrightError, ErrorCode


def constant_tensors(model: onnx.ModelProto) -> dict[str, Any]:
    """Name -> TensorProto of initializers and of Constant nodes (named by their output). No copies."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            held[node.output[0]] = node.attribute[0].t
    return held


def write_weights(model: onnx.ModelProto, values: Mapping[str, torch.Tensor], destination: Path) -> None:
    """Writes a copy of `model` with `values` ({tensor name: values, shape as in the model}) to `destination`.

    A tensor whose values are those of the model, bit for bit, is not touched; shapes (0-d too) and element types stay.
    Raises MODEL_NOT_FINITE, DISK_FULL; then nothing is written.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    held = constant_tensors(changed)
    for name, value in values.items():
        tensor = held[name]
        before = numpy_helper.to_array(tensor)
        after = value.detach().cpu().numpy().astype(before.dtype, copy=False)
        if after.tobytes() == before.tobytes():
            continue
        if not np.isfinite(after).all():
            raise EdgewrightError(
                ErrorCode.MODEL_NOT_FINITE,
                f"the trained weight {name!r} has NaN or infinite values",
                "train with a smaller learning rate",
            )
        data = after.astype(after.dtype.newbyteorder("<"), copy=False).tobytes()
        for field in ("float_data", "double_data", "int32_data"):
            tensor.ClearField(field)
        tensor.raw_data = data
    save_model(changed, destination)
