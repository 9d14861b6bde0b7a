"""The levels: ready recipes, each a goal and a bound. Pure."""

from __future__ import annotations

from edgewright.core.recipe import Distill, Fp16, Prune, Qat, Quantize, Recipe
from edgewright_contract.errors import EdgewrightError, ErrorCode

LEVELS: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("acc1", (Quantize(),), 0.5, "INT8 without retraining; at most 0.5 points lost"),
        Recipe(
            "acc2",
            (Prune(macs_ratio=0.7, importance="surgeon"), Distill(), Quantize()),
            1.0,
            "pruned towards 30 % fewer multiply-accumulates, repaired, INT8; at most 1 point lost",
        ),
        Recipe(
            "acc3",
            (Prune(macs_ratio=0.5, importance="surgeon"), Distill(), Quantize(), Qat()),
            3.0,
            "pruned towards half the multiply-accumulates, repaired, INT8 with retraining; at most 3 points lost",
        ),
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


def pruning_recipe(size_ratio: float | None, macs_ratio: float | None, max_drop: float | None) -> Recipe:
    """The recipe behind `--size-ratio` and `--macs-ratio`: pruned to the goal and distilled, weights in float.

    Without `max_drop` nothing bounds the loss (100 points): the goal is what was asked for.
    """
    asked = f"size{size_ratio:g}" if size_ratio is not None else f"macs{macs_ratio:g}"
    return Recipe(
        asked,
        (Prune(size_ratio=size_ratio, macs_ratio=macs_ratio), Distill()),
        100.0 if max_drop is None else max_drop,
        "pruned to a given size or arithmetic, and repaired",
    )
