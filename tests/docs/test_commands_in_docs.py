"""Every command that the documentation shows is one that the programs take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from edgewright.cli.app import app, global_options
from edgewright_agent.cli import _parser as build_parser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(edgewright(?:-agent)? [a-z][^`]*)`")
# Shown as a form, not as a command: alternatives, ellipses.
FORM = re.compile(r"\[|\.\.\.|\|")


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in BLOCK.findall(text) for line in block.splitlines()] + INLINE.findall(text)
        for line in lines:
            bare = line.split("  #")[0].strip()
            if re.match(r"edgewright(-agent)? ", bare) and not FORM.search(bare):
                found.append((page.name, bare))
    return sorted(set(found))


def parse(words: list[str]) -> None:
    """Takes a command line apart as the program would, without running it; raises where it would not."""
    _, _, rest = global_options(words[1:])
    command = typer.main.get_command(app)
    context = command.make_context("edgewright", rest or ["--help"])
    while rest := [*context._protected_args, *context.args]:
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
        if not hasattr(command, "resolve_command"):
            return


def test_the_documentation_shows_commands() -> None:
    """The search finds the daily job."""
    assert len(commands()) > 15


@pytest.mark.parametrize(("page", "line"), commands())
def test_command_is_accepted(page: str, line: str) -> None:
    """The command, its options and the number of its arguments are known to the program."""
    words = shlex.split(line)
    if words[0] == "edgewright-agent":
        build_parser().parse_args(words[1:])
        return
    try:
        parse(words)
    except typer.Exit as done:
        assert done.exit_code == 0, line
    except Exception as failure:  # noqa: BLE001 - whatever the parser says is the finding
        # In running text a command may stand without its arguments.
        if "Missing" not in str(failure):
            pytest.fail(f"{page}: {line}: {failure}")
