"""Use case: recipes, built in and from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.core.levels import LEVELS
from edgewright.core.names import BASE_VARIANT, check_name
from edgewright.core.recipe import STEPS, Recipe, parameters_of, parse_recipe, recipe_to_dict, recipe_to_toml
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
