"""Recipe files: what is read, what is refused and how."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.recipe import (
    STEPS,
    Distill,
    Prune,
    Qat,
    Quantize,
    Recipe,
    parse_recipe,
    recipe_from_dict,
    recipe_to_dict,
    recipe_to_toml,
)
from edgewright_contract.errors import EdgewrightError, ErrorCode

WHOLE = """
summary = "small and fast"
max_drop = 2.5

[[steps]]
step = "prune"
macs_ratio = 0.6
importance = "l2"

[[steps]]
step = "quantize"
methods = ["mse", "kl"]
"""


def refusal(text: str) -> EdgewrightError:
    with pytest.raises(EdgewrightError) as caught:
        parse_recipe(text, "r", "r.toml")
    assert caught.value.code is ErrorCode.RECIPE_INVALID
    return caught.value


def test_a_recipe_is_read_with_its_defaults() -> None:
    """What is written is taken; what is left out has the documented default."""
    recipe = parse_recipe(WHOLE, "small", "small.toml")

    assert recipe == Recipe(
        "small", (Prune(macs_ratio=0.6, importance="l2"), Quantize(methods=("mse", "kl"))), 2.5, "small and fast"
    )
    assert recipe.steps[0] == dataclasses.replace(Prune(), macs_ratio=0.6, importance="l2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('max_dorp = 1\n[[steps]]\nstep = "fp16"', ("max_dorp", "did you mean max_drop?")),
        ('[[steps]]\nstep = "prun"\nmacs_ratio = 0.5', ("steps[0].step", "did you mean prune?")),
        ('[[steps]]\nstep = "prune"\nmac_ratio = 0.5', ("steps[0]", "did you mean macs_ratio?")),
        ('[[steps]]\nstep = "prune"\nmacs_ratio = 1.5', ("steps[0].macs_ratio", "0.05 to 1")),
        ('[[steps]]\nstep = "prune"\nmacs_ratio = true', ("steps[0].macs_ratio", "True")),
        ('[[steps]]\nstep = "prune"\nmacs_ratio = nan', ("steps[0].macs_ratio", "nan")),
        ('[[steps]]\nstep = "prune"', ("steps[0]", "none given")),
        ('[[steps]]\nstep = "prune"\nmacs_ratio = 0.5\nsize_ratio = 0.5', ("macs_ratio and size_ratio", "")),
        ('[[steps]]\nstep = "prune"\nmacs_ratio = 0.5\nimportance = "fischer"', ("importance", "did you mean fisher?")),
        ('[[steps]]\nstep = "fp16"\n[[steps]]\nstep = "fp16"\nsteps = 4', ("steps[1]", "unknown parameter of fp16")),
        ('[[steps]]\nstep = "distill"\nsteps = 1.5', ("steps[0].steps", "whole number")),
        ('[[steps]]\nstep = "quantize"\nmethods = []', ("steps[0].methods", "one or more")),
        ('[[steps]]\nstep = "quantize"\nmethods = ["kl", "mse2"]', ("steps[0].methods.1", "mse")),
        ('[[steps]]\nstep = "quantize"\nbias_correction = 1', ("steps[0].bias_correction", "true or false")),
        ("[[steps]]\nmacs_ratio = 0.5", ("steps[0].step", "missing")),
        ("steps = 3", ("steps", "one or more tables")),
        ("", ("steps", "one or more tables")),
        ("summary = 3", ("summary", "a text")),
        ("x = [", ("r.toml", "TOML")),
    ],
)
def test_wrong_recipes_are_refused_with_the_path(text: str, expected: tuple[str, str]) -> None:
    """The path to the key, and what was meant or is allowed."""
    error = refusal(text)

    for part in expected:
        assert part in f"{error.message} {error.hint}"


@pytest.mark.parametrize(
    "names",
    [("qat", "quantize"), ("quantize", "distill"), ("quantize", "fp16"), ("qat",), ("fp16", "simplify")],
)
def test_steps_in_an_impossible_order_are_refused(names: tuple[str, ...]) -> None:
    """Float work comes first, qat after quantize, one output form."""
    text = "\n".join(f'[[steps]]\nstep = "{name}"' for name in names)

    assert "steps are" in refusal(text).message


@pytest.mark.parametrize("kind", STEPS.values())
def test_every_parameter_is_documented(kind: type[Distill]) -> None:
    """Each has a meaning, and each number and word its limits."""
    for field in dataclasses.fields(kind):
        assert len(field.metadata["text"]) > 10
        assert field.metadata["read"] is not None or isinstance(field.default, bool)


@given(
    summary=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40),
    ratio=st.floats(0.05, 1.0),
    steps=st.integers(1, 10**6),
    keep=st.lists(st.text('abc/\\".é', min_size=1, max_size=5), max_size=3).map(tuple),
)
def test_a_written_recipe_reads_back_the_same(summary: str, ratio: float, steps: int, keep: tuple[str, ...]) -> None:
    """TOML and dictionary forms are inverse to their readers."""
    recipe = Recipe("r", (Prune(size_ratio=ratio, keep=keep), Distill(steps=steps), Quantize(), Qat()), 1.5, summary)

    assert parse_recipe(recipe_to_toml(recipe), "r", "r.toml") == recipe
    assert recipe_from_dict(recipe_to_dict(recipe), "r", "r") == recipe


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Any text is refused as a recipe, or is one with steps."""
    codes = []
    try:
        assert parse_recipe(text, "r", "r.toml").steps
    except EdgewrightError as error:
        codes.append(error.code)
    assert set(codes) <= {ErrorCode.RECIPE_INVALID}
