"""Parameters of recipe steps: their declaration, their limits, and how a wrong one is reported. Pure."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgewright_contract.errors import EdgewrightError, ErrorCode

_PAGE = "docs/recipes.md lists every step and parameter"


@dataclass(frozen=True)
class Place:
    """Where in a recipe something stands: "small.toml: steps[1].macs_ratio"."""

    origin: str
    keys: tuple[str, ...] = ()

    def down(self, key: str) -> Place:
        return Place(self.origin, (*self.keys, key))

    def __str__(self) -> str:
        return f"{self.origin}: {'.'.join(self.keys)}"


Reader = Callable[[Place, Any], Any]


class Limited:
    """A reader that can say what it allows."""

    def __init__(self, allowed: str, read: Reader) -> None:
        self.allowed = allowed
        self._read = read

    def __call__(self, place: Place, value: Any) -> Any:
        return self._read(place, value)


def parameter(default: Any, read: Limited | None, text: str) -> Any:
    """A field of a step: its default, its reader (None: true or false) and its meaning in one line."""
    return field(default=default, metadata={"read": read, "text": text})


def refused(place: Place, value: object, allowed: str, hint: str = "") -> EdgewrightError:
    """The error for a value that is not allowed."""
    shown = "missing" if value is None else f"{value!r:.80}"
    return EdgewrightError(ErrorCode.RECIPE_INVALID, f"{place} is {shown}; allowed: {allowed}", hint or _PAGE)


def unknown(place: Place, name: str, known: Sequence[str], what: str = "unknown key") -> EdgewrightError:
    """The error for a name that is not among `known`, with the nearest one."""
    near = difflib.get_close_matches(name, known, 1)
    listed_names = ", ".join(known) or "none"
    return EdgewrightError(
        ErrorCode.RECIPE_INVALID,
        f"{place.origin}: {what} {name[:80]!r} at {'.'.join(place.keys) or 'the top'}; known: {listed_names}",
        f"did you mean {near[0]}?" if near else _PAGE,
    )


def limit(low: float, high: float, whole: bool = False) -> Limited:
    """Numbers from `low` to `high`; whole ones where asked."""
    allowed = f"a {'whole ' if whole else ''}number from {low:g} to {high:g}"

    def read(place: Place, value: Any) -> float | int:
        fits = isinstance(value, int) if whole else isinstance(value, (int, float))
        if isinstance(value, bool) or not fits or not math.isfinite(value) or not low <= value <= high:
            raise refused(place, value, allowed)
        return int(value) if whole else float(value)

    return Limited(allowed, read)


def word(allowed: Sequence[str]) -> Limited:
    """One of these words."""

    def read(place: Place, value: Any) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        near = difflib.get_close_matches(str(value).lower(), allowed, 1)
        raise refused(place, value, ", ".join(allowed), f"did you mean {near[0]}?" if near else "")

    return Limited(", ".join(allowed), read)


def words() -> Limited:
    """A list of any names."""
    allowed = "a list of names"

    def read(place: Place, value: Any) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) and item for item in value):
            raise refused(place, value, allowed)
        return tuple(value)

    return Limited(allowed, read)


def listed(allowed: Sequence[str]) -> Limited:
    """One or more different ones of these words."""
    one = word(allowed)
    text = f"one or more of {', '.join(allowed)}"

    def read(place: Place, value: Any) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or not value or len(set(map(str, value))) != len(value):
            raise refused(place, value, text)
        return tuple(one(place.down(str(index)), item) for index, item in enumerate(value))

    return Limited(text, read)
