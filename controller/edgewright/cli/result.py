"""`edgewright result`: stored benchmark results and the evidence behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgewright.cli.session import session_of
from edgewright.cli.tables import show_benchmarks, show_result_comparison, show_result_list
from edgewright.core.formatting import size

HELP = """List, compare, export and verify results of benchmarks.

\b
Examples:
  edgewright result list --model lite0 --device bench1
  edgewright result compare 3 7
  edgewright result export 7 lite0.ewr
  edgewright result verify lite0.ewr
"""

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
Number = Annotated[int, typer.Argument(min=1, help="The result's number, from `edgewright result list`.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that exists.")]


@app.command("list")
def list_results(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Only this model's results.")] = None,
    device: Annotated[str | None, typer.Option(help="Only results from this device.")] = None,
    variant: Annotated[str | None, typer.Option(help="Only this variant's: MODEL@NAME.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the list to this CSV file, times in ns.")] = None,
    force: Force = False,
) -> None:
    """List results, newest first.

    \b
    Examples:
      edgewright result list
      edgewright result list --variant lite0@acc1 --csv lite0.csv
    """
    session = session_of(context)
    service = session.controller().results
    documents = service.list(model, device, variant)
    answer: dict[str, Any] = {"results": documents}
    if csv is not None:
        service.export_table(documents, csv, force)
        answer["file"] = str(csv)
    session.terminal.document(answer)
    if documents:
        show_result_list(session.terminal, documents)
    else:
        session.terminal.line("No results: edgewright bench MODEL@base MODEL@acc1 --device NAME makes some.")
    if csv is not None:
        session.terminal.line(f"Wrote {csv}.")


@app.command()
def show(context: typer.Context, result: Number) -> None:
    """Show a result with everything it rests on.

    \b
    Examples:
      edgewright result show 7
      edgewright result show 7 --json
    """
    session = session_of(context)
    document = session.controller().results.show(result)
    terminal = session.terminal
    terminal.document(document)
    show_benchmarks(terminal, [document])
    asked, plan = document["asked"], document["plan"]
    terminal.line(f"measured     {document['created']}, run {document['run_id']}")
    terminal.line(
        f"asked        p{asked['percentile']:g} within {asked['precision_percent']:g} % at"
        f" {asked['confidence']:.0%} confidence, {plan['processes']} processes, seed {plan['seed']}"
    )
    terminal.line(f"baseline     {document['baseline'] or 'none in this run'}")
    terminal.line(f"runtime      {document['runtime_version']} on {document['accelerator']}")
    terminal.line(f"CPUs         {', '.join(map(str, document['cpus'])) or 'unknown'}")
    terminal.line(f"file run     sha256 {document['artifact_sha256']}")
    terminal.line(f"raw data     sha256 {document['evidence_sha256']}")
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    terminal.line(f"controller   {versions or 'not recorded'}")


@app.command()
def compare(
    context: typer.Context,
    first: Annotated[int, typer.Argument(min=1, help="Number of the result to compare with.")],
    second: Annotated[int, typer.Argument(min=1, help="Number of the result in question.")],
) -> None:
    """Say how much faster the second result is, with an interval; "no significant difference" is an answer.

    \b
    Examples:
      edgewright result compare 3 7
    """
    session = session_of(context)
    document = session.controller().results.compare(first, second)
    session.terminal.document(document)
    show_result_comparison(session.terminal, document)


@app.command()
def export(
    context: typer.Context,
    result: Number,
    file: Annotated[Path, typer.Argument(help="FILE.ewr: all evidence, signed; FILE.csv: raw samples.")],
    force: Force = False,
) -> None:
    """Write the run of a result to one file: evidence that others can verify, or its raw samples.

    \b
    Examples:
      edgewright result export 7 lite0.ewr
      edgewright result export 7 samples.csv
    """
    session = session_of(context)
    document = session.controller().results.export(result, file, force)
    terminal = session.terminal
    terminal.document(document)
    terminal.line(f"Wrote {document['file']} ({size(document['size_bytes'])}).")
    if "signed_by" in document:
        terminal.line(f"Signed by this controller, {document['signed_by']}.")
        for text in document["not_signed"]:
            terminal.line(f"Not signed by {text}.")
        if document["migrated"]:
            terminal.line("An older result: its figures were computed anew from its samples, by today's rules.")


@app.command()
def verify(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A result file, FILE.ewr.")],
    signer: Annotated[str | None, typer.Option(help="Fingerprint that must have signed it, 8 or more digits.")] = None,
) -> None:
    """Check a result file offline: its bytes, its signature, and every figure anew from the raw samples.

    \b
    Examples:
      edgewright result verify lite0.ewr
      edgewright result verify lite0.ewr --signer 3fa85b21
    """
    from edgewright.services.result_files import verify_result_file

    session = session_of(context)
    document = verify_result_file(file, session.home, signer)
    terminal = session.terminal
    terminal.document(document)
    terminal.line(f"{file}: intact, and every figure follows from its {document['samples']} samples.")
    for item in document["results"]:
        terminal.line(f"  result {item['id']}: {item['variant']} on {document['device']}, {item['verdict']}")
    for item in document["signed_by"]:
        whose = "this controller" if item["this_controller"] else f"a {item['role']} unknown to this home folder"
        terminal.line(f"Signed by {whose}, {item['fingerprint']}.")
    for text in document["not_signed"]:
        terminal.line(f"Not signed by {text}.")
    for text in document["taken_as_recorded"]:
        terminal.line(f"Taken as recorded, {text}.")
