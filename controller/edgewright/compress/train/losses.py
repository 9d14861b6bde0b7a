"""Distillation: how far the student is from the teacher, and from labels where there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional

from edgewright_contract.errors import EdgewrightError, ErrorCode

Tensor = Any
# Beside a variance, so that what is constant in the teacher does not divide by nothing.
_TINY = 1e-12


def soft_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), mean over samples. Logits [n, ..., classes].

    Hinton et al. 2015, Distilling the Knowledge in a Neural Network, section 2: T^2 keeps the size of the gradient.
    """
    s = functional.log_softmax(student / temperature, dim=-1).reshape(-1, student.shape[-1])
    t = functional.log_softmax(teacher / temperature, dim=-1).reshape(-1, teacher.shape[-1])
    return functional.kl_div(s, t, reduction="batchmean", log_target=True) * temperature**2


def logit_error(student: Tensor, teacher: Tensor, variance: float) -> Tensor:
    """Mean square of the difference of logits [n, ..., classes] over `variance`. Ba and Caruana 2014, Do Deep Nets
    Really Need to be Deep?, section 2.
    """
    return (student - teacher).square().mean() / (variance + _TINY)


def matched_error(student: Tensor, teacher: Tensor, variance: Tensor) -> Tensor:
    """Mean square of the difference over `variance`, which broadcasts against both (see `channel_variance`)."""
    return ((student - teacher).square() / variance).mean()


def channel_axis(rank: int, shape: Sequence[int]) -> int:
    """Where channels are: axis 1 of [n, c] and [n, c, spatial...]; of [n, a, b] the shorter one, for anchors x fields
    and tokens x features are both in use (the last if equal).
    """
    if rank == 3:
        return 1 if shape[1] < shape[2] else 2
    return min(1, rank - 1)


def channel_variance(teacher: Tensor) -> Tensor:
    """The teacher's variance of each channel, shaped to broadcast, never below the median channel's.

    So boxes in pixels do not drown scores between 0 and 1, and a class that hardly ever occurs is not blown up.
    """
    if teacher.ndim < 3:
        variance = teacher.var(unbiased=False).reshape((1,) * teacher.ndim)
        return variance + _TINY
    axis = channel_axis(teacher.ndim, teacher.shape)
    others = [place for place in range(teacher.ndim) if place != axis]
    variance = teacher.var(dim=others, unbiased=False, keepdim=True)
    floor = variance.median()
    # More than half of the channels constant: only the overall spread is left to measure by.
    floor = floor if float(floor) > 0 else variance.mean()
    return variance.clamp_min(float(floor)) + _TINY


def attention_error(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of the normalised attention maps, mean over samples; [n, c, spatial...], c may differ.

    The map is the sum over channels of squares, divided by its length. Zagoruyko and Komodakis 2017, Paying More
    Attention to Attention, eq. 2, p = 2.
    """
    maps = [functional.normalize(side.square().sum(dim=1).flatten(1), dim=1) for side in (student, teacher)]
    return (maps[0] - maps[1]).square().sum(dim=1).mean()


@dataclass(frozen=True)
class Weights:
    """Of the parts of a `DistillationLoss`; see TrainOptions."""

    temperature: float
    alpha: float
    logits: float
    features: float


class DistillationLoss:
    """Made from the teacher's answers on a first batch, which fix what every later error is measured against.

    `outputs` are the teacher's outputs, `features` its intermediate tensors by name. With `classification` the first
    output holds one score per class on its last axis: logits, or probabilities, which are told by their rows adding
    up to 1. All else is matched channel by channel, and as a whole: noise over signal, as an SQNR sees it.
    """

    def __init__(
        self, outputs: Sequence[Tensor], features: Mapping[str, Tensor], classification: bool, weights: Weights
    ) -> None:
        self._weights, self._classification = weights, classification
        self._floats = [place for place, output in enumerate(outputs) if output.is_floating_point()]
        if not self._floats:
            raise EdgewrightError(
                ErrorCode.COMPRESSION_FAILED,
                "no output of the network is a float tensor, so nothing can be matched",
                "cut the post-processing off and export the network again",
            )
        self.probabilities = classification and _are_probabilities(outputs[0])
        self._variances = {place: channel_variance(outputs[place]) for place in self._floats}
        self._powers = {place: float(outputs[place].square().mean()) + _TINY for place in self._floats}
        if classification:
            logits = self._logits(outputs[0])
            self._spread = float((logits - logits.mean(dim=-1, keepdim=True)).square().mean())
        self._features = {name: channel_variance(value) for name, value in features.items()}

    def __call__(
        self,
        outputs: Sequence[Tensor],
        features: Mapping[str, Tensor],
        teacher_outputs: Sequence[Tensor],
        teacher_features: Mapping[str, Tensor],
        labels: Tensor | None,
    ) -> Tensor:
        """The loss, a scalar. Sides have equal shapes, but for the channels of features."""
        weights = self._weights
        soft = self._soft(outputs, teacher_outputs)
        if self._features and weights.features:
            parts = [self._feature(name, features[name], teacher_features[name]) for name in self._features]
            soft = soft + weights.features * torch.stack(parts).mean()
        if weights.alpha == 1.0 or labels is None:
            return soft
        return weights.alpha * soft + (1.0 - weights.alpha) * self._hard(outputs[0], labels)

    def _soft(self, outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        total = None
        for place in self._floats:
            if self._classification and place == 0:
                student, teacher = self._logits(outputs[0]), self._logits(targets[0])
                part = soft_divergence(student, teacher, self._weights.temperature)
                if self._weights.logits:
                    part = part + self._weights.logits * logit_error(student, teacher, self._spread)
            else:
                part = matched_error(outputs[place], targets[place], self._variances[place])
                part = part + (outputs[place] - targets[place]).square().mean() / self._powers[place]
            total = part if total is None else total + part
        return total

    def _feature(self, name: str, student: Tensor, teacher: Tensor) -> Tensor:
        if student.shape == teacher.shape:
            return matched_error(student, teacher, self._features[name])
        return attention_error(student, teacher)

    def _hard(self, output: Tensor, labels: Tensor) -> Tensor:
        logits = self._logits(output)
        classes = logits.shape[-1]
        if labels.shape != logits.shape[:-1] or int(labels.min()) < 0 or int(labels.max()) >= classes:
            raise EdgewrightError(
                ErrorCode.LABEL_INVALID,
                f"labels {tuple(labels.shape)} from {int(labels.min())} to {int(labels.max())} do not fit scores "
                f"{tuple(logits.shape)}",
                f"labels must be one class a sample, 0 to {classes - 1}; or train without labels (alpha = 1)",
            )
        return functional.cross_entropy(logits.reshape(-1, classes), labels.reshape(-1))

    def _logits(self, scores: Tensor) -> Tensor:
        return torch.log(scores.clamp_min(1e-7)) if self.probabilities else scores


def _are_probabilities(scores: Tensor) -> bool:
    rows = scores.reshape(-1, scores.shape[-1])
    return bool(rows.min() >= 0 and torch.allclose(rows.sum(dim=1), torch.ones(len(rows)), atol=1e-2))
