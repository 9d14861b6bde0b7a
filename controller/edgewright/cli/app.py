"""The `edgewright` command: global options, registration of commands, errors to exit statuses."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from edgewright.cli import (
    bench,
    compress,
    dataset,
    device,
    doctor,
    evaluate,
    model,
    push,
    quickstart,
    recipe,
    report,
    result,
    rollback,
    variant,
)
from edgewright.cli.terminal import Terminal
from edgewright_contract.errors import EXIT_CANCELLED, EXIT_DONE, EXIT_USAGE, EdgewrightError, ErrorCode

HELP = """Makes neural networks small and fast for edge boards, and proves it on the boards themselves.

Start with `edgewright quickstart`: the whole job on this machine with a built-in example."""

app = typer.Typer(
    name="edgewright",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

app.command("quickstart", help=quickstart.HELP)(quickstart.quickstart)
app.add_typer(dataset.app, name="dataset")
app.add_typer(model.app, name="model")
app.command("compress", help=compress.HELP)(compress.compress)
app.add_typer(recipe.app, name="recipe")
app.add_typer(variant.app, name="variant")
app.add_typer(device.app, name="device")
app.command("push", help=push.HELP)(push.push)
app.command("rollback", help=rollback.HELP)(rollback.rollback)
app.command("bench", help=bench.HELP)(bench.bench)
app.command("eval", help=evaluate.HELP)(evaluate.evaluate)
app.add_typer(result.app, name="result")
app.command("report", help=report.HELP)(report.report)
app.command("doctor", help=doctor.HELP)(doctor.doctor)


def _show_version(value: bool) -> None:
    if value:
        from edgewright import __version__

        typer.echo(f"edgewright {__version__}")
        raise typer.Exit


@app.callback()
def options(
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            envvar="EDGEWRIGHT_HOME",
            help="Folder that holds everything: database, artifacts, keys. [default: ~/.edgewright]",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Global options; they may stand before or after the command."""
    # main() has read them already, since they also decide how errors are shown.


def global_options(arguments: list[str]) -> tuple[Path, bool, list[str]]:
    """Splits `--home` and `--json` off the command line, wherever they stand before a `--`.

    Returns (home, as_json, the other arguments).
    """
    rest: list[str] = []
    home = os.environ.get("EDGEWRIGHT_HOME") or "~/.edgewright"
    as_json = False
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word == "--":
            rest += arguments[position:]
            break
        if word == "--json":
            as_json = True
        elif word == "--home" and position + 1 < len(arguments):
            position += 1
            home = arguments[position]
        elif word.startswith("--home="):
            home = word.partition("=")[2]
        else:
            rest.append(word)
        position += 1
    return Path(home).expanduser(), as_json, rest


def _terminated(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def run(arguments: list[str]) -> int:
    """Runs one command line and returns its exit status; nothing but a defect leaves as an exception."""
    from edgewright.cli.session import Session

    home, as_json, rest = global_options(arguments)
    terminal = Terminal(as_json)
    session = Session(home, terminal)
    try:
        status = app(args=rest, prog_name="edgewright", standalone_mode=False, obj=session)
        if status == EXIT_CANCELLED:  # typer turns Ctrl-C into this
            return _cancelled(terminal)
        return status if isinstance(status, int) else EXIT_DONE
    except EdgewrightError as failure:
        terminal.error(failure)
        return failure.exit_status
    except TyperException as failure:
        terminal.error(
            EdgewrightError(ErrorCode.USAGE, failure.format_message(), f"see `{_help_command(failure)} --help`")
        )
        return EXIT_USAGE
    except (KeyboardInterrupt, typer.Abort):
        return _cancelled(terminal)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing more to say, and no traceback at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except Exception:  # noqa: BLE001 - a defect of ours: a person gets one line, the traceback goes to a file
        defect = _defect(home)
        terminal.error(defect)
        return defect.exit_status
    finally:
        session.close()


def _cancelled(terminal: Terminal) -> int:
    terminal.error(EdgewrightError(ErrorCode.CANCELLED, "cancelled; nothing was left half done"))
    return EXIT_CANCELLED


def _defect(home: Path) -> EdgewrightError:
    """Keeps the traceback of a defect and says where."""
    import tempfile
    import traceback

    text = traceback.format_exc()
    folder = home if home.is_dir() else Path(tempfile.gettempdir())
    log = folder / "last-crash.log"
    try:
        log.write_text(text)
        hint = f"please report it with {log}"
    except OSError:
        hint = f"please report it: {text.splitlines()[-1]}"
    return EdgewrightError(ErrorCode.INTERNAL, f"a defect in edgewright: {text.strip().splitlines()[-1]}", hint)


def _help_command(failure: TyperException) -> str:
    context = getattr(failure, "ctx", None)
    return str(context.command_path) if context is not None else "edgewright"


def main() -> None:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(run(sys.argv[1:]))
