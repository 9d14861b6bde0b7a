"""Element types: ONNX's and torch's."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import numpy_helper

_KINDS = onnx.TensorProto
# 4-bit integers are held one to a byte; the sixteen-, 32- and 64-bit unsigned types have hardly any kernels in torch,
# so that they are held in the next larger signed type.
TORCH_TYPES = {
    _KINDS.FLOAT: torch.float32,
    _KINDS.DOUBLE: torch.float64,
    _KINDS.FLOAT16: torch.float16,
    _KINDS.BFLOAT16: torch.bfloat16,
    _KINDS.INT4: torch.int8,
    _KINDS.UINT4: torch.uint8,
    _KINDS.INT8: torch.int8,
    _KINDS.UINT8: torch.uint8,
    _KINDS.INT16: torch.int16,
    _KINDS.UINT16: torch.int32,
    _KINDS.INT32: torch.int32,
    _KINDS.UINT32: torch.int64,
    _KINDS.INT64: torch.int64,
    _KINDS.BOOL: torch.bool,
}

# Lowest and highest value of what QuantizeLinear can write.
QUANTISED_RANGES = {
    _KINDS.INT4: (-8, 7),
    _KINDS.UINT4: (0, 15),
    _KINDS.INT8: (-128, 127),
    _KINDS.UINT8: (0, 255),
    _KINDS.INT16: (-32768, 32767),
    _KINDS.UINT16: (0, 65535),
}


def type_name(elem_type: int) -> str:
    """ONNX's name of an element type, for messages."""
    return str(onnx.TensorProto.DataType.Name(elem_type))


def torch_type(elem_type: int, precision: torch.dtype = torch.float32) -> torch.dtype | None:
    """The torch type that holds an ONNX element type; `precision` is what FLOAT is computed in. None: no such type."""
    return precision if elem_type == _KINDS.FLOAT else TORCH_TYPES.get(elem_type)


def to_torch(tensor: onnx.TensorProto, precision: torch.dtype = torch.float32) -> torch.Tensor | None:
    """A copy of the values, shape kept (0-d too). None where torch has no such type."""
    kind = torch_type(tensor.data_type, precision)
    if kind is None:
        return None
    values = numpy_helper.to_array(tensor)
    if tensor.data_type == _KINDS.BFLOAT16:
        values = values.astype(np.float32)
    elif tensor.data_type in (_KINDS.INT4, _KINDS.UINT4):
        values = values.astype(np.int8 if tensor.data_type == _KINDS.INT4 else np.uint8)
    elif values.dtype in (np.uint16, np.uint32):
        values = values.astype(np.int64)
    # `array` rather than `ascontiguousarray`, which would make a 0-d value 1-d.
    return torch.from_numpy(np.array(values, order="C")).to(kind)
