"""Whether the executor computes what onnxruntime computes: asked before any training."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch

from edgewright.compress.executor.module import Executor
from edgewright.graph.compare import Reference, is_vacuous
from edgewright.graph.model_file import load_model, save_model
from edgewright.graph.session import Array, Arrays, open_session, run
from edgewright_contract.errors import EdgewrightError, ErrorCode

# Of an output's range. Reordered sums in single precision stay far below; another meaning does not.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class NodeDifference:
    """A tensor, the node that makes it, and how far the executor's is from onnxruntime's."""

    tensor: str
    node: str
    op: str
    difference: float


def check_agreement(
    executor: Executor,
    model: Path | onnx.ModelProto,
    feeds: Sequence[Arrays],
    tolerance: float = TOLERANCE,
    threads: int = 0,
) -> float:
    """The largest difference of any output on any feed ({input name: array}), as a share of that output's range. Where
    it is above `tolerance`, the executor is asked again in double precision, which tells rounding from another meaning.

    `model` is what the executor was built from. Where no output depends on the input by more than `tolerance`, which
    would prove nothing, the tensors inside the graph are compared instead.

    Raises COMPRESSION_FAILED above `tolerance`, naming the first node that differs; MODEL_UNRUNNABLE where
    onnxruntime or the executor cannot run; MODEL_NOT_FINITE for outputs with NaN.
    """
    if not feeds:
        raise EdgewrightError(ErrorCode.OPTION_INVALID, "no inputs to compare on", "give at least one feed")
    with tempfile.TemporaryDirectory(prefix="edgewright-agreement-") as folder:
        path = model if isinstance(model, Path) else Path()
        if not isinstance(model, Path) or executor.removed:
            path = Path(folder) / "model.onnx"
            save_model(_opened(model, executor.output_names), path)
        session = open_session(path, threads)
        names = list(executor.output_names)
        expected = [tuple(run(session, feed, names)) for feed in feeds]
    for name, wanted in zip(names * len(feeds), (output for outputs in expected for output in outputs), strict=True):
        _check_finite(name, wanted)
    worst = _worst(executor, feeds, expected)
    if tolerance < worst < float("inf"):
        # Some networks amplify rounding on some inputs; without it on our side, only another meaning remains.
        worst = min(worst, _worst(executor.in_double(), feeds, expected))
    vacuous = is_vacuous(Reference(tuple(feeds), tuple(expected))) or _hardly_moves(expected, tolerance)
    if worst <= tolerance and not vacuous:
        return worst
    inside = compare_nodes(executor, model, feeds[0], threads)
    if vacuous and worst <= tolerance:
        worst = max([worst, *(item.difference for item in inside)])
        if worst <= tolerance:
            return worst
    raise _disagreement(worst, tolerance, next((item for item in inside if item.difference > tolerance), None))


def run_arrays(executor: Executor, feed: Arrays) -> list[Array]:
    """The executor's outputs for a feed of arrays, without gradients."""
    device = next(iter(executor.parameters()), torch.zeros(0)).device
    tensors = [torch.from_numpy(np.array(feed[name])).to(device) for name in executor.input_names]
    with torch.no_grad():
        return [output.detach().cpu().numpy() for output in executor(*tensors)]


def compare_nodes(
    executor: Executor, model: Path | onnx.ModelProto, feed: Arrays, threads: int = 0
) -> list[NodeDifference]:
    """Every float tensor that both compute, in the executor's order. onnxruntime's optimisations are off here."""
    source = load_model(model) if isinstance(model, Path) else model
    made = {name for node in source.graph.node for name in node.output if name}
    steps = [(name, step) for step in executor.steps for name in step.outputs if name in made]
    opened = _opened(source, [name for name, _ in steps])
    with tempfile.TemporaryDirectory(prefix="edgewright-agreement-") as folder:
        path = Path(folder) / "opened.onnx"
        save_model(opened, path)
        expected = run(open_session(path, threads, plain=True), feed, [name for name, _ in steps])
    device = next(iter(executor.parameters()), torch.zeros(0)).device
    tensors = [torch.from_numpy(np.array(feed[name])).to(device) for name in executor.input_names]
    with torch.no_grad():
        _, captured = executor(*tensors, capture={name for name, _ in steps})
    return [
        NodeDifference(name, step.name, step.op, span_difference(wanted, captured[name].detach().cpu().numpy()))
        for (name, step), wanted in zip(steps, expected, strict=True)
        if wanted.dtype.kind == "f"
    ]


def _opened(model: Path | onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """A copy of the model with these tensors among its outputs."""
    opened = onnx.ModelProto()
    opened.CopyFrom(load_model(model) if isinstance(model, Path) else model)
    outputs = {value.name for value in opened.graph.output}
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in outputs)
    return opened


def span_difference(expected: Array, actual: Array) -> float:
    """max |expected - actual| / (max expected - min expected); `inf` where shapes or the places of NaN and inf
    differ. A single number, or one value throughout, is measured against its own size. Whole numbers and booleans
    differ by 0 or `inf`.
    """
    if expected.shape != actual.shape:
        return float("inf")
    if expected.size == 0:
        return 0.0
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(expected, actual) else float("inf")
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(actual)):
        return float("inf")
    a, b = expected[finite].astype(np.float64), actual[finite].astype(np.float64)
    if a.size == 0:
        return 0.0
    gap = float(np.abs(a - b).max())
    span = float(a.max() - a.min()) or float(np.abs(a).max())
    return gap / span if span > 0 else (0.0 if gap == 0 else float("inf"))


def _worst(executor: Executor, feeds: Sequence[Arrays], expected: Sequence[tuple[Array, ...]]) -> float:
    return max(
        span_difference(wanted, found.astype(wanted.dtype))
        for feed, outputs in zip(feeds, expected, strict=True)
        for wanted, found in zip(outputs, run_arrays(executor, feed), strict=True)
    )


def _hardly_moves(expected: Sequence[tuple[Array, ...]], tolerance: float) -> bool:
    """Whether every output is the same on all feeds, of which there are several."""
    others = expected[1:]
    return bool(others) and all(
        span_difference(a, b) <= tolerance for other in others for a, b in zip(expected[0], other, strict=True)
    )


def _check_finite(name: str, output: Array) -> None:
    if output.dtype.kind == "f" and np.isnan(output).any():
        raise EdgewrightError(
            ErrorCode.MODEL_NOT_FINITE,
            f"the output {name!r} of the network has NaN",
            "check the input's normalisation, or take an earlier checkpoint",
        )


def _disagreement(worst: float, tolerance: float, first: NodeDifference | None) -> EdgewrightError:
    where = (
        "no single node stands out"
        if first is None
        else (f"the first to differ is node {first.node!r} ({first.op}), by {first.difference:.1e}")
    )
    return EdgewrightError(
        ErrorCode.COMPRESSION_FAILED,
        f"training would work on another network than onnxruntime runs: outputs differ by {worst:.1e} of their "
        f"range ({tolerance:.0e} allowed); {where}",
        "levels without training (acc1) still work; please report the node",
    )
