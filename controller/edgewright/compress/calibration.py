"""Calibration: one streaming pass over data, in constant memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx

from edgewright.compress.judge import fixed_parts
from edgewright.compress.observers import ChannelMeanObserver, Histogram, HistogramObserver
from edgewright.core.values import ProgressCallback, ProgressEvent, no_progress
from edgewright.graph.model_file import load_model, save_model
from edgewright.graph.session import Array, open_session, run
from edgewright.graph.shapes import Shape
from edgewright_contract.errors import EdgewrightError, ErrorCode

# Activations that one call may hand back; larger batches are cut.
_CALL_BYTES = 192 * 2**20


@dataclass(frozen=True)
class Statistics:
    """What calibration found: histograms by tensor, channel means by tensor, samples seen."""

    histograms: dict[str, Histogram]
    channel_means: dict[str, Array]
    samples: int


def calibrate(
    path: Path,
    tensors: Sequence[str],
    means_of: Collection[str],
    fresh_pass: Callable[[], Iterator[Array]],
    shapes: dict[str, Shape],
    threads: int = 0,
    progress: ProgressCallback = no_progress,
    total: int = 0,
) -> Statistics:
    """Runs the float network over one pass and observes `tensors` (the network's input may be among them).

    Batches are float32 [n, ...]; only one call's activations are in memory at a time. `total` is the number
    of samples to expect, for progress. Raises DATASET_EMPTY and MODEL_NOT_FINITE.
    """
    observers = {name: HistogramObserver() for name in tensors}
    means = {name: ChannelMeanObserver() for name in means_of}
    per_sample = sum(4 * prod(size or 1 for size in shapes.get(name, ())) for name in tensors)
    rows = max(1, _CALL_BYTES // max(per_sample, 1))
    seen = 0
    with tempfile.TemporaryDirectory(prefix="edgewright-calibration-") as folder:
        session = open_session(_observable(path, tensors, Path(folder)), threads)
        source = session.get_inputs()[0]
        fixed = source.shape[0] if isinstance(source.shape[0], int) else 0
        computed = [name for name in tensors if name != source.name]
        for batch in fresh_pass():
            before = seen
            for part in fixed_parts(batch, fixed) if fixed else _pieces(batch, rows):
                values = dict(zip(computed, run(session, {source.name: part}, computed), strict=True))
                values[source.name] = part
                for name, observer in observers.items():
                    observer.update(values[name])
                for name, mean in means.items():
                    mean.update(values[name])
                seen = min(seen + len(part), before + len(batch))
                progress(ProgressEvent("calibrating", seen, total))
    return _statistics(observers, means, seen)


def _pieces(batch: Array, rows: int) -> Iterator[Array]:
    for start in range(0, len(batch), rows):
        yield np.ascontiguousarray(batch[start : start + rows])


def _observable(path: Path, tensors: Sequence[str], folder: Path) -> Path:
    """The network with the observed tensors among its outputs."""
    model = load_model(path)
    known = {value.name for value in model.graph.output} | {value.name for value in model.graph.input}
    for name in tensors:
        if name not in known:
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    target = folder / "observable.onnx"
    save_model(model, target)
    return target


def _statistics(
    observers: dict[str, HistogramObserver], means: dict[str, ChannelMeanObserver], seen: int
) -> Statistics:
    if seen == 0:
        raise EdgewrightError(
            ErrorCode.DATASET_EMPTY,
            "the calibration set has no usable sample",
            "add images to the data set; a hundred are enough",
        )
    histograms: dict[str, Histogram] = {}
    for name, observer in observers.items():
        histogram = observer.histogram()
        if observer.not_finite or histogram is None:
            raise EdgewrightError(
                ErrorCode.MODEL_NOT_FINITE,
                f"the network computes NaN or infinity at {name!r} on the calibration set",
                "check mean and std in the spec; quantization needs finite values",
            )
        histograms[name] = histogram
    channel_means = {name: mean for name, item in means.items() if (mean := item.mean()) is not None}
    return Statistics(histograms, channel_means, seen)
