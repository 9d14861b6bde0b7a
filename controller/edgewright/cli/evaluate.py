"""`edgewright eval`: the task's metric, from outputs computed on a device."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli.session import session_of
from edgewright.cli.tables import show_evaluations
from edgewright_contract.errors import EdgewrightError, ErrorCode

HELP = """Measure accuracy on a device: images are preprocessed here and sent once, the agent runs the network, the
metric is computed from the agent's own outputs. The drop against MODEL@base is paired, with its interval.

\b
Examples:
  edgewright eval lite0@base lite0@acc1 --device bench1
  edgewright eval lite0@base lite0@acc1 --device tag:rk3399
  edgewright eval lite0@acc1 --host
"""


def evaluate(
    context: typer.Context,
    variants: Annotated[list[str], typer.Argument(help="MODEL@NAME ...")],
    device: Annotated[
        list[str] | None, typer.Option(help="Device, tag:NAME or all; may be given more than once.")
    ] = None,
    host: Annotated[bool, typer.Option("--host", help="Run on this machine instead, without an agent.")] = False,
    dataset: Annotated[
        str | None,
        typer.Option(help="Evaluate on all images of this data set. [default: the model's evaluation part]"),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use at most so many images.")] = None,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of the runtime.")] = 1,
) -> None:
    session = session_of(context)
    if host == bool(device):
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID, "give either --device NAME or --host", "see `edgewright eval --help`"
        )
    with session.terminal.progress() as progress:
        results = session.controller().evaluations.evaluate(
            tuple(variants), tuple(device or ()), dataset, limit, threads, progress
        )
    session.terminal.document({"results": results})
    show_evaluations(session.terminal, results)
