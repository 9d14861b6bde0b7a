"""The metric of classifiers: top-k accuracy image by image, its interval, and the paired drop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewright.core.values import Interval
from edgewright_contract.errors import EdgewrightError, ErrorCode

Array = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]

Z_95 = 1.959963984540054
RESAMPLES = 4000


def top_k(outputs: Array, labels: Array, first_class: int, k: int) -> Flags:
    """Per image whether its label is among the `k` highest outputs; bool [N].

    outputs: [N, C] of any number type, or [N, C, 1, 1]; labels: integers [N]. Class 0 has output `first_class`.
    Of equal outputs the one with the lower index comes first, as with argmax; a row with NaN is wrong.
    Raises LABEL_INVALID for labels beyond the outputs, SPEC_MISMATCH for outputs that are no class scores.
    """
    scores = class_scores(outputs)
    labels = np.asarray(labels)
    check_labels(labels, scores.shape[1], first_class)
    wanted = (labels.astype(np.int64) + first_class)[:, np.newaxis]
    own = np.take_along_axis(scores, wanted, axis=1)
    ahead = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < wanted))
    usable = ~np.isnan(scores).any(axis=1)
    right: Flags = (ahead.sum(axis=1) < k) & usable
    return right


def class_scores(outputs: Array) -> Array:
    """Outputs as [N, C]; raises SPEC_MISMATCH when they have more than one axis of classes."""
    outputs = np.asarray(outputs)
    if outputs.ndim < 2 or outputs.size != outputs.shape[0] * max(outputs.shape[1:], default=1):
        raise EdgewrightError(
            ErrorCode.SPEC_MISMATCH,
            f"the network's output has shape {outputs.shape}; a classifier's has one score a class, [N, C]",
            "add the model with --task tensor, or export it with the class scores as its first output",
        )
    return outputs.reshape(len(outputs), -1)


def check_labels(labels: Array, width: int, first_class: int) -> None:
    """Raises LABEL_INVALID when a label has no output among `width`, saying how many and what may be wrong."""
    if len(labels) == 0:
        raise EdgewrightError(ErrorCode.DATASET_EMPTY, "no labelled images to judge by", "add labelled images")
    low, high = int(labels.min()), int(labels.max())
    classes = width - first_class
    if low >= 0 and high < classes:
        return
    beyond = int(((labels < 0) | (labels >= classes)).sum())
    hint = "check that the data set's classes are the network's, counted from 0"
    if first_class == 1 and low >= 0 and high < width:
        hint = "the network seems to have no background class: set output.first_class = 0 in the spec"
    elif first_class == 0 and low >= 1 and high == width:
        hint = "the labels seem to be counted from 1: class_index starts at 0"
    raise EdgewrightError(
        ErrorCode.LABEL_INVALID,
        f"{beyond} of {len(labels)} labels are outside of 0..{classes - 1}: the network has {width} outputs, "
        f"first_class is {first_class}, labels go from {low} to {high}",
        hint,
    )


def accuracy_interval(right: Flags) -> Interval:
    """The share of True with its 95 % Wilson score interval (Wilson 1927), all in 0..1."""
    count = len(right)
    share = float(np.mean(right))
    spread = Z_95 * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    middle, scale = share + Z_95**2 / (2 * count), 1 + Z_95**2 / count
    return Interval(share, max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))


def paired_drop(before: Flags, after: Flags, seed: int = 0) -> Interval:
    """Accuracy lost, in percentage points (positive: `after` is worse), with a 95 % interval.

    Bootstrap over images (Efron 1979): an image keeps both its results, so what is common to both networks
    cancels. A resample depends only on how many of its images were lost and how many won, which are multinomial.
    An interval that holds 0 means no significant difference.
    """
    if before.shape != after.shape:
        raise ValueError(f"paired results differ in length: {before.shape} and {after.shape}")
    count = len(before)
    lost, won = int((before & ~after).sum()), int((after & ~before).sum())
    shares = np.array([lost, won, count - lost - won]) / count
    draws = np.random.default_rng(seed).multinomial(count, shares, RESAMPLES)
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / count, (0.025, 0.975))
    return Interval(100.0 * (lost - won) / count, 100.0 * float(low), 100.0 * float(high))


def agreement(base: Array, candidate: Array) -> float:
    """The share of images with the same answer; both are predicted classes [N]."""
    if base.shape != candidate.shape:
        raise ValueError(f"predictions differ in shape: {base.shape} and {candidate.shape}")
    return float(np.mean(base == candidate))
