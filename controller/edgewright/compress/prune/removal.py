"""Which labels a request to remove channels means, and whether it can be met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgewright.graph.channels.analysis import ChannelAnalysis
from edgewright.graph.channels.labels import Vector
from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode

# Group id -> numbers of the channels to remove, each in 0..size-1.
Removal = Mapping[str, Sequence[int]]


class Gone:
    """The removed labels of one analysis."""

    def __init__(self, analysis: ChannelAnalysis, removal: Removal) -> None:
        """Raises OPTION_INVALID for an unknown group, a channel outside it, or a tensor left without channels."""
        labels: list[int] = []
        for name, channels in removal.items():
            group = analysis.group(name)
            if group is None:
                raise EdgewrightError(
                    ErrorCode.OPTION_INVALID,
                    f"there is no channel group {name!r}; there are {len(analysis.groups)}, "
                    f"such as {[group.id for group in analysis.groups[:3]]}",
                    "analyse this very file again and use its group ids",
                )
            wrong = [channel for channel in channels if not 0 <= channel < group.size]
            if wrong:
                raise EdgewrightError(
                    ErrorCode.OPTION_INVALID,
                    f"group {name!r} has channels 0 to {group.size - 1}, not {wrong[0]}",
                    "choose channels of the group",
                )
            labels += [group.labels[channel] for channel in channels]
        self._gone = np.isin(analysis.roots, np.array(labels, dtype=np.int64)) & (analysis.roots != 0)
        self.labels = frozenset(labels)
        self.count = len(self.labels)
        for tensor, vectors in analysis.plan.axes.items():
            if any(vector is not None and not self.kept(vector).any() for vector in vectors):
                raise EdgewrightError(
                    ErrorCode.OPTION_INVALID,
                    f"nothing would be left of tensor {tensor!r}",
                    "keep at least one channel of every group",
                )

    def kept(self, vector: Vector) -> Array:
        """Which positions stay, bool [size]."""
        kept: Array = ~self._gone[vector]
        return kept

    def touches(self, vector: Vector) -> bool:
        """Whether any position goes."""
        return bool(self._gone[vector].any())
