"""Closeness to the baseline without labels: SQNR, cosine, and for classifiers the same answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewright.tasks.classification import agreement, class_scores
from edgewright_contract.errors import EdgewrightError, ErrorCode

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Fidelity:
    """`agreement` in 0..1 (None: no classifier), `sqnr_db` (infinite when equal), `cosine` in -1..1."""

    agreement: float | None
    sqnr_db: float
    cosine: float


def fidelity(base: Mapping[str, Array], candidate: Mapping[str, Array], classification: bool) -> Fidelity:
    """Compares outputs of the same samples, pooled over all outputs, in float64.

    SQNR = 10 log10(sum base^2 / sum (base - candidate)^2); a candidate that is not finite has -infinity and a
    cosine of -1. Outputs are matched by name, else by position. Raises MODEL_UNSUPPORTED when their shapes differ.
    """
    pairs = _pairs(base, candidate)
    signal = noise = product = norm = 0.0
    for one, other in pairs:
        x, y = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
        signal += float(x @ x)
        norm += float(y @ y)
        product += float(x @ y)
        noise += float((x - y) @ (x - y))
    same = None
    if classification:
        same = agreement(*(class_scores(scores).argmax(axis=1) for scores in pairs[0]))
    if not math.isfinite(noise):
        return Fidelity(same, -math.inf, -1.0)
    cosine = product / math.sqrt(signal * norm) if signal and norm else float(signal == norm)
    return Fidelity(same, _decibel(signal, noise), min(1.0, max(-1.0, cosine)))


def _decibel(signal: float, noise: float) -> float:
    if noise == 0.0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal else -math.inf


def _pairs(base: Mapping[str, Array], candidate: Mapping[str, Array]) -> list[tuple[Array, Array]]:
    by_name = set(base) == set(candidate)
    others = [candidate[name] for name in base] if by_name else list(candidate.values())
    shapes = [value.shape for value in base.values()], [value.shape for value in others]
    if shapes[0] != shapes[1] or not others:
        raise EdgewrightError(
            ErrorCode.MODEL_UNSUPPORTED,
            f"outputs cannot be compared: the baseline's have shapes {shapes[0]}, the candidate's {shapes[1]}",
            "compare variants of one model",
        )
    return list(zip(base.values(), others, strict=True))
