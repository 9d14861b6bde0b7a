"""How far apart two networks' outputs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgewright.graph.session import Array, Arrays, open_session, run


@dataclass(frozen=True)
class Reference:
    """Outputs of the original on its probes: `outputs[probe][output]`."""

    probes: tuple[Arrays, ...]
    outputs: tuple[tuple[Array, ...], ...]


def reference_of(path: Path, probes: Sequence[Arrays], threads: int = 0) -> Reference:
    """Runs the original. Raises MODEL_UNRUNNABLE."""
    session = open_session(path, threads)
    outputs = tuple(tuple(run(session, probe)) for probe in probes)
    return Reference(tuple(probes), outputs)


def difference_from(reference: Reference, path: Path, threads: int = 0) -> float:
    """Largest difference of any output on any probe: max |a - b| / max |a|, `inf` where shapes or NaNs
    differ.

    Raises MODEL_UNRUNNABLE.
    """
    session = open_session(path, threads)
    worst = 0.0
    for probe, expected in zip(reference.probes, reference.outputs, strict=True):
        actual = run(session, probe)
        if len(actual) != len(expected):
            return float("inf")
        worst = max(
            [worst, *(relative_difference(a, b) for a, b in zip(expected, actual, strict=True))],
        )
    return worst


def relative_difference(expected: Array, actual: Array) -> float:
    """max |expected - actual| / max |expected|; `inf` where shape, dtype or the places of NaN and inf
    differ.
    """
    if not isinstance(expected, np.ndarray):  # sequences and maps: equal or not
        return 0.0 if repr(expected) == repr(actual) else float("inf")
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        return float("inf")
    if expected.size == 0:
        return 0.0
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(expected, actual) else float("inf")
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(actual)):
        return float("inf")
    a, b = expected[finite].astype(np.float64), actual[finite].astype(np.float64)
    if a.size == 0:
        return 0.0
    scale = float(np.abs(a).max())
    gap = float(np.abs(a - b).max())
    return gap / scale if scale > 0 else (0.0 if gap == 0 else float("inf"))


def is_vacuous(reference: Reference) -> bool:
    """Whether no float output changes from probe to probe or within itself: then agreement proves nothing."""
    for index, first in enumerate(reference.outputs[0]):
        if not isinstance(first, np.ndarray) or first.size == 0:
            continue
        if first.size > 1 and not np.all(first == first.flat[0]):
            return False
        if any(not np.array_equal(first, other[index]) for other in reference.outputs[1:]):
            return False
    return True
