"""Who runs when. Pure: no clock, no process."""

from __future__ import annotations

import random
import statistics
from typing import Sequence

# A window's median may differ this much from the one before and still count as settled.
SETTLED_TOLERANCE = 0.05
# One block is one message: this many samples at most, however fast the network.
MAX_BLOCK_SAMPLES = 10000
# When the blocks asked for take this many times their share of the time cap, the cap wins.
FAR_EXCEEDED = 2.0


def block_order(seed: int, process: int, index: int, candidates: int) -> tuple[int, ...]:
    """A permutation of 0 .. candidates - 1 for one round of blocks; the same arguments give the same order on
    every Python, other rounds and processes independent ones."""
    order = list(range(candidates))
    random.Random(f"{seed}/{process}/{index}").shuffle(order)  # noqa: S311 - reproducible, not secret
    return tuple(order)


def samples_per_block(window_ns: Sequence[int], block_seconds: float) -> int:
    """How many inferences fill `block_seconds`, going by the last warm-up window's median; at least 1."""
    median = statistics.median(window_ns)
    if median <= 0:
        return MAX_BLOCK_SAMPLES
    return max(1, min(MAX_BLOCK_SAMPLES, round(block_seconds * 1e9 / median)))


def settled(windows_ns: Sequence[Sequence[int]]) -> bool:
    """Whether the medians of the last two windows are within 5 % of one another; windows hold samples."""
    if len(windows_ns) < 2:
        return False
    before, now = (statistics.median(window) for window in windows_ns[-2:])
    return abs(now - before) <= SETTLED_TOLERANCE * before


def sampling_over(rounds: int, wanted_rounds: int, spent_s: float, share_s: float) -> bool:
    """Whether a process that has done `rounds` rounds of blocks in `spent_s` stops.

    It stops when its share of the time cap is used and the rounds asked for are done, or when the share is
    far exceeded. The first round is always done.
    """
    if rounds == 0:
        return False
    return spent_s >= share_s * (1.0 if rounds >= wanted_rounds else FAR_EXCEEDED)
