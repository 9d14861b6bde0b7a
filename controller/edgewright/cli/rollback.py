"""`edgewright rollback`: what a slot held before becomes active again."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli.fleet import chosen, exit_status, several, show_errors
from edgewright.cli.session import session_of

HELP = """Go back to what a slot held before: at once, without loading anything, and for good when the answer is there.
The file's hash is checked first. A second rollback goes forth again.

\b
Examples:
  edgewright rollback bench1
  edgewright rollback bench1 bench2 --slot camera
  edgewright rollback --device tag:rk3399
"""


def rollback(
    context: typer.Context,
    devices: Annotated[list[str] | None, typer.Argument(help="Names of devices, tag:NAME or all.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="The same as an option; may be given often.")] = None,
    slot: Annotated[str, typer.Option(help="Name of the slot.")] = "default",
) -> None:
    session = session_of(context)
    selectors = chosen(devices, device)
    with session.terminal.fleet(several(selectors)) as (progress, tell):
        results = session.controller().delivery.rollback(selectors, slot, progress, tell)
    session.terminal.document({"results": results})
    for result in results:
        if result["error"] is None:
            session.terminal.line(
                f"{result['device']}: {result['variant']} is active again in slot {slot}, instead of {result['left']};"
                f" sha256 {result['sha256'][:12]}"
            )
    show_errors(session.terminal, results)
    if status := exit_status(results):
        raise typer.Exit(status)
