"""Observers: what is remembered of a tensor while calibration data streams by, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, floor, frexp

import numpy as np

from edgewright.graph.session import Array

# Enough for every range method: 8 or more bins for each of 256 quantization levels.
BINS = 4096
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Histogram:
    """Counts of values in bins of equal width.

    Bin i holds first * width + [i, i + 1) * width. Zeros (many, after ReLU) are counted apart, in `zeros`,
    and not in `counts`, because they are represented exactly. `low` and `high` are the true extremes.
    """

    counts: Array  # int64, at most BINS
    first: int
    width: float
    zeros: int
    low: float
    high: float

    @property
    def edges(self) -> Array:
        """Bin edges, float64, one more than bins."""
        return (self.first + np.arange(self.counts.size + 1)) * self.width

    @property
    def centres(self) -> Array:
        """Bin centres, float64."""
        return (self.first + np.arange(self.counts.size) + 0.5) * self.width

    @property
    def total(self) -> int:
        return int(self.counts.sum()) + self.zeros


@dataclass
class HistogramObserver:
    """A histogram whose bin width is always a power of two and whose edges are its multiples.

    When values outgrow the bins the width doubles and neighbours are added, which loses nothing: the result
    is exactly the histogram of all data at the final width, whatever the order in which the data came.
    """

    bins: int = BINS
    _counts: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    _first: int = 0
    _width: float = 0.0
    _zeros: int = 0
    _low: float = float("inf")
    _high: float = float("-inf")
    not_finite: int = 0

    def update(self, values: Array) -> None:
        """Adds a float array of any shape; NaN and infinities are counted in `not_finite` and left out."""
        flat = np.ascontiguousarray(values).reshape(-1)
        for start in range(0, flat.size, _CHUNK):
            self._add(flat[start : start + _CHUNK])

    def histogram(self) -> Histogram | None:
        """What was seen; None when there was no finite value."""
        if not np.isfinite(self._low):
            return None
        return Histogram(self._counts.copy(), self._first, self._width, self._zeros, self._low, self._high)

    def _add(self, values: Array) -> None:
        if values.size == 0:
            return
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            finite = values[np.isfinite(values)]
            self.not_finite += values.size - finite.size
            self._add(finite)
            return
        self._low, self._high = min(self._low, low), max(self._high, high)
        if low == high == 0.0:
            self._zeros += values.size
            return
        self._make_room(low, high)
        # Powers of two scale floats exactly, so the index is exact.
        scaled = values * values.dtype.type(1.0 / self._width)
        index = np.floor(scaled).astype(np.int64) - self._first
        added = np.bincount(index, minlength=self._counts.size)
        zeros = int(values.size - np.count_nonzero(scaled))
        if zeros:
            added[-self._first] -= zeros
            self._zeros += zeros
        self._counts += added

    def _make_room(self, low: float, high: float) -> None:
        """Widens and extends the bins so that they hold low..high and zero."""
        low, high = min(low, 0.0), max(high, 0.0)
        if self._width == 0.0:
            # The largest power of two that leaves the span within half of the bins.
            exponent = frexp((high - low) / (self.bins // 2))[1]
            self._width = 2.0 ** max(exponent, -120)
            self._first, self._counts = 0, np.zeros(1, np.int64)
        while ceil_bin(high, self._width) - floor(low / self._width) > self.bins:
            self._double()
        first = min(self._first, floor(low / self._width))
        last = max(self._first + self._counts.size, ceil_bin(high, self._width))
        while last - first > self.bins:
            self._double()
            first = min(self._first, floor(low / self._width))
            last = max(self._first + self._counts.size, ceil_bin(high, self._width))
        if (first, last) != (self._first, self._first + self._counts.size):
            grown = np.zeros(last - first, np.int64)
            offset = self._first - first
            grown[offset : offset + self._counts.size] = self._counts
            self._first, self._counts = first, grown

    def _double(self) -> None:
        start = self._first % 2
        padded = np.zeros(start + self._counts.size + (start + self._counts.size) % 2, np.int64)
        padded[start : start + self._counts.size] = self._counts
        self._counts = padded.reshape(-1, 2).sum(axis=1)
        self._first = (self._first - start) // 2
        self._width *= 2.0


def ceil_bin(value: float, width: float) -> int:
    """First bin edge (as a multiple of `width`) strictly above `value`."""
    return max(floor(value / width) + 1, ceil(value / width))


@dataclass
class ChannelMeanObserver:
    """Mean of each channel (axis 1) over all samples and positions; float64 sums."""

    _sums: Array | None = None
    _count: int = 0

    def update(self, values: Array) -> None:
        """Adds an array [n, channels, ...]."""
        axes = (0, *range(2, values.ndim))
        sums = values.sum(axis=axes, dtype=np.float64)
        self._sums = sums if self._sums is None else self._sums + sums
        self._count += values.size // max(values.shape[1], 1)

    def mean(self) -> Array | None:
        """float64 [channels]; None when nothing was seen."""
        return None if self._sums is None or self._count == 0 else self._sums / self._count
