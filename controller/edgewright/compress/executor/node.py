"""One node of the graph as an operator sees it when the executor is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx
import torch

from edgewright.compress.executor.dtypes import torch_type, type_name

Ints = Callable[[torch.Tensor | None], list[int]]


class Unsupported(Exception):
    """What an operator cannot do, in a few words: "AveragePool with a fifth axis"."""


class Node:
    """Attributes as Python values, and those inputs that are constant.

    `constants` holds the tensors that never change: an operator may turn them into Python numbers once. `types` are
    the ONNX element types of tensors, as far as they are known.
    """

    def __init__(
        self,
        proto: onnx.NodeProto,
        opset: int,
        constants: Mapping[str, torch.Tensor],
        precision: torch.dtype,
        types: Mapping[str, int],
    ) -> None:
        self.op: str = proto.op_type
        self.name: str = proto.name
        self.opset = opset
        self.precision = precision
        self.inputs: tuple[str, ...] = tuple(proto.input)
        self.outputs: tuple[str, ...] = tuple(proto.output)
        self._constants = constants
        self._types = types
        self._attributes: dict[str, Any] = {}
        for attribute in proto.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            if isinstance(value, bytes):
                value = value.decode("utf-8", "replace")
            elif attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
                value = list(value)
            self._attributes[attribute.name] = value

    def attribute(self, name: str, default: Any = None) -> Any:
        """Value of an attribute: int, float, str, list of numbers or TensorProto."""
        return self._attributes.get(name, default)

    def given(self, index: int) -> bool:
        """Whether the optional input is connected."""
        return index < len(self.inputs) and bool(self.inputs[index])

    def asked(self, index: int) -> bool:
        """Whether anything was connected to the optional output."""
        return index < len(self.outputs) and bool(self.outputs[index])

    def constant(self, index: int) -> torch.Tensor | None:
        """The input's value where it never changes, else None."""
        return self._constants.get(self.inputs[index]) if self.given(index) else None

    def input_type(self, index: int) -> int:
        """ONNX element type of an input; 0 where it is unknown or not connected."""
        return self._types.get(self.inputs[index], 0) if self.given(index) else 0

    def ints(self, index: int, attribute: str = "", default: list[int] | None = None) -> Ints:
        """Reads a list of integers: from the attribute, from a constant input, or from the input of each call.

        The result takes the tensor of that input and gives the list; `default` where there is neither.
        """
        fixed = self._attributes.get(attribute) if attribute else None
        value = self.constant(index)
        if fixed is None and value is not None:
            fixed = [int(item) for item in value.reshape(-1).tolist()]
        if fixed is None and not self.given(index):
            fixed = default
        if fixed is not None or not self.given(index):
            known: list[int] = list(fixed or [])
            return lambda _tensor: known

        def read(tensor: torch.Tensor | None) -> list[int]:
            assert tensor is not None
            return [int(item) for item in tensor.reshape(-1).tolist()]

        return read

    def torch_type(self, elem_type: int) -> torch.dtype:
        """The torch type of an ONNX element type. Raises Unsupported."""
        found = torch_type(elem_type, self.precision)
        if found is None:
            raise Unsupported(f"{self.op} with element type {type_name(elem_type)}")
        return found

    def refuse_unless(self, condition: bool, what: str) -> None:
        """Raises Unsupported("OP with WHAT") unless the condition holds."""
        if not condition:
            raise Unsupported(f"{self.op} with {what}")
