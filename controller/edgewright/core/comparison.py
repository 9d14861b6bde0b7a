"""Two results against one another: paired where they ran interleaved, by their processes where they did not."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from edgewright.core.statistics import student_quantile
from edgewright.core.values import Interval
from edgewright_contract.values import Block

MINIMUM_PROCESSES = 2


def unpaired_speedup(first: Sequence[Block], second: Sequence[Block], confidence: float = 0.95) -> Interval | None:
    """Time of `first` over time of `second`, from runs at different times: above 1 the second is faster.

    A process counts once, with the log of the median of its block medians: samples of one process share its luck
    (memory layout, the core it got), so they are no independent evidence. Welch's t interval on the difference
    of the two means. What changed between the runs (heat, other programs) is in the figure and not in the
    interval: only interleaving removes it. None for fewer than 2 processes on a side.
    """
    sides = _process_logs(first), _process_logs(second)
    if min(map(len, sides)) < MINIMUM_PROCESSES:
        return None
    a, b = (np.array(side) for side in sides)
    estimate = float(a.mean() - b.mean())
    shares = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    variance = sum(shares)
    if variance <= 0:
        return Interval(math.exp(estimate), math.exp(estimate), math.exp(estimate))
    degrees = variance**2 / (shares[0] ** 2 / (len(a) - 1) + shares[1] ** 2 / (len(b) - 1))
    reach = student_quantile((1 + confidence) / 2, degrees) * math.sqrt(variance)
    return Interval(math.exp(estimate), math.exp(estimate - reach), math.exp(estimate + reach))


def slower_than_allowed(speedup: Interval | None, allowed: float) -> bool:
    """Whether a new result (`speedup`: old time over new) is slower by more than the share `allowed`, and not
    by chance alone: its interval leaves 1 out."""
    return speedup is not None and speedup.high < 1 and 1 / speedup.value - 1 > allowed


def _process_logs(blocks: Sequence[Block]) -> list[float]:
    medians = defaultdict(list)
    for block in blocks:
        if not block.warmup and block.samples_ns:
            medians[block.process].append(float(np.median(block.samples_ns)))
    return [math.log(float(np.median(values))) for _, values in sorted(medians.items()) if np.median(values) > 0]
