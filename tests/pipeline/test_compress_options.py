"""`edgewright compress`: options that contradict one another, and work that was killed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgewright import example
from edgewright.core.levels import LEVELS
from edgewright.core.recipe import Prune
from edgewright.services.recipes import chosen_recipes
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.e2e.program import Program


def test_levels_keep_their_order_and_come_once() -> None:
    """Levels are recipes by name; `--max-drop` replaces their bounds."""
    recipes = chosen_recipes(["acc2", "acc1", "acc2"], None, None, None, 0.7)

    assert [recipe.name for recipe in recipes] == ["acc2", "acc1"]
    assert {recipe.max_drop for recipe in recipes} == {0.7}


def test_a_ratio_alone_is_a_recipe_of_its_own() -> None:
    """Named after what was asked, pruned and distilled, in float, bounded only by --max-drop."""
    (recipe,) = chosen_recipes([], None, 0.5, None, None)

    assert recipe.name == "size0.5"
    assert recipe.step_names == ("prune", "distill")
    assert recipe.max_drop == 100.0
    assert chosen_recipes([], None, None, 0.25, 2.0)[0].max_drop == 2.0


def test_a_ratio_with_a_level_replaces_its_aim() -> None:
    """The rest of the level stays."""
    (recipe,) = chosen_recipes(["acc3"], None, None, 0.4, None)

    assert recipe.max_drop == LEVELS["acc3"].max_drop
    assert next(step for step in recipe.steps if isinstance(step, Prune)).macs_ratio == 0.4


@pytest.mark.parametrize(
    ("levels", "file", "size", "macs", "words"),
    [
        ([], None, 0.5, 0.5, "exclude one another"),
        ([], "r.toml", 0.5, None, "exclude one another"),
        (["acc1"], None, None, 0.5, "does not prune"),
        (["acc3"], None, 0.5, None, "number format"),
    ],
)
def test_contradictions_are_refused(
    levels: list[str], file: str | None, size: float | None, macs: float | None, words: str
) -> None:
    """The message names both options, the hint the way out."""
    with pytest.raises(EdgewrightError) as caught:
        chosen_recipes(levels, None if file is None else Path(file), size, macs, None)
    assert caught.value.code is ErrorCode.OPTION_INVALID
    assert words in caught.value.message
    assert caught.value.hint


@pytest.mark.slow
def test_a_killed_compression_goes_on(tmp_path: Path) -> None:
    """kill -9 in the second round; the same command takes the first round from disk and ends well, and the work
    folder is gone.
    """
    program = Program(tmp_path / "home")
    files = example.files()
    program.json("dataset", "add", "d", str(files.dataset))
    program.json("model", "add", "net", str(files.model), "--spec", files.spec_name, "--dataset", "d")
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        "max_drop = 50.0\n[[steps]]\nstep = 'prune'\nmacs_ratio = 0.7\nround_share = 0.12\nsensitivity = false\n"
        "repair_steps = 5\n[[steps]]\nstep = 'distill'\nsteps = 5\nrate = 1e-4\n"
    )
    command = ("compress", "net", "--recipe", str(recipe), "--budget", "20")
    process = subprocess.Popen(program.command(*command), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "pruning round 2" in line:
            break
    process.kill()
    process.wait()
    process.stderr.close()

    done = program.run("--json", *command)

    assert "pruning round 1" not in done.stderr
    (variant,) = done.json()["variants"]
    assert variant["variant"] == "net@small"
    assert [goal["met"] for goal in variant["goals"]] == [True, True]
    assert done.status == 0
    assert not list((program.home / "work").iterdir())
