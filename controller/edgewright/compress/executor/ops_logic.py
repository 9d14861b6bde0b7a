"""Comparisons, logic and choice."""

from __future__ import annotations

import torch
from torch import Tensor

from edgewright.compress.executor.node import Node
from edgewright.compress.executor.registry import Run, operator, simple

for _name, _run in {
    "And": torch.logical_and,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "IsNaN": torch.isnan,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Not": torch.logical_not,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
}.items():
    simple(_name, _run)


@operator("IsInf")
def is_inf(node: Node) -> Run:
    positive, negative = node.attribute("detect_positive", 1), node.attribute("detect_negative", 1)

    def run(x: Tensor) -> Tensor:
        found = torch.zeros_like(x, dtype=torch.bool)
        if positive:
            found = found | torch.isposinf(x)
        return found | torch.isneginf(x) if negative else found

    return run


@operator("Where")
def where(_node: Node) -> Run:
    def run(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
        device = next((item.device for item in (a, b, condition) if item.device.type != "cpu"), a.device)
        return torch.where(condition.to(device), a.to(device), b.to(device))

    return run
