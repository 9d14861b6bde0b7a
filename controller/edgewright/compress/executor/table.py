"""The list of operators for docs/operators.md: `python -m edgewright.compress.executor.table > docs/operators.md`."""

from __future__ import annotations

import sys

import onnx

from edgewright.compress.executor.registry import load_operators
from edgewright.graph.opset import OLDEST_OPSET, newest_opset

_HEAD = """# Operators that can be trained

Pruning, distillation and quantisation-aware training run a network in torch, operator by operator. These operators of
the standard ONNX set can be run so, opset {oldest} to {newest}; each is tested with ONNX's own test cases. A network
with others keeps the levels without training. Operators after the last weight (post-processing such as
NonMaxSuppression) are left aside during training and stay in the file.

Element types: float, double, float16, bfloat16, int4 to int64, uint4 to uint32, bool. QuantizeLinear rounds
straight-through, so that quantised graphs train as they are. This page is generated.

| operator | newest version | not supported |
|---|---|---|
"""


def render_table() -> str:
    """The page's text."""
    rows = []
    for name, known in sorted(load_operators().items()):
        version = onnx.defs.get_schema(name, newest_opset(), "").since_version
        rows.append(f"| {name} | {version} | {known.limits} |\n")
    return _HEAD.format(oldest=OLDEST_OPSET, newest=newest_opset()) + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(render_table())
