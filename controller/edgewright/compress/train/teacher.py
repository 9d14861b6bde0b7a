"""The teacher: the baseline network, run by onnxruntime, with intermediate tensors where they are wanted."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from edgewright.graph.model_file import save_model
from edgewright.graph.session import Array, open_session, run
from edgewright.graph.shapes import true_inputs
from edgewright_contract.errors import EdgewrightError, ErrorCode


class Teacher:
    """Answers inputs [n, ...] with its outputs and its `features` (names of tensors inside the graph)."""

    def __init__(self, model: onnx.ModelProto, features: Sequence[str] = (), threads: int = 0) -> None:
        self._outputs = [value.name for value in model.graph.output]
        self._features = list(dict.fromkeys(features))
        opened = onnx.ModelProto()
        opened.CopyFrom(model)
        inside = [name for name in self._features if name not in self._outputs]
        opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inside)
        with tempfile.TemporaryDirectory(prefix="edgewright-teacher-") as folder:
            path = Path(folder) / "teacher.onnx"
            save_model(opened, path)
            self._session = open_session(path, threads)
        self._input = single_float_input(model)

    def answers(self, inputs: Array) -> tuple[list[Any], dict[str, Any]]:
        """(outputs, features by name) as torch tensors. Raises MODEL_NOT_FINITE, MODEL_UNRUNNABLE."""
        names = [*self._outputs, *(name for name in self._features if name not in self._outputs)]
        made = dict(zip(names, run(self._session, {self._input: np.ascontiguousarray(inputs)}, names), strict=True))
        for name, value in made.items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise EdgewrightError(
                    ErrorCode.MODEL_NOT_FINITE,
                    f"the teacher computes NaN or infinity at {name!r} on the training set",
                    "check mean and std in the spec; training needs finite outputs",
                )
        tensors = {name: torch.from_numpy(value) for name, value in made.items()}
        return [tensors[name] for name in self._outputs], {name: tensors[name] for name in self._features}


def single_float_input(model: onnx.ModelProto) -> str:
    """The name of the network's one float32 input. Raises COMPRESSION_FAILED where it has another kind."""
    inputs = true_inputs(model)
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise EdgewrightError(
            ErrorCode.COMPRESSION_FAILED,
            f"training needs a network with one float32 input; found {', '.join(i.name for i in inputs) or 'none'}",
            "export the network with one image input",
        )
    return str(inputs[0].name)


def fixed_batch(model: onnx.ModelProto) -> int:
    """The batch that the graph was exported for, 0 where any will do."""
    dimensions = true_inputs(model)[0].type.tensor_type.shape.dim
    return int(dimensions[0].dim_value) if dimensions and dimensions[0].HasField("dim_value") else 0


def node_outputs(model: onnx.ModelProto) -> set[str]:
    """Names of all tensors that nodes compute."""
    return {name for node in model.graph.node for name in node.output if name}
