"""`edgewright bench`: latency measured on devices, variants interleaved."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli.session import session_of
from edgewright.cli.tables import show_benchmarks
from edgewright_contract.errors import EXIT_GOAL_MISSED

HELP = """Measure latency on a device. Variants of one run are interleaved in random short blocks over several fresh
processes; the speed-up over MODEL@base has a paired interval, and every figure a verdict with its reasons.

\b
Examples:
  edgewright bench lite0@base lite0@acc1 --device bench1
  edgewright bench lite0@base lite0@acc1 --device bench1 --percentile 90 --precision 2 --max-seconds 60
"""


def bench(
    context: typer.Context,
    variants: Annotated[list[str], typer.Argument(help="MODEL@NAME ...; push is done where needed.")],
    device: Annotated[list[str], typer.Option(help="Device, tag:NAME or all; may be given more than once.")],
    percentile: Annotated[float, typer.Option(min=1, max=99.9, help="Percentile to make precise.")] = 90,
    precision: Annotated[float, typer.Option(min=0.1, max=50, help="Aimed half-width of its interval, percent.")] = 3,
    max_seconds: Annotated[float, typer.Option(min=1, max=3600, help="Longest time of sampling, seconds.")] = 60,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of the runtime.")] = 1,
    runtime: Annotated[
        str | None, typer.Option(help="onnxruntime or tflite. [default: the one that runs the file's format]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order of blocks.")] = 0,
) -> None:
    session = session_of(context)
    from edgewright.services.benchmarks import BenchRequest

    request = BenchRequest(
        variants=tuple(variants),
        devices=tuple(device),
        percentile=percentile,
        precision_percent=precision,
        max_seconds=max_seconds,
        threads=threads,
        runtime=runtime,
        seed=seed,
    )
    with session.terminal.progress() as progress:
        results = session.controller().benchmarks.bench(request, progress)
    session.terminal.document({"results": results})
    show_benchmarks(session.terminal, results)
    if any(result["verdict"] == "invalid" for result in results):
        raise typer.Exit(EXIT_GOAL_MISSED)
