"""`edgewright compress`: makes variants of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.details import show_variant, show_variants
from edgewright.cli.session import session_of
from edgewright_contract.errors import EXIT_GOAL_MISSED

HELP = """Make variants of a model: one a level, from a recipe, or of a given size. A level is a goal and a bound on the
loss, and the bound wins.

\b
Levels:
  acc1   INT8 after training, at most 0.5 points lost; layers that hurt stay float
  acc2   pruned towards 30 % fewer multiply-accumulates, repaired, INT8; at most 1 point
  acc3   pruned towards half of them, repaired, INT8 with retraining; at most 3 points
  fp16   half-size weights; no faster on CPUs
The variant is named MODEL@LEVEL, or after the recipe's file; MODEL@base is the unmodified network. Long work is
saved as it goes: the same command goes on where it was interrupted.

\b
Examples:
  edgewright compress lite0 --level acc1
  edgewright compress lite0 --level acc2 --training photos --budget 30
  edgewright compress lite0 --level acc1 --level fp16 --device bench1
  edgewright compress lite0 --size-ratio 0.5
  edgewright compress lite0 --recipe small.toml
"""


def compress(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    level: Annotated[
        list[str] | None,
        typer.Option(help="Level; may be given more than once. [default: acc1, where nothing else is asked]"),
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="Recipe file (see `edgewright recipe`).")] = None,
    size_ratio: Annotated[
        float | None, typer.Option(min=0.05, max=1.0, help="Prune to this share of the file's bytes, within 0.5 %.")
    ] = None,
    macs_ratio: Annotated[
        float | None, typer.Option(min=0.05, max=1.0, help="Prune to this share of the multiply-accumulates.")
    ] = None,
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
    training: Annotated[
        str | None,
        typer.Option(help="Data set to train with, labels or not. [default: the model's own calibration part]"),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(min=0.1, help="Minutes that pruning and training may take. [default: 30]")
    ] = None,
) -> None:
    session = session_of(context)
    asked = level or ([] if recipe or size_ratio or macs_ratio else ["acc1"])
    with session.terminal.progress() as progress:
        variants = session.controller().compression.compress(
            model,
            asked,
            target,
            device,
            max_drop,
            calibration,
            progress,
            recipe_file=recipe,
            size_ratio=size_ratio,
            macs_ratio=macs_ratio,
            training=training,
            budget_minutes=budget,
        )
    session.terminal.document({"variants": variants})
    if len(variants) == 1:
        show_variant(session.terminal, variants[0])
    else:
        show_variants(session.terminal, variants)
    if any(not goal["met"] for variant in variants for goal in variant["goals"]):
        raise typer.Exit(EXIT_GOAL_MISSED)
