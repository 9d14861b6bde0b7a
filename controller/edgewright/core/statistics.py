"""Percentiles, their intervals and how many samples they need. Pure numpy; samples are 1-D, any unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewright.core.values import Interval

LOADGEN_CONFIDENCE = 0.99  # of MLPerf's early stopping
_TOLERATED = 1  # samples above the percentile that a claim must survive (LoadGen drops one)


def percentile(samples: ArrayLike, q: float) -> float:
    """The smallest sample with at least a share `q` (0 < q <= 1) of all samples at or below it.

    Nearest rank, numpy's "inverted_cdf": always a value that was measured, so it agrees with the order
    statistics of `percentile_interval`. Raises ValueError for no samples.
    """
    values = _samples(samples)
    return float(np.partition(values, _rank(len(values), q))[_rank(len(values), q)])


def _rank(count: int, q: float) -> int:
    # The tolerance keeps 0.9 * 10 at rank 9: 0.9 has no exact binary form.
    return max(0, math.ceil(q * count - 1e-9) - 1)


@lru_cache(maxsize=64)
def minimum_samples(q: float, confidence: float = LOADGEN_CONFIDENCE) -> int:
    """The fewest samples that allow a claim about the percentile `q` (0 < q < 1).

    The smallest n with P(X <= 1) <= 1 - confidence for X ~ Binomial(n, 1 - q): a system that just fails
    the claim would show so few slow samples with at most that probability. This is MLPerf LoadGen's early
    stopping with its one spare sample: 64 for p90, 130 for p95, 662 for p99, 6,636 for p99.9 at 99 %.
    """
    if not 0 < q < 1 or not 0 < confidence < 1:
        raise ValueError(f"q and confidence lie between 0 and 1, got {q} and {confidence}")
    high = 2
    while _binomial_cdf(_TOLERATED, high, 1 - q) > 1 - confidence:
        high *= 2
    low = high // 2
    while low + 1 < high:
        middle = (low + high) // 2
        if _binomial_cdf(_TOLERATED, middle, 1 - q) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def supports(count: int, q: float) -> bool:
    """Whether `count` samples may be summarised by the percentile `q`, high or low."""
    return count >= minimum_samples(max(q, 1 - q))


def percentile_interval(samples: ArrayLike, q: float, confidence: float = 0.95) -> Interval | None:
    """A distribution-free interval of the percentile `q`: two order statistics, half the risk on each side.

    The number of samples below the true percentile is Binomial(n, q), so P(X_(l) <= x_q <= X_(u)) is known
    exactly whatever the distribution (David and Nagaraja, Order Statistics, 7.1). For independent samples only: those
    of a benchmark are not, see clustered.py. None where even the extremes do not reach the confidence.
    """
    values = np.sort(_samples(samples))
    count = len(values)
    tail = (1 - confidence) / 2
    cumulative = np.cumsum(_binomial_pmf(count, q))  # P(B <= k), k = 0 .. count
    low = int(np.searchsorted(cumulative, tail, side="right"))  # largest l with P(B <= l - 1) <= tail
    high = int(np.searchsorted(cumulative, 1 - tail, side="left")) + 1  # smallest u with P(B <= u - 1) >= 1 - tail
    if low < 1 or high > count:
        return None
    return Interval(float(values[_rank(count, q)]), float(values[low - 1]), float(values[high - 1]))


@lru_cache(maxsize=4096)
def student_quantile(q: float, degrees: float) -> float:
    """The `q` quantile of Student's t, to about 1e-6.

    With t = sqrt(degrees) * tan(a) the density becomes cos(a) ** (degrees - 1), integrated numerically.
    """
    angles = np.linspace(-math.pi / 2, math.pi / 2, 50_001)
    density = np.cos(angles) ** (degrees - 1)
    steps = (density[1:] + density[:-1]) / 2
    cumulative = np.concatenate([[0.0], np.cumsum(steps)])
    angle = float(np.interp(q, cumulative / cumulative[-1], angles))
    return math.sqrt(degrees) * math.tan(angle)


def _samples(samples: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(samples, dtype=np.float64).ravel()
    if not len(values):
        raise ValueError("no samples")
    return values


def _binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p), exact for small k."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(min(k, n) + 1))


def _binomial_pmf(n: int, p: float) -> NDArray[np.float64]:
    """P(X = 0 .. n) for X ~ Binomial(n, p), shape (n + 1,), through logarithms."""
    i = np.arange(1, n + 1, dtype=np.float64)
    log_choose = np.concatenate([[0.0], np.cumsum(np.log((n - i + 1) / i))])
    k = np.arange(n + 1)
    return np.asarray(np.exp(log_choose + k * math.log(p) + (n - k) * math.log1p(-p)))


def quantiles(samples: ArrayLike, limit: int = 512) -> tuple[int, ...]:
    """At most `limit` evenly spaced order statistics, first and last included: a distribution to draw."""
    values = np.sort(_samples(samples))
    if len(values) > limit:
        values = values[np.linspace(0, len(values) - 1, limit).round().astype(int)]
    return tuple(int(value) for value in values)


def relative_half_width(interval: Interval) -> float:
    """Half an interval's width as a share of its value."""
    return (interval.high - interval.low) / 2 / interval.value if interval.value else math.inf


def thirds_drift(series: Sequence[float]) -> float | None:
    """Median of the last third over median of the first, minus 1; None for fewer than 6 values."""
    third = len(series) // 3
    if third < 2:
        return None
    first = float(np.median(series[:third]))
    return float(np.median(series[-third:])) / first - 1 if first else None
