"""`edgewright recipe`, and its page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgewright.cli.app import run
from edgewright.core.recipe import STEPS, parameters_of, parse_recipe

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


def test_list_shows_levels_and_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """Levels are recipes, and every step is listed."""
    assert run(["--json", "recipe", "list"]) == 0

    document = json.loads(capsys.readouterr().out)
    assert "acc1" in [item["recipe"] for item in document["recipes"]]
    assert [item["step"] for item in document["steps"]] == list(STEPS)


def test_show_prints_a_recipe_that_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `show` prints is a valid file."""
    assert run(["recipe", "show", "acc1"]) == 0
    file = tmp_path / "mine.toml"
    file.write_text(capsys.readouterr().out)

    assert run(["--json", "recipe", "check", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["valid"]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("mine.toml", "[[steps]]\nstep = 'prune'\nmac_ratio = 0.5", "recipe_invalid"),
        ("acc1.toml", "[[steps]]\nstep = 'fp16'", "name_invalid"),
        ("base.toml", "[[steps]]\nstep = 'fp16'", "name_invalid"),
        ("a b.toml", "[[steps]]\nstep = 'fp16'", "name_invalid"),
    ],
)
def test_check_refuses(name: str, text: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong contents and names that would hide a level exit with 2."""
    file = tmp_path / name
    file.write_text(text)

    assert run(["--json", "recipe", "check", str(file)]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code


def test_check_of_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is not there is said."""
    assert run(["--json", "recipe", "check", str(tmp_path / "no.toml")]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "file_not_found"


def test_the_page_has_every_parameter_and_a_valid_example() -> None:
    """docs/recipes.md lists each step's parameters with their meaning, and its example is a recipe."""
    text = PAGE.read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]

    assert parse_recipe(example, "small", "small.toml").step_names == ("prune", "distill", "quantize")
    for name, kind in STEPS.items():
        section = text.split(f"## `{name}`")[1].split("\n## ")[0]
        for parameter in parameters_of(kind):
            assert f"| `{parameter['name']}` |" in section
            assert parameter["text"] in section
