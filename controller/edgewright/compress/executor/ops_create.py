"""Operators that make tensors, ask for shapes or change element types."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from edgewright.compress.executor.dtypes import to_torch
from edgewright.compress.executor.node import Node, Unsupported
from edgewright.compress.executor.registry import Run, operator, simple


@operator("Constant", limits="strings and sparse tensors")
def constant(node: Node) -> Run:
    value = node.attribute("value")
    if value is not None:
        held = to_torch(value, node.precision)
        if held is None:
            raise Unsupported("Constant of an element type that torch lacks")
    elif (integers := node.attribute("value_ints", node.attribute("value_int"))) is not None:
        held = torch.tensor(integers, dtype=torch.int64)
    elif (floats := node.attribute("value_floats", node.attribute("value_float"))) is not None:
        held = torch.tensor(floats, dtype=node.precision)
    else:
        raise Unsupported("Constant with strings or a sparse tensor")
    return lambda: held


@operator("ConstantOfShape")
def constant_of_shape(node: Node) -> Run:
    value = node.attribute("value")
    fill = torch.zeros(1, dtype=node.precision) if value is None else to_torch(value, node.precision)
    if fill is None:
        raise Unsupported("ConstantOfShape of an element type that torch lacks")
    shape = node.ints(0)
    return lambda given: torch.full(shape(given), fill.reshape(()).item(), dtype=fill.dtype)


@operator("Shape")
def shape(node: Node) -> Run:
    start, end = node.attribute("start", 0), node.attribute("end")
    return lambda x: torch.tensor(x.shape[start:end], dtype=torch.int64)


simple("Size", lambda x: torch.tensor(x.numel(), dtype=torch.int64))


@operator("Range")
def number_range(_node: Node) -> Run:
    return lambda start, limit, step: torch.arange(start.item(), limit.item(), step.item(), dtype=start.dtype)


@operator("EyeLike")
def eye_like(node: Node) -> Run:
    offset = node.attribute("k", 0)
    kind = None if node.attribute("dtype") is None else node.torch_type(node.attribute("dtype"))

    def run(x: Tensor) -> Tensor:
        ones = torch.ones(x.shape, dtype=torch.float64).triu(offset).tril(offset)
        return ones.to(kind or x.dtype)

    return run


@operator("Trilu")
def triangle(node: Node) -> Run:
    cut = torch.triu if node.attribute("upper", 1) else torch.tril
    offset = node.ints(1, default=[0])
    return lambda x, k=None: cut(x, offset(k)[0])


@operator("Cast", limits="strings and 8-bit floats")
def cast(node: Node) -> Run:
    kind = node.torch_type(node.attribute("to"))
    return lambda x: x.to(kind)


@operator("CastLike")
def cast_like(_node: Node) -> Run:
    return lambda x, like: x.to(like.dtype)


@operator("Dropout", limits="training_mode that is true or computed: the executor's own mode decides", trains=True)
def dropout(node: Node) -> Run:
    fixed, mode = node.attribute("ratio", 0.5), node.constant(2)
    node.refuse_unless(not node.given(2) or (mode is not None and not bool(mode)), "training_mode set in the graph")
    masked = node.asked(1)

    def run(x: Tensor, ratio: Tensor | None = None, _mode: Tensor | None = None, training: bool = False) -> Any:
        share = fixed if ratio is None else float(ratio)
        if not masked:
            return functional.dropout(x, share, training)
        mask = torch.rand_like(x) >= share if training else torch.ones_like(x, dtype=torch.bool)
        return (x * mask / (1 - share) if training else x), mask

    return run
