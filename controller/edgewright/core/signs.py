"""What a board's own samples betray about it, also where no sensor helps. Blocks are one candidate's, timed ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright_contract.values import Block

Array = NDArray[np.float64]

_FEWEST_BLOCKS = 12
_SMALLEST_SIDE = 0.08  # of the blocks, before and after a lasting change
_CLEAR_SIDES = 0.8  # share of blocks that lie on their side's half of a change
_SPEED_GAP = math.log(1.15)  # between the slowest block of the fast group and the fastest of the slow one
_SWITCHES = 4  # fewer are one lasting change, there and back


@dataclass(frozen=True)
class Signs:
    """None: not known. `waiting` is a share of 1, `change` relative and signed, at the share `change_at` of the run."""

    waiting: float | None
    change: float | None
    change_at: float | None
    two_speeds: float | None  # how many times slower the slow blocks ran
    clock_faults: int  # samples of no time at all, blocks that started before the one before


def signs(blocks: Sequence[Block], on_cpu: bool) -> Signs:
    """`on_cpu`: the network runs on the CPU, so that time without CPU time is time taken by others."""
    used = [block for block in blocks if block.samples_ns and min(block.samples_ns) > 0]
    faults = _clock_faults(blocks)
    if len(used) < _FEWEST_BLOCKS:
        return Signs(None, None, None, None, faults)
    used.sort(key=lambda block: (block.started_ns, block.process, block.index))
    wall = np.array([sum(block.samples_ns) for block in used], dtype=np.float64)
    cpu = np.array([block.cpu_ns for block in used], dtype=np.float64)
    pace = np.log([np.median(block.samples_ns) for block in used])
    waiting = None
    if on_cpu and np.all(cpu > 0):
        share = cpu / wall
        # A network that never waits has all the CPU time of its threads; how many those are shows in its best blocks.
        full = max(1.0, float(np.quantile(share, 0.95)))
        waiting = max(0.0, 1 - float(cpu.sum()) / (full * float(wall.sum())))
        pace = pace + np.log(np.minimum(share / full, 1.0))  # the pace it had while it had the CPU
    change, at = _lasting_change(pace)
    return Signs(waiting, change, at, _two_speeds(pace), faults)


def _lasting_change(pace: Array) -> tuple[float | None, float | None]:
    """The clearest moment after which everything is slower (or faster), as a relative change, and where it lies.

    The split with the largest standardised difference of means; it counts where nearly all blocks of each side
    lie on their half of it, so that single slow blocks and a board that goes to and fro make none.
    """
    count = len(pace)
    side = max(3, math.ceil(_SMALLEST_SIDE * count))
    # Single slow blocks are cut to size first: the sums below are those of a CUSUM chart (Page, Biometrika 1954).
    calm = np.clip(pace, *np.quantile(pace, [0.05, 0.95]))
    splits = np.arange(side, count - side + 1)
    if not len(splits):
        return 0.0, None
    sums = np.cumsum(calm - calm.mean())[splits - 1]
    best = int(splits[np.argmax(np.abs(sums) / np.sqrt(splits * (count - splits)))])
    before, after = float(np.median(pace[:best])), float(np.median(pace[best:]))
    high = np.sign(after - before) * (pace - (before + after) / 2) > 0
    clear = min(1 - float(high[:best].mean()), float(high[best:].mean()))
    if clear < _CLEAR_SIDES:
        return 0.0, None
    return math.exp(after - before) - 1, best / count


def _two_speeds(pace: Array) -> float:
    """How many times slower the slower of two groups of blocks ran, 1 where there are no two groups.

    Two groups: a gap between them that is wide against the spread inside each, changed between to and fro.
    """
    ordered = np.sort(pace)
    fewest = max(3, math.ceil(0.05 * len(pace)))
    inner = np.diff(ordered)[fewest - 1 : len(pace) - fewest]
    if not len(inner):
        return 1.0
    cut = int(np.argmax(inner)) + fewest
    gap = float(ordered[cut] - ordered[cut - 1])
    groups = ordered[:cut], ordered[cut:]
    spread = max(float(np.quantile(group, 0.75) - np.quantile(group, 0.25)) for group in groups)
    slow = pace >= ordered[cut]
    switches = int(np.count_nonzero(slow[1:] != slow[:-1]))
    if gap < _SPEED_GAP or gap < 2 * spread or switches < _SWITCHES:
        return 1.0
    return math.exp(float(np.median(groups[1]) - np.median(groups[0])))


def _clock_faults(blocks: Sequence[Block]) -> int:
    """A clock only goes forward: no sample takes 0 or less, no block of a process starts before an earlier one."""
    faults = sum(sample <= 0 for block in blocks for sample in block.samples_ns)
    for process in {block.process for block in blocks}:
        starts = [block.started_ns for block in blocks if block.process == process]
        faults += sum(later < earlier for earlier, later in zip(starts, starts[1:], strict=False))
    return faults
