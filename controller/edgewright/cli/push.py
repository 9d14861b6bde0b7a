"""`edgewright push`: moves a variant to devices and makes it active in a slot."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli.session import session_of
from edgewright.core.formatting import size
from edgewright_contract.errors import EXIT_FAILED

HELP = """Push a variant to devices: in chunks, resumed where a broken push stopped, verified by sha256, nothing sent
when the agent already has it. It is then loaded and run once on the device, and becomes active in the slot.

\b
Examples:
  edgewright push lite0@acc1 bench1
  edgewright push lite0@acc1 bench1 bench2 --slot camera
"""


def push(
    context: typer.Context,
    variant: Annotated[str, typer.Argument(help="MODEL@NAME")],
    devices: Annotated[list[str], typer.Argument(help="Names of devices.")],
    slot: Annotated[str, typer.Option(help="Name under which it becomes active.")] = "default",
) -> None:
    session = session_of(context)
    with session.terminal.progress() as progress:
        results = session.controller().delivery.push(variant, devices, slot, progress)
    session.terminal.document({"results": results})
    for result in results:
        if result["error"] is None:
            sent = size(result["sent_bytes"]) if result["sent_bytes"] else "nothing (already there)"
            session.terminal.line(
                f"{result['device']}: {result['variant']} is active in slot {result['slot']}; sent {sent};"
                f" sha256 {result['sha256'][:12]}"
            )
        else:
            session.terminal.warning(f"{result['device']}: {result['error']['message']}")
            if result["error"]["hint"]:
                session.terminal.info(f"  next: {result['error']['hint']}")
    if any(result["error"] is not None for result in results):
        raise typer.Exit(EXIT_FAILED)
