"""Use case: recipes, built in and from files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewright.core.levels import LEVELS, level, pruning_recipe
from edgewright.core.names import BASE_VARIANT, check_name
from edgewright.core.recipe import (
    STEPS,
    Fp16,
    Prune,
    Quantize,
    Recipe,
    parameters_of,
    parse_recipe,
    recipe_to_dict,
    recipe_to_toml,
)
from edgewright_contract.errors import EdgewrightError, ErrorCode


def read_recipe(file: Path) -> Recipe:
    """The recipe in a TOML file, named after it. Raises FILE_NOT_FOUND, NAME_INVALID, RECIPE_INVALID."""
    file = file.expanduser()
    if not file.is_file():
        raise EdgewrightError(ErrorCode.FILE_NOT_FOUND, f"there is no recipe file {file}", "check the path")
    name = check_name(file.stem, "variant; it is named after the recipe's file")
    if name == BASE_VARIANT or name in LEVELS:
        raise EdgewrightError(
            ErrorCode.NAME_INVALID,
            f"a recipe cannot be named {name!r}: that is a level",
            "give the file another name",
        )
    return parse_recipe(file.read_text(encoding="utf-8", errors="replace"), name, file.name)


def find_recipe(text: str) -> Recipe:
    """A level by its name, or a recipe file."""
    return LEVELS[text] if text in LEVELS else read_recipe(Path(text))


def recipe_document(recipe: Recipe) -> dict[str, Any]:
    """A recipe as `--json` shows it: every parameter written out."""
    return {"recipe": recipe.name, **recipe_to_dict(recipe)}


def recipe_text(recipe: Recipe) -> str:
    """A recipe as a file that makes the same."""
    return recipe_to_toml(recipe)


def list_recipes() -> list[dict[str, Any]]:
    """The built-in recipes."""
    return [recipe_document(recipe) for recipe in LEVELS.values()]


def list_steps() -> list[dict[str, Any]]:
    """All steps with their parameters, defaults and limits."""
    return [
        {
            "step": name,
            "summary": " ".join((kind.__doc__ or "").split()),
            "parameters": parameters_of(kind),
        }
        for name, kind in STEPS.items()
    ]


def chosen_recipes(
    levels: list[str],
    file: Path | None,
    size_ratio: float | None,
    macs_ratio: float | None,
    max_drop: float | None,
) -> list[Recipe]:
    """What the options of `compress` ask for: levels, a recipe file, a ratio, or a level with another ratio.

    Raises OPTION_INVALID for options that contradict one another, and as `level` and `read_recipe`.
    """
    if size_ratio is not None and macs_ratio is not None:
        raise _contradiction("--size-ratio and --macs-ratio exclude one another", "give only one of them")
    if file is not None and (size_ratio is not None or macs_ratio is not None):
        raise _contradiction(
            "--recipe and a ratio exclude one another", "write size_ratio or macs_ratio into the recipe's prune step"
        )
    recipes = [level(name) for name in dict.fromkeys(levels)]
    if file is not None:
        recipes.append(read_recipe(file))
    if size_ratio is not None or macs_ratio is not None:
        recipes = (
            [_with_ratio(recipe, size_ratio, macs_ratio) for recipe in recipes]
            if recipes
            else [pruning_recipe(size_ratio, macs_ratio, max_drop)]
        )
    return [recipe if max_drop is None else replace(recipe, max_drop=max_drop) for recipe in recipes]


def _with_ratio(recipe: Recipe, size_ratio: float | None, macs_ratio: float | None) -> Recipe:
    """A level with another goal of its pruning."""
    if not recipe.has(Prune):
        raise _contradiction(
            f"level {recipe.name} does not prune, so it has no ratio", "use acc2 or acc3, or the ratio alone"
        )
    if size_ratio is not None and (recipe.has(Quantize) or recipe.has(Fp16)):
        raise _contradiction(
            f"--size-ratio is for float files, and {recipe.name} changes their number format",
            "give --size-ratio alone, or --macs-ratio with the level",
        )
    steps = tuple(
        replace(step, size_ratio=size_ratio, macs_ratio=macs_ratio, parameters_ratio=None)
        if isinstance(step, Prune)
        else step
        for step in recipe.steps
    )
    return replace(recipe, steps=steps)


def _contradiction(message: str, hint: str) -> EdgewrightError:
    return EdgewrightError(ErrorCode.OPTION_INVALID, message, hint)
