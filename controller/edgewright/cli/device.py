"""`edgewright device`: the boards."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli.details import show_device
from edgewright.cli.session import session_of
from edgewright_contract.errors import EXIT_FAILED

app = typer.Typer(help="Pair with, list and show devices.", no_args_is_help=True, rich_markup_mode=None)

ADD_HELP = """Pair with an agent. `edgewright-agent serve` prints the one-time code when it starts for the first time;
`edgewright-agent pair` prints a new one. The code proves each side to the other, and both pin the other's certificate.

\b
Examples:
  edgewright device add bench1 192.168.1.20:50551 --code ABCD-EFGH-...
  edgewright device add local 127.0.0.1:50551 --insecure      (plain text, loopback only)
"""


@app.command("add", help=ADD_HELP)
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the device.")],
    address: Annotated[str, typer.Argument(help="HOST:PORT of its agent.")],
    code: Annotated[str | None, typer.Option(help="The agent's one-time pairing code.")] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Plain text; only for an agent on loopback started the same way."),
    ] = False,
) -> None:
    session = session_of(context)
    document = session.controller().devices.add(name, address, code, insecure)
    session.terminal.document(document)
    show_device(session.terminal, document)


@app.command("list")
def list_devices(context: typer.Context) -> None:
    """List the devices and whether they answer."""
    session = session_of(context)
    documents = session.controller().devices.list()
    session.terminal.document({"devices": documents})
    if not documents:
        session.terminal.line("No devices yet: edgewright device add NAME HOST:PORT --code CODE")
        return
    rows = [
        [
            d["name"],
            d["address"],
            "online" if d["online"] else "offline",
            d["target"],
            ", ".join(d["tags"]),
            ", ".join(d["runtimes"]),
        ]
        for d in documents
    ]
    session.terminal.table(["device", "address", "state", "target", "tags", "runtimes"], rows)


@app.command("show")
def show(context: typer.Context, name: Annotated[str, typer.Argument(help="Name of the device.")]) -> None:
    """Show a device: facts, sensors, slots."""
    session = session_of(context)
    document = session.controller().devices.show(name)
    session.terminal.document(document)
    show_device(session.terminal, document)


TAG_HELP = """Tag a device, so that commands on many devices can name them together as tag:NAME.

\b
Examples:
  edgewright device tag bench1 rk3399 lab
  edgewright device tag bench1 lab --remove
  edgewright push lite0@acc1 --device tag:rk3399
"""


@app.command("tag", help=TAG_HELP)
def tag(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the device.")],
    tags: Annotated[list[str], typer.Argument(help="Tags.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tags off instead.")] = False,
) -> None:
    session = session_of(context)
    document = session.controller().devices.tag(name, tags, remove=remove)
    session.terminal.document(document)
    session.terminal.line(f"{document['name']}: {', '.join(document['tags']) or 'no tags'}")


DOCTOR_HELP = """Find out why a device does not do what it should, step by step: its name, port, TLS, certificate,
pairing, version, clock, disk, runtimes and sensors. Each finding says what to do. Exit status 1: one has failed.

\b
Example:
  edgewright device doctor bench1
"""


@app.command("doctor", help=DOCTOR_HELP)
def doctor(context: typer.Context, name: Annotated[str, typer.Argument(help="Name of the device.")]) -> None:
    session = session_of(context)
    document = session.controller().device_doctor.examine(name)
    session.terminal.document(document)
    rows = [[finding["state"], finding["check"], finding["text"]] for finding in document["findings"]]
    session.terminal.table(["state", "check", "finding"], rows)
    for finding in document["findings"]:
        if finding["hint"]:
            session.terminal.line(f"  {finding['check']}: {finding['hint']}")
    if not document["healthy"]:
        raise typer.Exit(EXIT_FAILED)


@app.command("remove")
def remove(context: typer.Context, name: Annotated[str, typer.Argument(help="Name of the device.")]) -> None:
    """Forget a device; where it answers, this controller's access there is revoked too."""
    session = session_of(context)
    revoked = session.controller().devices.remove(name)
    session.terminal.document({"removed": name, "revoked": revoked})
    tail = "its agent no longer trusts this controller" if revoked else "its agent could not be told"
    session.terminal.line(f"Removed device {name}; {tail}.")
