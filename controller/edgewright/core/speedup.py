"""The speed-up of a candidate over its baseline, from blocks that ran side by side on a drifting device."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgewright.core.statistics import student_quantile
from edgewright.core.values import Interval
from edgewright_contract.values import Block

MINIMUM_PAIRS = 6
RESAMPLES = 4000
_CHUNK_VALUES = 4_000_000  # of one bootstrap step: bounds memory on long runs


def paired_speedup(
    baseline: Sequence[Block], candidate: Sequence[Block], confidence: float = 0.95, seed: int = 0
) -> Interval | None:
    """Baseline time over candidate time: above 1 the candidate is faster. Warm-up blocks do not count.

    Blocks of one (process, index) ran within moments of each other, so a slow moment of the board hits
    both and cancels in their ratio. A pair's ratio is that of its medians; a process's is the median of its
    pairs, the whole is the geometric mean of the processes.

    The interval resamples processes, then pairs within each (hierarchical bootstrap; Kalibera and Jones,
    Rigorous Benchmarking in Reasonable Time, 2013). A bootstrap over three processes is too narrow when
    processes differ, so its deviations are widened to what Student's t asks for as far as they do.
    None for fewer than 6 pairs: nothing can be said. The same input and seed give the same interval.
    """
    processes = _log_ratios(baseline, candidate)
    if sum(map(len, processes)) < MINIMUM_PAIRS:
        return None
    estimate = float(np.mean([np.median(ratios) for ratios in processes]))
    resampled = _bootstrap(processes, seed)
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    widen = _widening(processes, confidence)
    return Interval(
        value=math.exp(estimate),
        low=math.exp(estimate - widen * max(0.0, estimate - float(low))),
        high=math.exp(estimate + widen * max(0.0, float(high) - estimate)),
    )


def is_significant(speedup: Interval | None) -> bool:
    """Whether an interval leaves 1 out: faster or slower for sure enough."""
    return speedup is not None and (speedup.low > 1 or speedup.high < 1)


def _log_ratios(baseline: Sequence[Block], candidate: Sequence[Block]) -> list[NDArray[np.float64]]:
    """One array a process: log(baseline median / candidate median) of each pair."""
    theirs = {
        (block.process, block.index): float(np.median(block.samples_ns))
        for block in candidate
        if not block.warmup and block.samples_ns
    }
    ratios = defaultdict(list)
    for block in sorted(baseline, key=lambda block: (block.process, block.index)):
        pair = theirs.get((block.process, block.index), 0.0)
        own = float(np.median(block.samples_ns)) if block.samples_ns and not block.warmup else 0.0
        if pair > 0 and own > 0:  # a clock that stood still or went back has its own verdict
            ratios[block.process].append(math.log(own / pair))
    return [np.array(values) for values in ratios.values()]


def _bootstrap(processes: Sequence[NDArray[np.float64]], seed: int) -> NDArray[np.float64]:
    """Estimates of `RESAMPLES` resamples, shape (RESAMPLES,)."""
    random = np.random.default_rng(seed)
    count, longest = len(processes), max(map(len, processes))
    # Medians of unequal lengths: one process at a time, NaN where a resample did not draw it.
    picked = random.integers(0, count, size=(RESAMPLES, count))
    medians = np.empty((RESAMPLES, count))
    step = max(1, _CHUNK_VALUES // longest)
    for number, ratios in enumerate(processes):
        rows, columns = np.nonzero(picked == number)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            draws = random.integers(0, len(ratios), size=(len(rows[part]), len(ratios)))
            medians[rows[part], columns[part]] = np.median(ratios[draws], axis=1)
    return np.asarray(medians.mean(axis=1))


def _widening(processes: Sequence[NDArray[np.float64]], confidence: float) -> float:
    """The factor from the bootstrap's spread to an honest one, at least 1.

    For k alike units the bootstrap's variance is short by (k - 1) / k and its tails are normal, not
    Student's with k - 1 degrees. The units are the pairs where there is one process, else the processes,
    to the share of the variance that lies between them (one-way analysis of variance).
    """
    normal = NormalDist().inv_cdf((1 + confidence) / 2)

    def full(units: int) -> float:
        return math.sqrt(units / (units - 1)) * student_quantile((1 + confidence) / 2, units - 1) / normal

    if len(processes) == 1:
        return full(len(processes[0]))
    means = np.array([np.median(ratios) for ratios in processes])
    seen = float(means.var(ddof=1))
    if seen <= 0:
        return 1.0
    # pi / 2: the variance of a median of normal values over that of their mean
    within = float(
        np.mean([np.pi / 2 * ratios.var(ddof=1) / len(ratios) if len(ratios) > 1 else 0.0 for ratios in processes])
    )
    between_share = max(0.0, 1 - within / seen)
    return 1 + between_share * (full(len(processes)) - 1)
