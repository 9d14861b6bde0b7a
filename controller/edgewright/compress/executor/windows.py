"""Arithmetic of sliding windows: padding by rule, output sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.compress.executor.node import Node


@dataclass(frozen=True)
class Window:
    """Geometry of a convolution or pool, one number per spatial axis.

    `pads` is (begins, ends) or, under a SAME rule, None: then it follows from the input's size.
    """

    strides: tuple[int, ...] | None
    dilations: tuple[int, ...] | None
    pads: tuple[int, ...] | None
    rule: str
    ceil: bool = False

    @classmethod
    def of(cls, node: Node) -> Window:
        """Reads the attributes that convolutions and pools share."""
        rule = node.attribute("auto_pad", "NOTSET") or "NOTSET"
        strides, dilations, pads = (node.attribute(name) for name in ("strides", "dilations", "pads"))
        return cls(
            tuple(strides) if strides else None,
            tuple(dilations) if dilations else None,
            tuple(pads) if pads and rule == "NOTSET" else None,
            rule,
            bool(node.attribute("ceil_mode", 0)),
        )

    def steps(self, rank: int) -> tuple[int, ...]:
        return self.strides or (1,) * rank

    def spread(self, rank: int) -> tuple[int, ...]:
        return self.dilations or (1,) * rank

    def padding(self, sizes: Sequence[int], kernel: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Padding before and after each spatial axis of an input with these sizes."""
        rank = len(kernel)
        if self.rule.startswith("SAME"):
            totals = [
                max((-(-size // step) - 1) * step + reach(width, gap) - size, 0)
                for size, step, width, gap in zip(sizes, self.steps(rank), kernel, self.spread(rank), strict=True)
            ]
            small = tuple(total // 2 for total in totals)
            large = tuple(total - part for total, part in zip(totals, small, strict=True))
            return (small, large) if self.rule == "SAME_UPPER" else (large, small)
        pads = self.pads or (0,) * (2 * rank)
        return pads[:rank], pads[rank:]

    def outputs(
        self, sizes: Sequence[int], kernel: Sequence[int], begins: Sequence[int], ends: Sequence[int]
    ) -> tuple[int, ...]:
        """Windows per axis. With `ceil`, a last window counts unless it starts in the padding after the end."""
        counts = []
        steps, spread = self.steps(len(kernel)), self.spread(len(kernel))
        for axis, size in enumerate(sizes):
            free = size + begins[axis] + ends[axis] - reach(kernel[axis], spread[axis])
            count = free // steps[axis] + 1
            if self.ceil and free % steps[axis] and count * steps[axis] < size + begins[axis]:
                count += 1
            counts.append(count)
        return tuple(counts)


def reach(kernel: int, dilation: int) -> int:
    """Input positions that a kernel spans."""
    return (kernel - 1) * dilation + 1


def torch_pads(begins: Sequence[int], ends: Sequence[int]) -> list[int]:
    """torch's order: last axis first, before and after."""
    return [part for pair in zip(reversed(begins), reversed(ends), strict=True) for part in pair]
