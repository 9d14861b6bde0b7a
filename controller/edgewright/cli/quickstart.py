"""`edgewright quickstart`: the whole job on this machine with a built-in example."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.session import session_of
from edgewright.cli.tables import show_comparison

HELP = """The whole job on this machine with a built-in example network: starts an agent on loopback, pairs with it,
compresses, pushes, benchmarks and evaluates there, and writes an HTML report.

\b
Examples:
  edgewright quickstart
  edgewright --json quickstart --report report.html
"""


def quickstart(
    context: typer.Context,
    report: Annotated[
        Path | None,
        typer.Option(help="Where the HTML report goes. [default: quickstart-report.html in the home folder]"),
    ] = None,
    max_seconds: Annotated[
        float, typer.Option(min=1, max=600, help="Longest time of sampling in the benchmark, seconds.")
    ] = 30,
) -> None:
    session = session_of(context)
    terminal = session.terminal
    from edgewright.services.quickstart import run_quickstart

    with terminal.progress() as progress:
        document = run_quickstart(session.controller(), report, max_seconds, progress)
    terminal.document(document)
    show_comparison(terminal, document)
    terminal.line()
    terminal.line(f"Report: {document['report']}")
    terminal.line(f"Everything is in {session.home}; the same steps for your own network are in README.md.")
