"""`edgewright variant`: what compression made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.details import show_variant, show_variants
from edgewright.cli.session import session_of
from edgewright.core.formatting import size

app = typer.Typer(help="List, show, export and remove variants.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_variants(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="Only this model's variants.")] = None,
) -> None:
    """List variants with size, loss and fidelity."""
    session = session_of(context)
    documents = session.controller().variants.list(model)
    session.terminal.document({"variants": documents})
    if documents:
        show_variants(session.terminal, documents)
    else:
        session.terminal.line("No variants yet: edgewright model add NAME FILE, then edgewright compress NAME")


@app.command("show")
def show(
    context: typer.Context,
    variant: Annotated[str, typer.Argument(help="MODEL@NAME")],
    target: Annotated[str | None, typer.Option(help="Which target's, where there are several.")] = None,
) -> None:
    """Show a variant: what stayed float and why, what was asked and reached."""
    session = session_of(context)
    document = session.controller().variants.show(variant, target)
    session.terminal.document(document)
    show_variant(session.terminal, document)


@app.command("export")
def export(
    context: typer.Context,
    variant: Annotated[str, typer.Argument(help="MODEL@NAME")],
    file: Annotated[Path, typer.Argument(help="Where the file goes.")],
    target: Annotated[str | None, typer.Option(help="Which target's, where there are several.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Write a variant's file."""
    session = session_of(context)
    document = session.controller().variants.export(variant, file, target, force)
    session.terminal.document(document)
    session.terminal.line(f"Wrote {document['file']} ({document['format']}, {size(document['size_bytes'])}).")


@app.command("remove")
def remove(context: typer.Context, variant: Annotated[str, typer.Argument(help="MODEL@NAME")]) -> None:
    """Remove a variant, its files and its results."""
    session = session_of(context)
    session.controller().variants.remove(variant)
    session.terminal.document({"removed": variant})
    session.terminal.line(f"Removed variant {variant}.")
