"""`edgewright recipe`: the ready recipes and the check of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.session import session_of

app = typer.Typer(help="Look at recipes: named compression steps with their parameters.", no_args_is_help=True)


@app.command("list")
def list_all(context: typer.Context) -> None:
    """The built-in recipes, and all steps with their parameters."""
    from edgewright.services.recipes import list_recipes, list_steps

    terminal = session_of(context).terminal
    recipes, steps = list_recipes(), list_steps()
    terminal.document({"recipes": recipes, "steps": steps})
    rows = [
        [item["recipe"], ", ".join(step["step"] for step in item["steps"]), f"{item['max_drop']:g}", item["summary"]]
        for item in recipes
    ]
    terminal.table(["recipe", "steps", ">bound (points)", "what it does"], rows)
    for step in steps:
        terminal.line(f"{step['step']}: {step['summary']}")
        for parameter in step["parameters"]:
            default = "none" if parameter["default"] is None else parameter["default"]
            terminal.line(f"  {parameter['name']} = {default}: {parameter['text']} ({parameter['allowed']})")


@app.command()
def show(context: typer.Context, recipe: Annotated[str, typer.Argument(help="A level, or a recipe file.")]) -> None:
    """A recipe as a file with every parameter written out: a start for one's own."""
    from edgewright.services.recipes import find_recipe, recipe_document, recipe_text

    terminal = session_of(context).terminal
    found = find_recipe(recipe)
    terminal.document(recipe_document(found))
    terminal.line(recipe_text(found).rstrip())


@app.command()
def check(context: typer.Context, file: Annotated[Path, typer.Argument(help="Recipe file.")]) -> None:
    """Whether a recipe file can be used; a wrong key is named with the path to it."""
    from edgewright.services.recipes import read_recipe, recipe_document

    terminal = session_of(context).terminal
    recipe = read_recipe(file)
    terminal.document({**recipe_document(recipe), "valid": True})
    terminal.line(f"{file} is a valid recipe: {', '.join(recipe.step_names)}; at most {recipe.max_drop:g} points lost")
