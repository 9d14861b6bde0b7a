"""The levels: ready recipes, each a goal and a bound. Pure."""

from __future__ import annotations

from edgewright.core.recipe import Fp16, Quantize, Recipe
from edgewright_contract.errors import EdgewrightError, ErrorCode

LEVELS: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("acc1", (Quantize(),), 0.5, "INT8 without retraining; at most 0.5 points lost"),
        Recipe("fp16", (Fp16(),), 0.5, "float16 weights: half the size; not faster on CPUs"),
    )
}


def level(name: str) -> Recipe:
    """The level called `name`. Raises LEVEL_UNKNOWN, listing those that exist."""
    if name not in LEVELS:
        raise EdgewrightError(
            ErrorCode.LEVEL_UNKNOWN,
            f"unknown level {name!r}; this version has {', '.join(LEVELS)}",
            f"choose one of {', '.join(LEVELS)}",
        )
    return LEVELS[name]
