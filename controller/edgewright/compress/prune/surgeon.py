"""Importance with repair in mind: what removing a channel costs once its readers are refitted without it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.compress.prune.reconstruct import open_inside
from edgewright.compress.prune.windows import LinearView
from edgewright.graph.channels.analysis import ChannelAnalysis
from edgewright.graph.channels.groups import ChannelGroup, Member
from edgewright.graph.model_file import load_model
from edgewright.graph.session import Array

# Inputs of one output beyond which inverting their covariance takes too long.
_MOST_UNKNOWNS = 2400
# Added to the covariance's diagonal, as a share of its mean.
_DAMPING = 1e-3
_ROWS_PER_UNKNOWN, _LEAST_ROWS, _MOST_ROWS = 3.0, 2000, 10_000
# With fewer rows an input looks like a combination of the others by chance.
_TRUSTED_ROWS_PER_UNKNOWN = 2.0


@dataclass(frozen=True)
class _Reader:
    """A layer that reads a group: `places[i]` are the rows of its flat weight that read channel i."""

    node: onnx.NodeProto
    view: LinearView
    weight: Array  # [k, m]
    places: Array  # int [channels, rows a channel]


def surgeon_scores(
    model: Path,
    analysis: ChannelAnalysis,
    fisher: Mapping[str, Array],
    fresh_pass: Callable[[], Iterator[Array]],
    seed: int = 0,
    threads: int = 0,
) -> dict[str, Array] | None:
    """Scores by group whose order is that of greedy removal and whose running sum is the loss after each removal.

    Channels go one by one, always the one whose removal costs least if the weights that read the rest are refitted:
    w_i' [(G^-1)_ii]^-1 w_i, with G the covariance of the reader's inputs and the inverse updated after each (Hassibi
    and Stork 1993, Optimal Brain Surgeon; Kurtic et al. 2023, ZipLM, eq. 2 to 4, for structures). Each group is scaled
    so that removing all channels *without* refitting costs what `fisher` predicts: nats.

    None where a group has readers that are no plain linear maps, too wide, or seen at too few places to tell (a
    classifier's last layer and few images): scores of two kinds cannot be compared with one another.
    """
    loaded = load_model(model)
    readers = {group.id: _readers(loaded, group) for group in analysis.groups}
    wanted = {reader.node.name: reader for found in readers.values() for reader in found or ()}
    if not all(readers.values()):
        return None
    grams = _covariances(loaded, wanted, fresh_pass, seed, threads)
    if len(grams) < len(wanted):
        return None
    return {
        group.id: _greedy(found, [grams[reader.node.name] for reader in found], fisher[group.id])
        for group in analysis.groups
        if (found := readers[group.id])
    }


def _readers(model: onnx.ModelProto, group: ChannelGroup) -> list[_Reader] | None:
    """All layers that read the group; None where one of them cannot be refitted."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    found = []
    for member in group.consumers:
        node = model.graph.node[member.number]
        if node.op_type not in ("Conv", "Gemm", "MatMul") or member.input != 1:
            return None
        value = numpy_helper.to_array(tensors[member.tensor])
        view = LinearView(node, value.shape)
        flat = view.flat(value).astype(np.float64)
        if not view.supported or len(flat) > _MOST_UNKNOWNS or member.axis == view.output_axis:
            return None
        found.append(_Reader(node, view, flat, _places(member, value.shape, view)))
    names = Counter(reader.node.name for reader in found)
    return found if found and max(names.values()) == 1 else None


def _places(member: Member, shape: tuple[int, ...], view: LinearView) -> Array:
    """Rows of the flat weight, [channels, rows]."""
    order = [axis for axis in range(len(shape)) if axis != view.output_axis]
    numbers = np.arange(int(np.prod([shape[axis] for axis in order]))).reshape([shape[axis] for axis in order])
    along = np.moveaxis(numbers, order.index(member.axis), 0).reshape(shape[member.axis], -1)
    chosen: Array = along[np.array(member.positions)].reshape(len(member.positions), -1)
    return chosen


def _covariances(
    model: onnx.ModelProto,
    readers: Mapping[str, _Reader],
    fresh_pass: Callable[[], Iterator[Array]],
    seed: int,
    threads: int,
) -> dict[str, Array]:
    """Mean of (x - mean)(x - mean)' of each reader's inputs, float64 [k, k]; the bias takes up the mean. Readers seen
    at too few places are left out.
    """
    rng = np.random.default_rng(seed)
    samples = max(sum(len(batch) for batch in fresh_pass()), 1)
    sums = {name: np.zeros((len(reader.weight), len(reader.weight))) for name, reader in readers.items()}
    means = {name: np.zeros(len(reader.weight)) for name, reader in readers.items()}
    counts = Counter[str]()
    names = [name for reader in readers.values() for name in (reader.node.input[0], reader.node.output[0])]
    with tempfile.TemporaryDirectory(prefix="edgewright-surgeon-") as folder:
        inside = open_inside(model, list(dict.fromkeys(names)), Path(folder) / "open.onnx", threads)
        for batch in fresh_pass():
            values = inside(batch)
            for name, reader in readers.items():
                unknowns = len(reader.weight)
                rows = min(max(_ROWS_PER_UNKNOWN * unknowns, _LEAST_ROWS), _MOST_ROWS)
                x, _ = reader.view.rows(
                    values[reader.node.input[0]],
                    values[reader.node.output[0]],
                    max(1, round(rows / samples)),
                    rng,
                )
                sums[name] += x.T @ x
                means[name] += x.sum(axis=0)
                counts[name] += len(x)
    covariances = {}
    for name, total in sums.items():
        if counts[name] < _TRUSTED_ROWS_PER_UNKNOWN * len(total):
            continue
        mean = means[name] / counts[name]
        covariances[name] = total / counts[name] - np.outer(mean, mean)
    return covariances


def _greedy(readers: list[_Reader], grams: list[Array], fisher: Array) -> Array:
    """Scores of one group's channels."""
    size = len(fisher)
    weights = [reader.weight.copy() for reader in readers]
    inverses = []
    plain = np.zeros(size)
    for reader, gram in zip(readers, grams, strict=True):
        for channel in range(size):
            block = reader.weight[reader.places[channel]]
            here = gram[np.ix_(reader.places[channel], reader.places[channel])]
            plain[channel] += float(np.sum(block * (here @ block)))
        damping = _DAMPING * max(float(np.trace(gram)) / len(gram), 1e-30)
        inverses.append(np.linalg.inv(gram + damping * np.eye(len(gram))))
    left = np.ones(size, dtype=bool)
    increments = np.zeros(size)
    highest = 0.0
    for _ in range(size - 1):
        costs = np.zeros(size)
        for reader, weight, inverse in zip(readers, weights, inverses, strict=True):
            costs += _costs(reader.places, weight, inverse)
        costs[~left] = np.inf
        channel = int(np.argmin(costs))
        left[channel] = False
        # Never falling, and never equal, so that sorting the scores gives this very order.
        highest = max(float(costs[channel]), highest * (1 + 1e-9), 1e-30)
        increments[channel] = highest
        for reader, weight, inverse in zip(readers, weights, inverses, strict=True):
            _remove(reader.places[channel], weight, inverse)
    increments[left] = highest * 2
    total = float(plain.sum())
    scaled: Array = increments * (float(fisher.sum()) / total if total > 0 else 1.0)
    return scaled


def _costs(places: Array, weight: Array, inverse: Array) -> Array:
    """w_i' [(G^-1)_ii]^-1 w_i for every channel."""
    if places.shape[1] == 1:
        rows = places[:, 0]
        diagonal = np.maximum(np.diag(inverse)[rows], 1e-30)
        cost: Array = np.square(weight[rows]).sum(axis=1) / diagonal
        return cost
    blocks = inverse[places[:, :, None], places[:, None, :]]
    blocks = (
        blocks + 1e-12 * np.eye(places.shape[1]) * np.maximum(np.trace(blocks, axis1=1, axis2=2), 1e-30)[:, None, None]
    )
    found: Array = np.sum(weight[places] * np.linalg.solve(blocks, weight[places]), axis=(1, 2))
    return found


def _remove(rows: Array, weight: Array, inverse: Array) -> None:
    """Takes inputs out: the other weights make up for them, and the inverse is that of the smaller covariance."""
    block = inverse[np.ix_(rows, rows)]
    block = block + 1e-12 * max(float(np.trace(block)), 1e-30) * np.eye(len(rows))
    ahead = np.linalg.solve(block, inverse[rows])
    weight -= inverse[:, rows] @ np.linalg.solve(block, weight[rows])
    weight[rows] = 0
    inverse -= inverse[:, rows] @ ahead
    inverse[rows] = 0
    inverse[:, rows] = 0
    # A removed input costs nothing any more, and is never chosen again.
    inverse[rows, rows] = 1.0
