"""Proof that a pruned graph computes what the original computes with the removed channels silenced."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.compress.prune.evidence import inner_distance, inner_names, quiet_groups
from edgewright.compress.prune.float64 import run_float64
from edgewright.compress.prune.removal import Gone, Removal
from edgewright.compress.prune.silence import silence
from edgewright.compress.prune.surgery import cut_channels
from edgewright.compress.prune.twin import has_faint_parts, random_twin
from edgewright.graph.channels.analysis import ChannelAnalysis, analyse
from edgewright.graph.channels.plan import Role
from edgewright.graph.compare import relative_difference
from edgewright.graph.model_file import load_model, save_model
from edgewright.graph.session import Array, Arrays, open_session, run
from edgewright.graph.shapes import concrete_shapes, random_probe, tensor_spec, true_inputs
from edgewright_contract.errors import EdgewrightError, ErrorCode

# Float32 sums in another order differ by about 1e-6 of the output range; a wrong cut by far more. Inside the network
# ranges can be small after a cancellation.
TOLERANCE, INNER_TOLERANCE = 1e-5, 1e-4
# In float64 rounding is below 1e-12.
TOLERANCE_FLOAT64 = 1e-9
# The removal must move the outputs by at least this part of their range, or equality would prove little.
NOTICEABLE = 1e-3
# A random channel may be dead too: so many twins are tried until each group was heard.
_TWINS = 6


class OracleKind(str, Enum):
    """Which weights of the removed channels were zeroed in the original."""

    PRODUCERS = "producers"
    BOTH = "producers and consumers"


@dataclass(frozen=True)
class OracleResult:
    """`error`: largest difference of the outputs of pruned and silenced original; `moved`: between pruned and
    untouched original, both as part of the output range. `precision`: of the arithmetic. `twin`: some of the removed
    channels could not be heard with the network's own weights, so it was proven on random weights as well (`error` and
    `moved` are the larger ones).
    """

    kind: OracleKind
    precision: str
    error: float
    moved: float
    twin: bool = False


def check_pruning(
    original: Path,
    removal: Removal,
    pruned: Path,
    feeds: Sequence[Arrays],
    analysis: ChannelAnalysis | None = None,
    input_size: tuple[int, int] | None = None,
) -> OracleResult:
    """Compares in onnxruntime, on `feeds` ({input name: array} each), `pruned` as written by `prune` with
    `original` whose removed channels are zeroed: the outputs, and on the first feed every tensor that a product reads
    or makes, at the channels that stay.

    First only the producers are zeroed (weights, biases, norm scales and shifts). Constants added to activations can
    make a zeroed channel speak again; then the weights that read them are zeroed too, and if rounding leaves doubt,
    both run in float64. Each group must be heard: where it is not (dead channels, factors near zero), or the outputs
    do not move, the same is proven on twins of both graphs with random weights.

    Raises COMPRESSION_FAILED where anything differs, or where even the twin does not hear a group or does not move
    (the check would be vacuous); MODEL_UNRUNNABLE where either file does not run.
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
        result, quiet = check.compare(source, cut)
        if result.moved >= NOTICEABLE and not quiet and not has_faint_parts(source):
            return result
        proofs = [result]
        for seed in range(_TWINS):
            proven, still = check.compare(*check.twins(source, cut, seed))
            proofs.append(proven)
            quiet = [name for name in quiet if name in still]
            if not quiet and proven.moved >= NOTICEABLE:
                break
    moved = max(proof.moved for proof in proofs)
    if quiet or moved < NOTICEABLE:
        silent = f"{len(quiet)} groups, such as {quiet[0]}, are not heard" if quiet else "the outputs do not move"
        raise EdgewrightError(
            ErrorCode.COMPRESSION_FAILED,
            f"equality with the zeroed original proves nothing: {silent} (outputs moved by {moved:.1e} of their range, "
            f"{NOTICEABLE:.0e} needed)",
            "give inputs on which these channels speak, or leave these groups unpruned",
        )
    kind = OracleKind.BOTH if any(proof.kind is OracleKind.BOTH for proof in proofs) else OracleKind.PRODUCERS
    precision = "float64" if any(proof.precision == "float64" for proof in proofs) else "float32"
    return OracleResult(kind, precision, max(proof.error for proof in proofs), moved, twin=True)


def pruning_feeds(model: onnx.ModelProto, input_size: tuple[int, int] | None = None) -> list[Arrays]:
    """Random inputs for the check: normal and uniform, and a batch of two where the graph leaves the batch open."""
    shapes = concrete_shapes(model, input_size)
    feeds: list[Arrays] = [random_probe(model, shapes, seed=0), random_probe(model, shapes, seed=1, uniform=True)]
    specs = [tensor_spec(value) for value in true_inputs(model)]
    if specs and all(spec.shape and isinstance(spec.shape[0], str) for spec in specs):
        feeds.append(random_probe(model, concrete_shapes(model, input_size, batch=2), seed=2))
    return feeds


@dataclass(frozen=True)
class _Values:
    """Outputs per feed, and the inner tensors on the first."""

    outputs: list[list[Array]]
    inner: dict[str, Array]


@dataclass(frozen=True)
class _Check:
    """One comparison's fixed parts."""

    folder: Path
    analysis: ChannelAnalysis
    gone: Gone
    feeds: Sequence[Arrays]

    def compare(self, original: onnx.ModelProto, cut: onnx.ModelProto) -> tuple[OracleResult, list[str]]:
        """The result, and the groups that were not heard. Raises COMPRESSION_FAILED where neither way of silencing
        gives equality.
        """
        names = inner_names(original, self.analysis)
        expected, untouched = self._values(cut, names), self._values(original, names)
        moved = _distance(untouched.outputs, expected.outputs)
        quiet = quiet_groups(original, untouched.inner, self.analysis, self.gone)
        del untouched
        errors: list[float] = []
        for kind in OracleKind:
            actual = self._values(self._silenced(original, kind), names)
            inner = inner_distance(actual.inner, expected.inner, self.analysis, self.gone)
            errors.append(_distance(actual.outputs, expected.outputs))
            if errors[-1] <= TOLERANCE and inner <= INNER_TOLERANCE:
                return OracleResult(kind, "float32", errors[-1], moved), quiet
        exact = errors[-1]
        if np.isfinite(exact):
            wide = self._exact(cut, names)
            for kind in OracleKind:
                silenced = self._exact(self._silenced(original, kind), names)
                inner = inner_distance(silenced.inner, wide.inner, self.analysis, self.gone)
                exact = max(_distance(silenced.outputs, wide.outputs), inner)
                if exact <= TOLERANCE_FLOAT64:
                    return OracleResult(kind, "float64", exact, moved), quiet
        raise EdgewrightError(
            ErrorCode.COMPRESSION_FAILED,
            f"the pruned network differs from the original with the removed channels zeroed by {errors[0]:.1e} of "
            f"the output range ({errors[1]:.1e} with their readers zeroed, {inner:.1e} inside, {exact:.1e} in float64; "
            f"{TOLERANCE:.0e} allowed)",
            "the pruned file is not used; please report the network",
        )

    def twins(
        self, original: onnx.ModelProto, cut: onnx.ModelProto, seed: int
    ) -> tuple[onnx.ModelProto, onnx.ModelProto]:
        """Original and pruned graph with random weights, the latter with the structure of `cut`."""
        twin = random_twin(original, seed)
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

    def _values(self, model: onnx.ModelProto, names: Sequence[str]) -> _Values:
        """In float32 by onnxruntime."""
        path, count = self.folder / "candidate.onnx", len(model.graph.output)
        with _more_outputs(model, names):
            save_model(model, path)
        session = open_session(path, threads=1)
        first = run(session, self.feeds[0])
        plain = [output.name for output in model.graph.output]
        rest = [run(session, feed, plain) for feed in self.feeds[1:]]
        return _Values([first[:count], *rest], dict(zip(names, first[count:], strict=True)))

    def _exact(self, model: onnx.ModelProto, names: Sequence[str]) -> _Values:
        """In float64, on the first feed."""
        count = len(model.graph.output)
        with _more_outputs(model, names):
            values = run_float64(model, self.feeds[0])
        return _Values([values[:count]], dict(zip(names, values[count:], strict=True)))

    def _silenced(self, original: onnx.ModelProto, kind: OracleKind) -> onnx.ModelProto:
        roles = {Role.PRODUCER} if kind is OracleKind.PRODUCERS else {Role.PRODUCER, Role.CONSUMER}
        silenced = onnx.ModelProto()
        silenced.CopyFrom(original)
        silence(silenced, self.analysis, self.gone, roles)
        return silenced


@contextmanager
def _more_outputs(model: onnx.ModelProto, names: Sequence[str]) -> Iterator[None]:
    """The model with further outputs, for a while."""
    count = len(model.graph.output)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    try:
        yield
    finally:
        del model.graph.output[count:]


def _structure(model: onnx.ModelProto) -> list[object]:
    """The graph up to the names and float values of its constants."""
    constants: dict[str, object] = {}
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        constants[tensor.name] = value.shape if value.dtype.kind == "f" else (value.shape, value.tobytes())
    return [
        (
            node.op_type,
            list(node.output),
            [constants.get(name, name) for name in node.input],
            sorted(item.SerializeToString(deterministic=True) for item in node.attribute),
        )
        for node in model.graph.node
    ]


def _distance(expected: list[list[Array]], actual: list[list[Array]]) -> float:
    """Largest relative difference of any output; of integers, the share that differs."""
    worst = 0.0
    for one, other in zip(expected, actual, strict=True):
        for a, b in zip(one, other, strict=True):
            if isinstance(a, np.ndarray) and a.dtype.kind in "iub" and a.shape == b.shape:
                worst = max(worst, float(np.mean(a != b)))
            else:
                worst = max(worst, relative_difference(a, b))
    return worst
