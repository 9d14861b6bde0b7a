"""Quantisation-aware training on the deployed Q/DQ graph, distilled from the float network.

Esser et al. 2020, Learned Step Size Quantization: rounding is straight-through, and the scales are learned with the
weights. A scale is its start times exp(p), and p is trained: it stays positive, and one rate suits all sizes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgewright.compress.executor.agreement import check_agreement, run_arrays
from edgewright.compress.executor.module import build_executor
from edgewright.compress.judge import Judge
from edgewright.compress.train.batches import Batches
from edgewright.compress.train.options import TrainOptions
from edgewright.compress.train.result import TrainedModel
from edgewright.compress.train.trainer import limited_threads, run_training
from edgewright.compress.train.unfold import fold, unfold
from edgewright.core.values import ProgressCallback, no_progress
from edgewright.graph.model_file import load_model, save_model
from edgewright.graph.session import Array, open_session, run
from edgewright_contract.errors import EdgewrightError, ErrorCode

Tensor = Any
_PREFIX = "log_scale/"
BASE_RATE = 1e-5
# Rounding flips that travel through deep networks set the executor apart from onnxruntime; they must stay as small as
# what quantisation itself does, or below this share of the outputs' power.
_FLIPS = 1e-2


@dataclass(frozen=True)
class QatOptions(TrainOptions):
    """As TrainOptions; `lr` is for weights and biases (3e-6 to 1e-5), `scale_lr` for the logarithms of the scales
    (1e-4 to 3e-4): what is rounded already leaves little to win, and larger rates made networks worse.
    """

    lr: float | None = BASE_RATE
    scale_lr: float = 2e-4
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse("scale_lr", "0 to 1e6", lambda value: 0 <= value <= 1e6)


def train_quantised(
    quantised: Path,
    float_model: Path,
    batches: Batches,
    judge: Judge,
    options: QatOptions,
    destination: Path,
    progress: ProgressCallback = no_progress,
    checkpoint: Path | None = None,
    teacher: Path | None = None,
) -> TrainedModel:
    """Trains the Q/DQ file `quantised` to answer as `teacher` does (None: as `float_model`, the network it was made
    from, whose weights it starts with), and writes the best file that was judged, the start among them, to
    `destination`: the same graph with other numbers.

    Everything else is as in `trainer.train`; COMPRESSION_FAILED also when there is no int8 weight.
    """
    with limited_threads(options.threads):
        student = QuantisedStudent(quantised, float_model, options.lr, options.scale_lr)
        return run_training(
            student, quantised, teacher or float_model, batches, judge, options, destination, progress, checkpoint
        )


class QuantisedStudent:
    """A deployed Q/DQ network as a `Student`."""

    def __init__(self, path: Path, float_path: Path, lr: float | None, scale_lr: float) -> None:
        self._path, self._float_path = path, float_path
        self.base_rate, self._scale_lr = lr or BASE_RATE, scale_lr
        self._quantised = load_model(path)
        self._opened = unfold(self._quantised, load_model(float_path))
        self.executor = build_executor(self._opened.model, extra_trainable=list(self._opened.scales))
        trainable = self.executor.trainable
        self._scales = {name: leader for name, leader in self._opened.scales.items() if name in trainable}
        self._starts = {name: trainable[name].detach().clone() for name in self._scales}
        leaders = sorted(set(self._scales.values()))
        self._logs = {
            name: torch.nn.Parameter(torch.zeros_like(self._starts[name])) for name in leaders if name in self._starts
        }
        self._weights = {name: value for name, value in trainable.items() if name not in self._scales}

    @property
    def parameters(self) -> Mapping[str, tuple[Tensor, float]]:
        weights = {name: (value, self.base_rate) for name, value in self._weights.items()}
        return weights | {_PREFIX + name: (value, self._scale_lr) for name, value in self._logs.items()}

    @property
    def buffers(self) -> Mapping[str, Tensor]:
        return self.executor.statistics

    def check(self, probe: Array, threads: int) -> float:
        """The share of the outputs' power by which executor and onnxruntime differ on the quantised graph; the float
        network, where they have to agree, is compared first.
        """
        float_model = load_model(self._float_path)
        feed = {self.executor.input_names[0]: probe}
        check_agreement(build_executor(float_model), float_model, [feed], threads=threads)
        names = list(self.executor.output_names)
        deployed, baseline = (run(open_session(path, threads), feed, names) for path in (self._path, self._float_path))
        ours = run_arrays(self.executor, feed)
        flips, rounding = _noise(deployed, ours), _noise(deployed, baseline)
        if not flips <= max(2.0 * rounding, _FLIPS):
            raise EdgewrightError(
                ErrorCode.COMPRESSION_FAILED,
                f"training would work on another network than onnxruntime runs: outputs of the quantised graph differ "
                f"by {flips:.1e} of their power, quantisation itself by {rounding:.1e}",
                "the quantised network without training still works",
            )
        return flips

    def pairs(self, teacher_tensors: Collection[str]) -> dict[str, str]:
        """What comes out of a DequantizeLinear means what the float network computes at that place: its range holds
        the ReLU that was there.
        """
        steps = self.executor.steps
        quantised = {step.inputs[0]: step.outputs[0] for step in steps if step.op == "QuantizeLinear"}
        back = {step.inputs[0]: step.outputs[0] for step in steps if step.op == "DequantizeLinear"}
        found = {back[number]: name for name, number in quantised.items() if number in back and name in teacher_tensors}
        floats = {name for step in steps for name in step.outputs if name in teacher_tensors and name not in quantised}
        return found | {name: name for name in floats}

    def run(self, inputs: Tensor, capture: Collection[str]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        return self.executor(inputs, capture=capture, overrides=self._present_scales())  # type: ignore[no-any-return]

    def project(self) -> None:
        """Weights back into the range of their numbers; scales of dropped Clips do not grow."""
        with torch.no_grad():
            for name in self._opened.shrinking:
                leader = self._scales.get(name)
                if leader is not None and leader in self._logs:
                    self._logs[leader].clamp_(max=0.0)
            scales = self._present_scales()
            for weight in self._opened.weights:
                if weight.name in self._weights and weight.scale in scales:
                    value, scale = self._weights[weight.name], scales[weight.scale]
                    if scale.numel() > 1:
                        shape = [1] * value.ndim
                        shape[weight.axis] = -1
                        scale = scale.reshape(shape)
                    end = weight.largest * scale
                    value.copy_(torch.minimum(torch.maximum(value, -end), end))

    def write(self, destination: Path) -> None:
        with torch.no_grad():
            tensors = {**self._weights, **self._present_scales(), **self.executor.statistics}
            values = {name: np.array(value.cpu().numpy()) for name, value in tensors.items()}
        save_model(fold(self._quantised, self._opened, values), destination)

    def _present_scales(self) -> dict[str, Tensor]:
        return {
            name: start * torch.exp(self._logs[self._scales[name]]).reshape(start.shape)
            for name, start in self._starts.items()
            if self._scales[name] in self._logs
        }


def _noise(reference: list[Array], other: list[Array]) -> float:
    """Power of the difference over the power of the reference, about its mean; float outputs only."""
    noise = signal = 0.0
    for a, b in zip(reference, other, strict=True):
        if a.dtype.kind == "f":
            x = a.astype(np.float64)
            noise += float(np.square(x - b).sum())
            signal += float(np.square(x - x.mean()).sum())
    return noise / signal if signal > 0 else float(noise > 0)
