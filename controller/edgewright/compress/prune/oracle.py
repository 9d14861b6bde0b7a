"""Proof that a pruned graph computes what the original computes with the removed channels silenced."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import onnx

from edgewright.compress.prune.float64 import run_float64
from edgewright.compress.prune.removal import Gone, Removal
from edgewright.compress.prune.silence import awaken, silence
from edgewright.compress.prune.surgery import cut_channels
from edgewright.graph.channels.analysis import ChannelAnalysis, analyse
from edgewright.graph.channels.plan import Role
from edgewright.graph.compare import relative_difference
from edgewright.graph.model_file import load_model, save_model
from edgewright.graph.session import Array, Arrays, open_session, run
from edgewright.graph.shapes import concrete_shapes, random_probe, tensor_spec, true_inputs
from edgewright_contract.errors import EdgewrightError, ErrorCode

# Float32 sums in another order differ by about 1e-6 of the output range; a wrong cut by far more.
TOLERANCE = 1e-5
# In float64 rounding is below 1e-12.
TOLERANCE_FLOAT64 = 1e-9
# The removal must move the outputs by at least this part of their range, or equality would prove little.
NOTICEABLE = 1e-3

Outputs = list[list[Array]]


class OracleKind(str, Enum):
    """Which weights of the removed channels were zeroed in the original."""

    PRODUCERS = "producers"
    BOTH = "producers and consumers"


@dataclass(frozen=True)
class OracleResult:
    """`error`: largest difference between pruned and silenced original; `moved`: between pruned and untouched
    original, both as part of the output range. `precision`: of the arithmetic. `awakened`: factors near zero hide
    parts of the removal, so it was proven on twins of both graphs with these factors raised as well (`moved` is
    theirs, `error` the larger).
    """

    kind: OracleKind
    precision: str
    error: float
    moved: float
    awakened: bool = False


def check_pruning(
    original: Path,
    removal: Removal,
    pruned: Path,
    feeds: Sequence[Arrays],
    analysis: ChannelAnalysis | None = None,
    input_size: tuple[int, int] | None = None,
) -> OracleResult:
    """Compares in onnxruntime, on `feeds` ({input name: array} each), `pruned` as written by `prune` with
    `original` whose removed channels are zeroed.

    First only their producers are zeroed (weights, biases, norm scales and shifts). Constants added to
    activations can make a zeroed channel speak again; then the weights that read them are zeroed too, and if
    rounding leaves doubt, both run in float64.

    Raises COMPRESSION_FAILED where the outputs differ, or where the removal does not move them (the check would
    be vacuous); MODEL_UNRUNNABLE where either file does not run.
    """
    source = load_model(original)
    if analysis is None:
        analysis = analyse(source, input_size)
    gone = Gone(analysis, removal)
    if not gone.count:
        raise EdgewrightError(
            ErrorCode.COMPRESSION_FAILED, "no channel is removed: there is nothing to check", "remove some channels"
        )
    cut = load_model(pruned)
    with tempfile.TemporaryDirectory(dir=pruned.parent, prefix=".oracle-") as folder:
        check = _Check(Path(folder), analysis, gone, feeds)
        result = check.compare(source, cut, check.outputs(original), check.outputs(pruned))
        twins = check.twins(source, cut)
        proven = check.compare(*twins, *(check.saved_outputs(twin) for twin in twins)) if twins else result
    if proven is result and result.moved >= NOTICEABLE:
        return result
    if proven.moved < NOTICEABLE:
        raise EdgewrightError(
            ErrorCode.COMPRESSION_FAILED,
            f"the removed channels move the outputs by only {max(result.moved, proven.moved):.1e} of their range "
            f"({NOTICEABLE:.0e} needed): equality with the zeroed original proves nothing",
            "give inputs on which these channels speak, or leave these groups unpruned",
        )
    kind = OracleKind.BOTH if OracleKind.BOTH in (result.kind, proven.kind) else OracleKind.PRODUCERS
    precision = "float64" if "float64" in (result.precision, proven.precision) else "float32"
    return OracleResult(kind, precision, max(result.error, proven.error), proven.moved, awakened=True)


def pruning_feeds(model: onnx.ModelProto, input_size: tuple[int, int] | None = None) -> list[Arrays]:
    """Random inputs for the check: normal and uniform, and a batch of two where the graph leaves the batch open."""
    shapes = concrete_shapes(model, input_size)
    feeds: list[Arrays] = [random_probe(model, shapes, seed=0), random_probe(model, shapes, seed=1, uniform=True)]
    specs = [tensor_spec(value) for value in true_inputs(model)]
    if specs and all(spec.shape and isinstance(spec.shape[0], str) for spec in specs):
        feeds.append(random_probe(model, concrete_shapes(model, input_size, batch=2), seed=2))
    return feeds


@dataclass(frozen=True)
class _Check:
    """One comparison's fixed parts."""

    folder: Path
    analysis: ChannelAnalysis
    gone: Gone
    feeds: Sequence[Arrays]

    def compare(
        self, original: onnx.ModelProto, cut: onnx.ModelProto, untouched: Outputs, expected: Outputs
    ) -> OracleResult:
        """`untouched` and `expected` are their outputs. Raises COMPRESSION_FAILED where neither way of silencing gives
        equality.
        """
        moved = _distance(untouched, expected)
        errors: list[float] = []
        for kind, roles in (
            (OracleKind.PRODUCERS, {Role.PRODUCER}),
            (OracleKind.BOTH, {Role.PRODUCER, Role.CONSUMER}),
        ):
            silenced = onnx.ModelProto()
            silenced.CopyFrom(original)
            silence(silenced, self.analysis, self.gone, roles)
            errors.append(_distance(self.saved_outputs(silenced), expected))
            if errors[-1] <= TOLERANCE:
                return OracleResult(kind, "float32", errors[-1], moved)
        exact = _distance(self._exact(silenced), self._exact(cut)) if np.isfinite(errors[-1]) else errors[-1]
        if exact <= TOLERANCE_FLOAT64:
            return OracleResult(OracleKind.BOTH, "float64", exact, moved)
        raise EdgewrightError(
            ErrorCode.COMPRESSION_FAILED,
            f"the pruned network differs from the original with the removed channels zeroed by {errors[0]:.1e} of "
            f"the output range ({errors[1]:.1e} with their readers zeroed, {exact:.1e} in float64; "
            f"{TOLERANCE:.0e} allowed)",
            "the pruned file is not used; please report the network",
        )

    def twins(self, original: onnx.ModelProto, cut: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.ModelProto] | None:
        """Original and pruned graph with faint factors raised, the latter with the structure of `cut`; None where
        there are no faint factors.
        """
        twin = onnx.ModelProto()
        twin.CopyFrom(original)
        if not awaken(twin):
            return None
        twin_cut = onnx.ModelProto()
        twin_cut.CopyFrom(twin)
        cut_channels(twin_cut, self.analysis, self.gone)
        if _structure(twin_cut) != _structure(cut):
            raise EdgewrightError(
                ErrorCode.COMPRESSION_FAILED,
                "the pruned file is not this original without these channels",
                "prune it again from the same file",
            )
        return twin, twin_cut

    def saved_outputs(self, model: onnx.ModelProto) -> Outputs:
        path = self.folder / "candidate.onnx"
        save_model(model, path)
        return self.outputs(path)

    def outputs(self, path: Path) -> Outputs:
        session = open_session(path, threads=1)
        return [run(session, feed) for feed in self.feeds]

    def _exact(self, model: onnx.ModelProto) -> Outputs:
        return [run_float64(model, self.feeds[0])]


def _structure(model: onnx.ModelProto) -> tuple[object, ...]:
    nodes = [node.SerializeToString(deterministic=True) for node in model.graph.node]
    return nodes, {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}


def _distance(expected: Outputs, actual: Outputs) -> float:
    """Largest relative difference of any output; of integers, the share that differs."""
    worst = 0.0
    for one, other in zip(expected, actual, strict=True):
        for a, b in zip(one, other, strict=True):
            if isinstance(a, np.ndarray) and a.dtype.kind in "iub" and a.shape == b.shape:
                worst = max(worst, float(np.mean(a != b)))
            else:
                worst = max(worst, relative_difference(a, b))
    return worst
