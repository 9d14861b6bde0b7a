"""The ready recipes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright_contract.errors import EdgewrightError, ErrorCode


@dataclass(frozen=True)
class Level:
    """A ready recipe: its `steps` in order and the most metric `bound_points` (of 100) it may lose."""

    name: str
    steps: tuple[str, ...]
    bound_points: float
    summary: str


LEVELS: dict[str, Level] = {
    level.name: level
    for level in (
        Level("acc1", ("quantize",), 0.5, "INT8 without retraining; at most 0.5 points lost"),
        Level("fp16", ("fp16",), 0.5, "float16 weights: half the size; not faster on CPUs"),
    )
}


def level(name: str) -> Level:
    """The level called `name`. Raises LEVEL_UNKNOWN, listing those that exist."""
    if name not in LEVELS:
        raise EdgewrightError(
            ErrorCode.LEVEL_UNKNOWN,
            f"unknown level {name!r}; this version has {', '.join(LEVELS)}",
            f"choose one of {', '.join(LEVELS)}",
        )
    return LEVELS[name]
