"""Least-squares repair: weights that read removed channels are refitted to give the original's outputs."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.compress.judge import run_rows
from edgewright.compress.prune.removal import Gone, Removal
from edgewright.compress.prune.windows import LinearView
from edgewright.core.values import ProgressCallback, ProgressEvent, no_progress
from edgewright.graph.channels.analysis import ChannelAnalysis
from edgewright.graph.model_file import load_model, save_model
from edgewright.graph.session import Array, open_session
from edgewright_contract.errors import EdgewrightError, ErrorCode

# Unknowns of one output beyond which the normal equations take too long and too much memory (8 k^2 bytes).
_MOST_UNKNOWNS = 4608
# Ridge towards the present weights, as shares of the mean diagonal; held-out rows choose.
_RIDGES = (1e-4, 1e-2, 1e-1, 1.0)
# Every this many batches one is held out.
_HELD_OUT = 4


@dataclass(frozen=True)
class ReconstructOptions:
    """`sweeps`: layers are refitted in so many groups along the depth, each seeing the repaired ones before it.
    `rows_per_unknown` sampled output places for each weight of an output; `most_rows` at most a layer.
    """

    sweeps: int = 4
    rows_per_unknown: float = 4.0
    most_rows: int = 16_000
    seed: int = 0
    threads: int = 0


@dataclass(frozen=True)
class Refit:
    """A refitted layer: its relative squared error on held-out places before and after."""

    node: str
    before: float
    after: float


@dataclass(frozen=True)
class _Layer:
    original: onnx.NodeProto
    pruned: onnx.NodeProto
    view: LinearView
    kept_outputs: Array  # bool, of the original's outputs


def reconstruct(
    original: Path,
    pruned: Path,
    removal: Removal,
    analysis: ChannelAnalysis,
    destination: Path,
    fresh_pass: Callable[[], Iterator[Array]],
    options: ReconstructOptions | None = None,
    progress: ProgressCallback = no_progress,
) -> tuple[Refit, ...]:
    """Refits each dense Conv, Gemm and MatMul of `pruned` whose input lost channels, and its bias, so that its
    outputs are closest (in squares, on the data) to the original's; writes to `destination`.

    He et al. 2017, Channel Pruning for Accelerating Very Deep Neural Networks, eq. 2 and 5: inputs are those of the
    repaired pruned network, targets the original's. Normal equations are summed up batch by batch, memory does not
    grow with the data. Solutions are drawn to the present weights by a ridge that held-out batches choose; a layer
    that they do not see improve keeps its weights. `analysis` and `removal` are those that `pruned` was cut by;
    `fresh_pass` gives float32 batches [n, ...].

    Raises MODEL_UNRUNNABLE, MODEL_NOT_FINITE.
    """
    options = options or ReconstructOptions()
    source, target = load_model(original), load_model(pruned)
    layers = _layers(source, target, analysis, Gone(analysis, removal))
    done: list[Refit] = []
    with tempfile.TemporaryDirectory(prefix="edgewright-refit-") as name:
        folder = Path(name)
        for number, part in enumerate(_parts(layers, options.sweeps)):
            progress(ProgressEvent("least-squares repair", number, options.sweeps))
            sums = _collect(source, target, part, folder, fresh_pass, options)
            for layer, equations in zip(part, sums, strict=True):
                done.append(_refit(target, layer, equations))
    progress(ProgressEvent("least-squares repair", options.sweeps, options.sweeps))
    save_model(target, destination)
    return tuple(done)


def _layers(source: onnx.ModelProto, target: onnx.ModelProto, analysis: ChannelAnalysis, gone: Gone) -> list[_Layer]:
    """Layers with fewer inputs than in the original, in order of computation."""
    held = {tensor.name: tensor for tensor in target.graph.initializer}
    before = {tensor.name: tensor for tensor in source.graph.initializer}
    reads = Counter(name for node in target.graph.node for name in node.input)
    originals = {node.name: (number, node) for number, node in enumerate(source.graph.node) if node.name}
    slots = {(slot.node, slot.input, slot.axis): slot for slot in analysis.plan.slots}
    found: list[_Layer] = []
    for node in target.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or node.name not in originals or node.input[1] not in held:
            continue
        number, twin = originals[node.name]
        if twin.op_type != node.op_type or twin.input[1] not in before or reads[node.input[1]] != 1:
            continue
        shape, old = tuple(held[node.input[1]].dims), tuple(before[twin.input[1]].dims)
        view = LinearView(node, shape)
        axis = view.output_axis
        inputs, old_inputs = np.prod(shape) // shape[axis], np.prod(old) // old[axis]
        if not view.supported or inputs >= old_inputs or inputs + 1 > _MOST_UNKNOWNS:
            continue
        slot = slots.get((number, 1, axis))
        kept = np.ones(old[axis], dtype=bool) if slot is None else gone.kept(slot.vector)
        if int(kept.sum()) == shape[axis]:
            found.append(_Layer(twin, node, view, kept))
    return found


def _parts(layers: list[_Layer], sweeps: int) -> list[list[_Layer]]:
    count = min(max(sweeps, 1), len(layers))
    bounds = [round(place * len(layers) / count) for place in range(count + 1)] if count else [0]
    return [layers[low:high] for low, high in zip(bounds, bounds[1:], strict=False)]


@dataclass
class _Equations:
    """Sums over rows x [k + 1] (a 1 at the end) and targets y [m]: x x', x y', y y; for fitting and held out."""

    grams: list[Array] = field(default_factory=list)
    products: list[Array] = field(default_factory=list)
    squares: list[float] = field(default_factory=lambda: [0.0, 0.0])
    rows: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, inputs: Array, outputs: Array, held_out: bool) -> None:
        x = np.concatenate([inputs, np.ones((len(inputs), 1), inputs.dtype)], axis=1)
        if not self.grams:
            self.grams = [np.zeros((x.shape[1], x.shape[1])) for _ in range(2)]
            self.products = [np.zeros((x.shape[1], outputs.shape[1])) for _ in range(2)]
        place = int(held_out)
        self.grams[place] += x.T @ x
        self.products[place] += x.T @ outputs
        self.squares[place] += float(np.square(outputs, dtype=np.float64).sum())
        self.rows[place] += len(x)

    def error(self, weights: Array) -> float:
        """Relative squared error of `weights` [k + 1, m] on the held-out rows."""
        gram, product = self.grams[1], self.products[1]
        total = float(np.sum(weights * (gram @ weights - 2 * product))) + self.squares[1]
        return total / self.squares[1] if self.squares[1] > 0 else 0.0


def _collect(
    source: onnx.ModelProto,
    target: onnx.ModelProto,
    layers: list[_Layer],
    folder: Path,
    fresh_pass: Callable[[], Iterator[Array]],
    options: ReconstructOptions,
) -> list[_Equations]:
    """One pass over the data through both networks."""
    wanted = dict.fromkeys(layer.original.output[0] for layer in layers)
    read = dict.fromkeys(layer.pruned.input[0] for layer in layers)
    batches = [len(batch) for batch in fresh_pass()]
    samples = max(sum(batches), 1)
    teacher = open_inside(source, list(wanted), folder / "original.onnx", options.threads)
    student = open_inside(target, list(read), folder / "pruned.onnx", options.threads)
    rng = np.random.default_rng(options.seed)
    sums = [_Equations() for _ in layers]
    for number, batch in enumerate(fresh_pass()):
        targets, inputs = teacher(batch), student(batch)
        held_out = number % _HELD_OUT == _HELD_OUT - 1 or (len(batches) < _HELD_OUT and number == len(batches) - 1)
        for layer, equations in zip(layers, sums, strict=True):
            x, y = inputs[layer.pruned.input[0]], targets[layer.original.output[0]]
            y = np.compress(layer.kept_outputs, y, axis=1 if layer.view.op == "Conv" else y.ndim - 1)
            unknowns = int(np.prod(layer.view.shape)) // layer.view.shape[layer.view.output_axis]
            rows = min(max(options.rows_per_unknown * unknowns, 2000), options.most_rows)
            chosen_x, chosen_y = layer.view.rows(x, y, max(1, round(rows / samples)), rng)
            if not (np.isfinite(chosen_x).all() and np.isfinite(chosen_y).all()):
                raise EdgewrightError(
                    ErrorCode.MODEL_NOT_FINITE,
                    f"the network computes NaN or infinity around {layer.pruned.name!r} on the calibration set",
                    "check mean and std in the spec",
                )
            equations.add(chosen_x, chosen_y, held_out)
    return sums


def open_inside(
    model: onnx.ModelProto, names: list[str], path: Path, threads: int
) -> Callable[[Array], dict[str, Array]]:
    """The network as a function to the named tensors inside it, which may be its input too."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    made = {name for node in model.graph.node for name in node.output}
    computed = [name for name in names if name in made]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in computed)
    save_model(opened, path)
    session = open_session(path, threads)
    source = session.get_inputs()[0].name

    def call(batch: Array) -> dict[str, Array]:
        values = dict(zip(computed, run_rows(session, source, batch), strict=True)) if computed else {}
        return {name: values.get(name, batch) for name in names}

    return call


def _refit(target: onnx.ModelProto, layer: _Layer, equations: _Equations) -> Refit:
    """Solves for the layer's weights and puts them into the model where held-out rows say they are better."""
    tensors = {tensor.name: tensor for tensor in target.graph.initializer}
    weight = numpy_helper.to_array(tensors[layer.pruned.input[1]])
    bias = tensors.get(layer.pruned.input[2]) if len(layer.pruned.input) > 2 and layer.pruned.input[2] else None
    flat = layer.view.flat(weight).astype(np.float64)
    present = np.concatenate([flat, np.zeros((1, flat.shape[1]))])
    has_bias = bias is not None and tuple(bias.dims) in ((flat.shape[1],), (1, flat.shape[1]))
    if has_bias:
        present[-1] = numpy_helper.to_array(bias).reshape(-1)
    unknowns = slice(None) if has_bias else slice(0, -1)
    gram, product = equations.grams[0][unknowns, unknowns], equations.products[0][unknowns]
    rest = product - gram @ present[unknowns]
    scale = float(np.trace(gram)) / len(gram)
    before = equations.error(present)
    best, after = present, before
    for ridge in _RIDGES:
        if scale <= 0:
            break
        candidate = present.copy()
        candidate[unknowns] += np.linalg.solve(gram + ridge * scale * np.eye(len(gram)), rest)
        error = equations.error(candidate)
        if np.isfinite(candidate).all() and error < after:
            best, after = candidate, error
    if after < before:
        refitted = layer.view.unflat(best[:-1], weight.shape).astype(weight.dtype)
        tensors[layer.pruned.input[1]].CopyFrom(numpy_helper.from_array(refitted, layer.pruned.input[1]))
        if has_bias:
            old = numpy_helper.to_array(bias)
            name = layer.pruned.input[2]
            tensors[name].CopyFrom(numpy_helper.from_array(best[-1].reshape(old.shape).astype(old.dtype), name))
    return Refit(layer.pruned.name, before, after)
