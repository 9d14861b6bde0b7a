"""A small classifier with a judge, calibration and training images of its own, all seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.compress.goal import Goal
from edgewright.compress.judge import Bench, TuningJudge
from edgewright.compress.pipeline.training_data import TrainingData
from edgewright.compress.pipeline.work import Work, open_work
from edgewright.graph.session import Array, open_session, run
from edgewright_contract.values import Normalization
from tests.prune.networks import SIDE, Builder


def classifier(path: Path, width: int = 32) -> Path:
    """Three convolutions with a residual connection, width channels each, five classes."""
    net = Builder(seed=4, batch="n")
    x = str(net.add("Relu", [net.conv("x", 3, width)]))
    y = str(net.add("Relu", [net.conv(x, width, width)]))
    y = str(net.add("Relu", [net.add("Add", [x, net.conv(y, width, width)])]))
    model = net.head(str(net.add("Relu", [net.conv(y, width, width)])), width)
    onnx.save(model, str(path))
    scores = run(open_session(path, 1), {"x": ready(images(200, seed=0))})[0]
    # Random features hardly differ from image to image: the classes are spread out by hand.
    weight, bias = model.graph.initializer[-1], model.graph.initializer[-2]
    for tensor in (weight, bias):
        value = numpy_helper.to_array(tensor) / scores.std(axis=0).reshape(-1, *(1,) * (len(tensor.dims) - 1))
        if tensor is bias:
            value = value - scores.mean(axis=0) / scores.std(axis=0)
        tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), tensor.name))
    onnx.save(model, str(path))
    return path


def images(count: int, seed: int) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8)


def ready(pixels: Array) -> Array:
    return np.ascontiguousarray(((pixels.astype(np.float32) - 127.5) / 64.0).transpose(0, 3, 1, 2))


def fresh(inputs: Array, size: int = 16) -> Callable[[], Iterator[Array]]:
    return lambda: (inputs[start : start + size] for start in range(0, len(inputs), size))


@dataclass(frozen=True)
class Setting:
    """Everything around one classifier in `folder`; the right answers are the network's own."""

    folder: Path
    model: Path
    judge: TuningJudge
    calibration: Callable[[], Iterator[Array]]
    training: TrainingData

    def bench(self) -> Bench:
        return Bench(self.model, self.judge, 1)

    def goal(self, bound: float) -> Goal:
        bench = self.bench()
        return Goal(bound, 15.0, bench.samples, bench.baseline_metric())

    def work(self, bound: float) -> Work:
        return open_work(
            self.model,
            self.judge,
            self.calibration,
            self.training,
            "x86-vnni",
            bound,
            input_size=(SIDE, SIDE),
            threads=1,
        )


def setting(folder: Path, width: int = 32) -> Setting:
    model = classifier(folder / "net.onnx", width)
    tuning = ready(images(200, seed=1))
    right = run(open_session(model, 1), {"x": tuning})[0].argmax(axis=1)
    judge = TuningJudge(fresh(tuning, 50), True, "top1", lambda outputs: float((outputs[0].argmax(1) == right).mean()))
    np.save(folder / "train.npy", images(256, seed=2))
    normalization = Normalization(mean=(127.5,) * 3, std=(64.0,) * 3, layout="nchw")
    data = TrainingData(folder / "train.npy", normalization)
    return Setting(folder, model, judge, fresh(ready(images(128, seed=3))), data)
