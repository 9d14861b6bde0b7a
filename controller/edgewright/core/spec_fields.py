"""The fields of a spec file: their names, types and limits, and how a wrong one is reported."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edgewright.core.values import Color, Interpolation, Layout, Resize
from edgewright_contract.errors import EdgewrightError, ErrorCode

MAX_SIDE = 8192  # pixels
DECODERS = ("logits", "probabilities")
_SCALE_HINT = "mean and std are on the 0..255 scale here: multiply those of a 0..1 scale by 255"


@dataclass(frozen=True)
class Place:
    """Where in a spec something stands: "lite0.toml: input.mean"."""

    origin: str
    keys: tuple[str, ...] = ()

    def down(self, key: str) -> Place:
        return Place(self.origin, (*self.keys, key))

    def refused(self, value: object, allowed: str, hint: str = "") -> EdgewrightError:
        return EdgewrightError(
            ErrorCode.SPEC_INVALID,
            f"{self.origin}: {'.'.join(self.keys)} is {_shown(value)}; allowed: {allowed}",
            hint or "docs/specs.md lists every key of a spec file",
        )


def unknown_key(place: Place, key: str, known: Sequence[str], what: str = "unknown key") -> EdgewrightError:
    """The error for a name that is not among `known`, with the nearest one."""
    near = difflib.get_close_matches(key, known, 1)
    path = ".".join((*place.keys, _clipped(key)))
    return EdgewrightError(
        ErrorCode.SPEC_INVALID,
        f"{place.origin}: {what} {path}; known: {', '.join(known)}",
        f"did you mean {near[0]}?" if near else "docs/specs.md lists every key and ready spec",
    )


FieldReader = Callable[[Place, Any], Any]


def read_table(place: Place, table: Any, fields: Mapping[str, FieldReader]) -> dict[str, Any]:
    """Checked values of the keys present; None stands for a key left out."""
    if not isinstance(table, Mapping):
        raise place.refused(table, f"a table [{place.keys[-1]}]")
    for key in table:
        if key not in fields:
            raise unknown_key(place, str(key), tuple(fields))
    return {key: fields[key](place.down(key), value) for key, value in table.items() if value is not None}


def _shown(value: object) -> str:
    return _clipped(repr(str(value)) if isinstance(value, StrEnum) else repr(value))


def _clipped(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _whole(low: int, high: int) -> FieldReader:
    def read(place: Place, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise place.refused(value, f"a whole number from {low} to {high}")
        return value

    return read


def _one_of(kind: type[StrEnum]) -> FieldReader:
    def read(place: Place, value: Any) -> StrEnum:
        return kind(_word(place, value, [member.value for member in kind]))

    return read


def _word(place: Place, value: Any, allowed: Sequence[str]) -> str:
    if isinstance(value, str) and value in allowed:
        return str(value)
    near = difflib.get_close_matches(value.lower(), allowed, 1) if isinstance(value, str) else []
    listed = ", ".join(f'"{word}"' for word in allowed)
    raise place.refused(value, listed, f'did you mean "{near[0]}"?' if near else "")


def _decoder(place: Place, value: Any) -> str:
    return _word(place, value, DECODERS)


def _size(place: Place, value: Any) -> tuple[int, int]:
    allowed = f"[height, width], two whole numbers from 1 to {MAX_SIDE}"
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise place.refused(value, allowed)
    for side in value:
        if isinstance(side, bool) or not isinstance(side, int) or not 1 <= side <= MAX_SIDE:
            raise place.refused(value, allowed)
    return (value[0], value[1])


def _numbers(place: Place, value: Any) -> tuple[float, ...]:
    allowed = "one number, or one a channel, each from -1e6 to 1e6"
    if isinstance(value, (int, float)):
        value = [value]
    if not isinstance(value, (list, tuple)) or len(value) > 3:
        raise place.refused(value, allowed)
    for number in value:
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) <= 1e6:
            raise place.refused(value, allowed)
    return tuple(float(number) for number in value)


def _std(place: Place, value: Any) -> tuple[float, ...]:
    numbers = _numbers(place, value)
    if any(number < 1.0 or not math.isfinite(number) for number in numbers):
        raise place.refused(value, "numbers of at least 1, on the 0..255 scale", _SCALE_HINT)
    return numbers


INPUT_FIELDS: Mapping[str, FieldReader] = {
    "size": _size,
    "layout": _one_of(Layout),
    "color": _one_of(Color),
    "mean": _numbers,
    "std": _std,
    "resize": _one_of(Resize),
    "resize_size": _whole(1, MAX_SIDE),
    "interpolation": _one_of(Interpolation),
    "pad": _whole(0, 255),
}
OUTPUT_FIELDS: Mapping[str, FieldReader] = {"decoder": _decoder, "first_class": _whole(0, 1)}
