"""`edgewright model`: networks the user owns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.details import show_model
from edgewright.cli.session import session_of
from edgewright.core.formatting import count, size

app = typer.Typer(help="Import, list and remove models.", no_args_is_help=True, rich_markup_mode=None)

ADD_HELP = """Import a network under a name. Its form is recognised by content: ONNX (opset 9 up, external data
included) or a ready .tflite file. ONNX is simplified, and compared with the original by onnxruntime.

\b
The input spec is a TOML file or a ready name (imagenet, efficientnet_lite, cifar, ...; see docs/specs.md).

\b
Examples:
  edgewright model add lite0 tf_efficientnet_lite0.onnx --task classification --spec efficientnet_lite --dataset im
  edgewright model add mine net.onnx --task tensor
"""


@app.command("add", help=ADD_HELP)
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    file: Annotated[Path, typer.Argument(help="The network's file.")],
    task: Annotated[
        str | None,
        typer.Option(help="classification or tensor. [default: classification with a labelled data set]"),
    ] = None,
    spec: Annotated[str | None, typer.Option(help="Spec file (TOML) or ready name.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set used to compress and judge it.")] = None,
) -> None:
    session = session_of(context)
    with session.terminal.progress() as progress:
        document = session.controller().models.add(name, file, task, spec, dataset, progress)
    show_model(session.terminal, document)


@app.command("list")
def list_models(context: typer.Context) -> None:
    """List the models."""
    session = session_of(context)
    documents = session.controller().models.list()
    session.terminal.document({"models": documents})
    if not documents:
        session.terminal.line("No models yet: edgewright model add NAME FILE")
        return
    rows = [
        [
            d["model"],
            d["task"],
            d["framework"],
            size(d["size_bytes"]),
            count(d["parameters"]),
            count(d["macs"]),
            d["dataset"] or "-",
        ]
        for d in documents
    ]
    session.terminal.table(["model", "task", "from", ">size", ">parameters", ">MACs", "data set"], rows)


@app.command("show")
def show(context: typer.Context, name: Annotated[str, typer.Argument(help="Name of the model.")]) -> None:
    """Show what is known of a model."""
    session = session_of(context)
    show_model(session.terminal, session.controller().models.show(name))


@app.command("remove")
def remove(context: typer.Context, name: Annotated[str, typer.Argument(help="Name of the model.")]) -> None:
    """Remove a model with its variants and results."""
    session = session_of(context)
    session.controller().models.remove(name)
    session.terminal.document({"removed": name})
    session.terminal.line(f"Removed model {name} with its variants and results.")
