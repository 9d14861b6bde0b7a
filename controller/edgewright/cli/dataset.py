"""`edgewright dataset`: labelled or unlabelled images, registered by name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgewright.cli.session import session_of
from edgewright.cli.terminal import Terminal

app = typer.Typer(help="Register, list and remove data sets.", no_args_is_help=True, rich_markup_mode=None)

ADD_HELP = """Register images under a name. Every image is opened once; corrupt ones are named and skipped.

\b
Formats:
  imagefolder  one folder a class, or a zip of them
  csv          a file with the columns file, class_index (paths relative to the file)
  images       images without labels

\b
Examples:
  edgewright dataset add im imagenet_samples/labels.csv --format csv
  edgewright dataset add flowers flowers.zip
"""


@app.command("add", help=ADD_HELP)
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the data set.")],
    path: Annotated[Path, typer.Argument(help="Folder, zip or csv file.")],
    format: Annotated[
        str | None, typer.Option("--format", help="imagefolder, csv or images. [default: by content]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split in calibration, tuning and evaluation.")] = 0,
) -> None:
    session = session_of(context)
    with session.terminal.progress() as progress:
        document = session.controller().datasets.add(name, path, format, seed, progress)
    _show(session.terminal, document)


@app.command("list")
def list_datasets(context: typer.Context) -> None:
    """List the registered data sets."""
    session = session_of(context)
    documents = session.controller().datasets.list()
    session.terminal.document({"datasets": documents})
    if not documents:
        session.terminal.line("No data sets yet: edgewright dataset add NAME PATH")
        return
    rows = [
        [d["dataset"], d["format"], str(d["count"]), str(d["classes"] or "unlabelled"), d["path"]] for d in documents
    ]
    session.terminal.table(["data set", "format", ">images", ">classes", "path"], rows)


@app.command("show")
def show(context: typer.Context, name: Annotated[str, typer.Argument(help="Name of the data set.")]) -> None:
    """Show a data set: counts, split, skipped files."""
    session = session_of(context)
    _show(session.terminal, session.controller().datasets.show(name))


@app.command("remove")
def remove(context: typer.Context, name: Annotated[str, typer.Argument(help="Name of the data set.")]) -> None:
    """Forget a data set; the images stay where they are."""
    session = session_of(context)
    session.controller().datasets.remove(name)
    session.terminal.document({"removed": name})
    session.terminal.line(f"Forgot data set {name}; its images were not touched.")


def _show(terminal: Terminal, document: dict[str, Any]) -> None:
    terminal.document(document)
    for item in document["skipped"][:20]:
        terminal.warning(f"skipped {item['file']}: {item['reason']}")
    if len(document["skipped"]) > 20:
        terminal.warning(f"skipped {len(document['skipped'])} files in all; --json lists each")
    terminal.line(f"data set   {document['dataset']} ({document['format']})")
    terminal.line(f"images     {document['count']} usable, {len(document['skipped'])} skipped")
    terminal.line(f"classes    {document['classes'] or 'none (unlabelled)'}")
    parts = ", ".join(f"{part} {count}" for part, count in document["parts"].items())
    terminal.line(f"split      {parts} (seed {document['seed']}, no overlap)")
    terminal.line(f"identity   {document['identity']}")
    terminal.line(f"path       {document['path']}")
