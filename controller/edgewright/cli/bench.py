"""`edgewright bench`: latency measured on devices, variants interleaved."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from edgewright.cli.session import session_of
from edgewright.cli.tables import show_benchmarks, show_regressions
from edgewright_contract.errors import EXIT_GOAL_MISSED, EdgewrightError, ErrorCode

HELP = """Measure latency on a device. Variants of one run are interleaved in random short blocks over several fresh
processes; the speed-up over MODEL@base has a paired interval, and every figure a verdict with its reasons.

\b
Examples:
  edgewright bench lite0@base lite0@acc1 --device bench1
  edgewright bench lite0@base lite0@acc1 --device bench1 --percentile 90 --precision 2 --max-seconds 60
  edgewright bench lite0@base lite0@acc1 --device bench1 --fail-if-slower 3%
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
    fail_if_slower: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="Exit with 3 where a variant is slower than its last stored result on the device by more than"
            " this, and significantly so.",
        ),
    ] = None,
) -> None:
    session = session_of(context)
    allowed = None if fail_if_slower is None else _percent(fail_if_slower)
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
    answer: dict[str, Any] = {"results": results}
    regressions: list[dict[str, Any]] = []
    if allowed is not None:
        service = session.controller().results
        regressions = [service.against_previous(result["id"], allowed) for result in results]
        answer["regressions"] = regressions
    session.terminal.document(answer)
    show_benchmarks(session.terminal, results)
    show_regressions(session.terminal, regressions)
    invalid = any(result["verdict"] == "invalid" for result in results)
    if invalid or any(item["slower"] for item in regressions):
        raise typer.Exit(EXIT_GOAL_MISSED)


def _percent(text: str) -> float:
    """ "3%" and "3" are 3."""
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1000:
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID,
            f"--fail-if-slower {text!r} is no percentage from 0 to 1000",
            "write for example --fail-if-slower 3%",
        )
    return value
