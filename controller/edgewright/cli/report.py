"""`edgewright report`: everything known of a model, as a table, JSON or one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.session import session_of
from edgewright.cli.tables import show_comparison, show_evaluations

HELP = """Everything measured of a model: latest benchmark and evaluation of each variant on each device.

\b
Examples:
  edgewright report lite0
  edgewright report lite0 --html report.html
"""


def report(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    html: Annotated[Path | None, typer.Option(help="Also write one self-contained HTML file.")] = None,
) -> None:
    session = session_of(context)
    controller = session.controller()
    document = controller.reports.document(model)
    if html is not None:
        controller.reports.write_html(document, html)
        document["report"] = str(html)
    session.terminal.document(document)
    if document["benchmarks"]:
        show_comparison(session.terminal, document)
    else:
        if document["evaluations"]:
            show_evaluations(session.terminal, document["evaluations"])
        session.terminal.line(f"No benchmark yet: edgewright bench {model}@base {model}@acc1 --device NAME")
    if html is not None:
        session.terminal.line(f"Report: {html}")
