"""`edgewright push`: moves a variant to devices and makes it active in a slot."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from edgewright.cli.fleet import chosen, exit_status, several, show_errors
from edgewright.cli.session import session_of
from edgewright.core.formatting import duration, percent, size

HELP = """Push a variant to devices: in chunks, resumed where a broken push stopped, verified by sha256, nothing sent
when the agent already has it. It is then loaded and run on the device, and becomes active in the slot.

With a goal, the device itself first compares its outputs with the baseline's and times it; where a goal is missed the
slot keeps what it had, and the exit status is 3. Several devices are served at once; those whose slot already runs the
file are left alone, so the same command again does only what failed.

\b
Examples:
  edgewright push lite0@acc1 bench1
  edgewright push lite0@acc1 bench1 bench2 --slot camera --max-latency 40 --max-drop 1
  edgewright push lite0@acc1 --device tag:rk3399
  edgewright push lite0@acc1 all --max-latency 40 --retry-failed
"""


def push(
    context: typer.Context,
    variant: Annotated[str, typer.Argument(help="MODEL@NAME")],
    devices: Annotated[list[str] | None, typer.Argument(help="Names of devices, tag:NAME or all.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="The same as an option; may be given often.")] = None,
    slot: Annotated[str, typer.Option(help="Name under which it becomes active.")] = "default",
    max_latency: Annotated[
        float | None, typer.Option(metavar="MS", help="Goal: nine of ten inferences take no longer, milliseconds.")
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(metavar="P", help="Goal: right answers lost against the baseline, percentage points, 200 images."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Leave alone what is active already, goals or not.")
    ] = False,
) -> None:
    session = session_of(context)
    from edgewright.services.goals import PushGoals

    selectors = chosen(devices, device)
    goals = PushGoals(max_latency, max_drop)
    with session.terminal.fleet(several(selectors)) as (progress, tell):
        results = session.controller().delivery.push(
            variant, selectors, slot, progress, goals, retry_failed=retry_failed, tell=tell
        )
    session.terminal.document({"results": results})
    for result in results:
        if result["error"] is None:
            session.terminal.line(f"{result['device']}: {_done(result)}")
    show_errors(session.terminal, results)
    if status := exit_status(results):
        raise typer.Exit(status)


def _done(result: dict[str, Any]) -> str:
    what = f"{result['variant']} is active in slot {result['slot']}"
    if result["unchanged"]:
        return f"{what}, as before"
    sent = size(result["sent_bytes"]) if result["sent_bytes"] else "nothing (already there)"
    text = f"{what}; sent {sent}; sha256 {result['sha256'][:12]}"
    checks = result["checks"]
    if checks is None:
        return text
    found = []
    if checks["latency_ns"] is not None:
        found.append(f"p90 {duration(checks['latency_ns']['p90'])} of {checks['samples']} inferences")
    if checks["drop"] is not None:
        found.append(f"drop {checks['drop']:+.2f} points, same answer on {percent(checks['agreement'])}")
    close = "equal to" if checks["sqnr_db"] is None else f"{checks['sqnr_db']:.1f} dB from"
    return f"{text}\n  checked there: {', '.join([*found, f'outputs {close} the baseline'])}"
