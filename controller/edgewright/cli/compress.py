"""`edgewright compress`: makes variants of a model."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli.details import show_variant, show_variants
from edgewright.cli.session import session_of
from edgewright_contract.errors import EXIT_GOAL_MISSED

HELP = """Make variants of a model, one a level. A level is a goal and a bound on the loss, and the bound wins.

\b
Levels:
  acc1   INT8 after training, at most 0.5 points lost; layers that hurt stay float
  fp16   half-size weights; no faster on CPUs
The variant is named MODEL@LEVEL; MODEL@base is the unmodified network.

\b
Examples:
  edgewright compress lite0 --level acc1
  edgewright compress lite0 --level acc1 --level fp16 --device bench1
  edgewright compress lite0 --level acc1 --target x86-avx2 --max-drop 1.0
"""


def compress(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    level: Annotated[list[str] | None, typer.Option(help="Level; may be given more than once. [default: acc1]")] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Instruction set to compress for. [default: this machine's, or the device's]"),
    ] = None,
    device: Annotated[str | None, typer.Option(help="Take the target from this device.")] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Largest loss, points of the metric. [default: the level's]"),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(help="Data set to calibrate with. [default: the model's own calibration part]"),
    ] = None,
) -> None:
    session = session_of(context)
    with session.terminal.progress() as progress:
        variants = session.controller().compression.compress(
            model, level or ["acc1"], target, device, max_drop, calibration, progress
        )
    session.terminal.document({"variants": variants})
    if len(variants) == 1:
        show_variant(session.terminal, variants[0])
    else:
        show_variants(session.terminal, variants)
    if any(not goal["met"] for variant in variants for goal in variant["goals"]):
        raise typer.Exit(EXIT_GOAL_MISSED)
