"""`edgewright-agent`: one parser, one place where errors become text and exit statuses."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, Callable, NoReturn, Sequence

from edgewright_agent import __version__
from edgewright_contract.errors import EXIT_FAILED, EdgewrightError, ErrorCode

Command = Callable[[argparse.Namespace], int]

_EXAMPLES = """examples:
  edgewright-agent serve                                   listen on port 50551; prints a pairing code at first
  edgewright-agent serve --host 127.0.0.1 --port 0 --state DIR --port-file FILE
  edgewright-agent pair                                    a new code for the running agent
  edgewright-agent describe --json                         what this device is and can run
  edgewright-agent selftest                                run a tiny model in every runtime
  edgewright-agent controllers list
  edgewright-agent service install --dry-run               the hardened systemd unit, not installed
"""


class _Parser(argparse.ArgumentParser):
    """Wrong usage is an EdgewrightError like any other, so that --json holds for it too."""

    def error(self, message: str) -> NoReturn:
        raise EdgewrightError(ErrorCode.USAGE, message, f"`{self.prog} --help` shows what there is")


def _serve(options: argparse.Namespace) -> int:
    from edgewright_agent.commands import serve_command

    return serve_command(options)


def _pair(options: argparse.Namespace) -> int:
    from edgewright_agent.commands import pair_command

    return pair_command(options)


def _describe(options: argparse.Namespace) -> int:
    from edgewright_agent.commands import describe_command

    return describe_command(options)


def _selftest(options: argparse.Namespace) -> int:
    from edgewright_agent.selftest import selftest_command

    return selftest_command(options)


def _list_controllers(options: argparse.Namespace) -> int:
    from edgewright_agent.commands import list_controllers_command

    return list_controllers_command(options)


def _revoke_controller(options: argparse.Namespace) -> int:
    from edgewright_agent.commands import revoke_controller_command

    return revoke_controller_command(options)


def _install_service(options: argparse.Namespace) -> int:
    from edgewright_agent.service import install_command

    return install_command(options)


def _uninstall_service(options: argparse.Namespace) -> int:
    from edgewright_agent.service import uninstall_command

    return uninstall_command(options)


def _service_status(options: argparse.Namespace) -> int:
    from edgewright_agent.service import status_command

    return status_command(options)


def _parser() -> argparse.ArgumentParser:
    from edgewright_agent.pairing_window import DEFAULT_MINUTES
    from edgewright_agent.settings import DEFAULT_PORT, default_state_dir

    parser = _Parser(
        prog="edgewright-agent",
        description="Runs models on this device for a paired controller, and measures them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edgewright-agent {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")

    def add(
        group: Any,  # what add_subparsers returns; argparse has no public name for it
        name: str,
        help_text: str,
        run: Command,
        example: str,
        *,
        answers: bool = True,
        stateful: bool = True,
    ) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = group.add_parser(
            name,
            help=help_text,
            description=help_text,
            epilog=f"example:\n  edgewright-agent {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        if stateful:
            state_help = f"where the agent keeps everything (default: {default_state_dir()})"
            command.add_argument("--state", type=Path, metavar="DIR", default=default_state_dir(), help=state_help)
        command.add_argument("--sysroot", type=Path, default=Path("/"), help=argparse.SUPPRESS)
        if answers:
            command.add_argument("--json", action="store_true", help="answer with one JSON document")
        return command

    serve = add(
        commands, "serve", "listen for controllers", _serve, "serve --port 50551 --quota-bytes 4000000000",
        answers=False,
    )  # fmt: skip
    serve.add_argument("--host", default="0.0.0.0", metavar="H", help="address to listen on (default: all)")  # noqa: S104
    serve.add_argument("--port", type=int, default=DEFAULT_PORT, metavar="N", help="0 takes a free one")
    serve.add_argument("--port-file", type=Path, metavar="F", help="written once the agent answers")
    serve.add_argument("--insecure", action="store_true", help="plain text, on a loopback address only")
    serve.add_argument(
        "--quota-bytes", type=int, metavar="N",
        help="of all artifacts; 0: no limit (default: half of what the disk can give)",
    )  # fmt: skip
    serve.add_argument(
        "--memory-limit-mib", type=int, metavar="N",
        help="private memory of one worker; 0: no limit (default: nine tenths of this device's)",
    )  # fmt: skip

    pair = add(commands, "pair", "print a pairing code for the running agent", _pair, "pair --minutes 60")
    pair.add_argument("--minutes", type=float, default=DEFAULT_MINUTES, metavar="N", help="how long it is good")

    add(commands, "describe", "show what this device is and can run", _describe, "describe --json")
    add(commands, "selftest", "run a tiny model in every runtime found here", _selftest, "selftest --json")

    controllers = commands.add_parser("controllers", help="list or revoke paired controllers")
    actions = controllers.add_subparsers(metavar="ACTION", required=True, dest="action")
    add(actions, "list", "list the paired controllers", _list_controllers, "controllers list --json")
    revoke = add(actions, "revoke", "trust a controller no longer", _revoke_controller, "controllers revoke 3f9a0c12")
    revoke.add_argument("controller", metavar="FINGERPRINT", help="its fingerprint, or the front of it")

    service = commands.add_parser("service", help="run as a systemd service that starts with this device")
    actions = service.add_subparsers(metavar="ACTION", required=True, dest="action")
    install = add(
        actions, "install", "write user and hardened unit, enable and start it; root only", _install_service,
        "service install --port 50551 --dry-run", stateful=False,
    )  # fmt: skip
    install.add_argument("--user", default="edgewright", metavar="NAME", help="whom it runs as; made where missing")
    install.add_argument("--host", default="0.0.0.0", metavar="H", help="address to listen on (default: all)")  # noqa: S104
    install.add_argument("--port", type=int, default=DEFAULT_PORT, metavar="N", help="port to listen on")
    install.add_argument("--quota-bytes", type=int, metavar="N", help="as in `serve --help`")
    install.add_argument("--memory-limit-mib", type=int, metavar="N", help="as in `serve --help`")
    install.add_argument("--devices", action="store_true", help="leave /dev open: for GPUs and NPUs")
    install.add_argument("--dry-run", action="store_true", help="print the unit, change nothing")
    uninstall = add(
        actions, "uninstall", "stop and remove the service; root only", _uninstall_service,
        "service uninstall --purge", stateful=False,
    )  # fmt: skip
    uninstall.add_argument("--purge", action="store_true", help="remove its state as well: keys, pairings, artifacts")
    status = add(
        actions, "status", "is the service installed, enabled and running?", _service_status,
        "service status --json", stateful=False,
    )  # fmt: skip
    for command in (install, uninstall, status):
        root_help = "folder of another system, such as a board's image (default: this system)"
        command.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help=root_help)
    return parser


def _fail(error: EdgewrightError, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(error.as_json()) + "\n")
    else:
        sys.stderr.write(f"error: {error.message} [{error.code.value}]\n")
        if error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")
    return error.exit_status


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        options = _parser().parse_args(arguments)
        run: Command = options.run
        return run(options)
    except EdgewrightError as error:
        return _fail(error, as_json)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # Whoever read our output is gone; keep Python from complaining when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_FAILED
        return _fail(EdgewrightError(ErrorCode.INTERNAL, str(error), "check the file named, and the disk"), as_json)
    except KeyboardInterrupt:
        return _fail(EdgewrightError(ErrorCode.CANCELLED, "cancelled"), as_json)
