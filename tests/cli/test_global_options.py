"""`--home` and `--json` may stand anywhere before a `--`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.cli.app import global_options

WORDS = st.lists(st.text(alphabet="abc-@.", min_size=1, max_size=6).filter(lambda word: word != "--"), max_size=6)


@given(WORDS, st.integers(0, 6))
def test_json_is_taken_from_any_place(words: list[str], place: int) -> None:
    """Wherever `--json` stands, it is taken out and the other words keep their order."""
    place = min(place, len(words))

    _, as_json, rest = global_options([*words[:place], "--json", *words[place:]])

    assert as_json
    assert rest == words


@pytest.mark.parametrize("arguments", [["--home", "x", "model"], ["model", "--home=x"], ["model", "--home", "x"]])
def test_home_is_taken_in_both_spellings(arguments: list[str]) -> None:
    """`--home DIR` and `--home=DIR` mean the same, before and after the command."""
    home, as_json, rest = global_options(arguments)

    assert (home, as_json, rest) == (Path("x"), False, ["model"])


def test_nothing_is_taken_after_two_dashes() -> None:
    """What follows `--` belongs to the command."""
    assert global_options(["model", "--", "--json"])[1:] == (False, ["model", "--", "--json"])


def test_environment_names_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """EDGEWRIGHT_HOME is the default, `--home` is stronger."""
    monkeypatch.setenv("EDGEWRIGHT_HOME", "from-environment")

    assert global_options(["x"])[0] == Path("from-environment")
    assert global_options(["--home", "given", "x"])[0] == Path("given")
