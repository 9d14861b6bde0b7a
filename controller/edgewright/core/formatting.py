"""The only place where a number becomes text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MISSING = "–"


@dataclass(frozen=True)
class Unit:
    """A unit for a whole row or column: text is value / `size`, with `digits` after the point."""

    name: str
    size: float
    digits: int

    def number(self, value: float | None) -> str:
        """The number alone, or a dash where there is none."""
        return MISSING if value is None else f"{value / self.size:,.{self.digits}f}"

    def text(self, value: float | None) -> str:
        """Number and unit."""
        return MISSING if value is None else f"{self.number(value)} {self.name}"


_DURATIONS = (("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9))
_BYTES = (("B", 1.0), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9))
_COUNTS = (("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9))


def duration_unit(values_ns: Iterable[float | None]) -> Unit:
    """One unit for several durations: the largest in which the longest is 1 or more and the shortest 0.1 or more."""
    return _unit(_DURATIONS, values_ns)


def byte_unit(values: Iterable[float | None]) -> Unit:
    """Decimal units, as disks and file managers count them."""
    return _unit(_BYTES, values)


def duration(value_ns: float | None) -> str:
    return duration_unit([value_ns]).text(value_ns)


def size(value_bytes: float | None) -> str:
    return byte_unit([value_bytes]).text(value_bytes)


def count(value: float | None) -> str:
    """4.2 M, 390 M, 12 k."""
    unit = _unit(_COUNTS, [value])
    return unit.text(value).strip()


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 1 as per cent."""
    return MISSING if share is None else f"{100 * share:.{digits}f} %"


def points(value: float | None, digits: int = 2) -> str:
    """Percentage points with their sign; a loss of less than can be shown is 0."""
    if value is None:
        return MISSING
    rounded = round(value, digits) + 0.0  # no minus zero
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def ratio(value: float | None) -> str:
    """1.83x"""
    return MISSING if value is None else f"{value:.2f}x"


def speedup(interval: Mapping[str, float] | None) -> str:
    """1.83x (1.79 to 1.88)"""
    if interval is None:
        return MISSING
    return f"{interval['value']:.2f}x ({interval['low']:.2f} to {interval['high']:.2f})"


def _unit(units: tuple[tuple[str, float], ...], values: Iterable[float | None]) -> Unit:
    known = [abs(value) for value in values if value is not None and value != 0 and math.isfinite(value)]
    smallest, largest = min(known, default=0.0), max(known, default=0.0)
    name, scale = units[0]
    for candidate, candidate_scale in units:
        if largest >= candidate_scale and smallest >= 0.1 * candidate_scale:
            name, scale = candidate, candidate_scale
    if scale == 1.0:
        return Unit(name, scale, 0)
    shown = smallest / scale
    return Unit(name, scale, 3 if shown < 1 else 2 if shown < 10 else 1 if shown < 100 else 0)
