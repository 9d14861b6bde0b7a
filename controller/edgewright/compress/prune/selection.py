"""Which channels go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import gcd

import numpy as np

from edgewright.graph.channels.analysis import ChannelAnalysis
from edgewright.graph.channels.groups import ChannelGroup
from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode

# What kernels like: an unaligned MobileNetV2 pruned by 30 % ran slower than the original.
ALIGNMENT = 8


def kept_width(group: ChannelGroup, ratio: float, alignment: int = ALIGNMENT) -> int:
    """Channels of the group that stay when `ratio` (0..1) of them should go.

    The width in positions becomes a multiple of `alignment`, the nearest one that does not exceed the group; a
    group too narrow for that stays whole. At least one channel stays.
    """
    step = alignment // gcd(alignment, group.width)
    wanted = group.size * (1 - ratio)
    if step == 1:
        return max(1, min(group.size, round(wanted)))
    kept = max(1, round(wanted / step)) * step
    return min(kept, group.size)


def uniform(
    analysis: ChannelAnalysis,
    scores: Mapping[str, Array] | Callable[[ChannelGroup], Array],
    ratio: float,
    alignment: int = ALIGNMENT,
) -> dict[str, list[int]]:
    """The least important `ratio` of every group, by `scores` (float [size] per group, by id or by call).

    Raises OPTION_INVALID for a ratio outside 0..1.
    """
    if not 0 <= ratio < 1:
        raise EdgewrightError(ErrorCode.OPTION_INVALID, f"a pruning ratio is from 0 to below 1, not {ratio}", "try 0.3")
    removal: dict[str, list[int]] = {}
    for group in analysis.groups:
        count = group.size - kept_width(group, ratio, alignment)
        if count > 0:
            values = scores(group) if callable(scores) else scores[group.id]
            removal[group.id] = sorted(np.argsort(values, kind="stable")[:count].tolist())
    return removal
