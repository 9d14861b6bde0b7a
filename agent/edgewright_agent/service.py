"""`edgewright-agent service`: the agent as a system service that starts with the board."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgewright_agent.service_unit import NAME, STATE, ServiceOptions, sysusers_text, unit_text
from edgewright_contract.errors import EXIT_DONE, EXIT_FAILED, EdgewrightError, ErrorCode
from edgewright_contract.files import write_atomic

UNIT = f"{NAME}.service"


class ServiceFiles:
    """Where things are under `root`, which is "/" but in tests and for images of boards."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unit = root / "etc/systemd/system" / UNIT
        self.sysusers = root / "etc/sysusers.d" / f"{NAME}.conf"
        self.state = root / STATE.relative_to("/")
        self.link = root / "etc/systemd/system/multi-user.target.wants" / UNIT

    @property
    def live(self) -> bool:
        """Whether this is the running system, with systemd in charge."""
        return self.root == Path("/") and Path("/run/systemd/system").is_dir()


def install_command(options: argparse.Namespace) -> int:
    """Write user and unit, enable and start; nothing is written with --dry-run."""
    asked = ServiceOptions(
        python=os.path.abspath(sys.executable),  # noqa: PTH100 - resolving would leave the virtual environment
        user=options.user,
        host=options.host,
        port=options.port,
        quota_bytes=options.quota_bytes,
        memory_limit_mib=options.memory_limit_mib,
        devices=options.devices,
    )
    files, text = ServiceFiles(options.root), unit_text(asked)
    blocked = _blocked(Path(asked.python))
    if options.dry_run:
        if options.json:
            _print(json.dumps({"unit_file": str(files.unit), "unit": text, "user": asked.user, "problem": blocked}))
        else:
            _print(text.rstrip("\n"))
            if blocked:
                sys.stderr.write(f"warning: {blocked}\n")
        return EXIT_DONE
    if blocked:
        raise EdgewrightError(
            ErrorCode.PERMISSION_DENIED, blocked, "install the agent where all may read, for example in /opt/edgewright"
        )
    _need_root(files)
    _need_systemd(files)
    _write(files.unit, text)
    if not _has_user(files.root, asked.user):
        _write(files.sysusers, sysusers_text(asked.user))
        _run("systemd-sysusers", *_root(files), str(files.sysusers))
    _run("systemctl", *_root(files), "enable", UNIT)
    if files.live:
        _run("systemctl", "daemon-reload")
        _run("systemctl", "restart", UNIT)
    return _answer(options, {"installed": True, "unit_file": str(files.unit), "user": asked.user, "state": str(STATE)})


def uninstall_command(options: argparse.Namespace) -> int:
    """Stop, disable and remove; the state stays unless --purge. Twice does no harm."""
    files = ServiceFiles(options.root)
    _need_root(files)
    was = files.unit.exists()
    if was and files.live:
        _run("systemctl", "stop", UNIT)
    for path in (files.link, files.unit, files.sysusers):
        if path.is_symlink() or path.exists():
            path.unlink()
    if was and files.live:
        _run("systemctl", "daemon-reload")
    if options.purge and files.state.is_dir():
        shutil.rmtree(str(files.state))
    kept = str(files.state) if files.state.is_dir() else None
    return _answer(options, {"uninstalled": was, "state_kept": kept})


def status_command(options: argparse.Namespace) -> int:
    """Installed, enabled, running? Exit status 1 where it is not installed, or on a live system not running."""
    files = ServiceFiles(options.root)
    installed = files.unit.exists()
    active = _output("systemctl", "is-active", UNIT) if installed and files.live else "unknown"
    document = {
        "installed": installed,
        "enabled": files.link.is_symlink(),
        "active": active,
        "unit_file": str(files.unit) if installed else None,
        "state": str(files.state) if files.state.is_dir() else None,
    }
    _answer(options, document)
    return EXIT_DONE if installed and active in ("active", "unknown") else EXIT_FAILED


def _answer(options: argparse.Namespace, document: dict[str, Any]) -> int:
    if options.json:
        _print(json.dumps(document, indent=1))
    else:
        _print("\n".join(f"{name:<12} {_shown(value)}" for name, value in document.items()))
    return EXIT_DONE


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _need_root(files: ServiceFiles) -> None:
    if files.root == Path("/") and os.geteuid() != 0:
        raise EdgewrightError(
            ErrorCode.PERMISSION_DENIED,
            "a system service is installed by root only",
            "run it again with sudo, naming this very program: sudo $(command -v edgewright-agent) service ...",
        )


def _need_systemd(files: ServiceFiles) -> None:
    if shutil.which("systemctl") is None or (files.root == Path("/") and not files.live):
        raise EdgewrightError(
            ErrorCode.DEPENDENCY_MISSING,
            "systemd does not run on this machine",
            "`service install --dry-run` shows the limits to give to another service manager",
        )


def _blocked(python: Path) -> str:
    """Why another user could not start `python`, or an empty text."""
    for folder in python.parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            return f"{folder} is closed to other users, so the service's own user could not start {python}"
    return ""


def _has_user(root: Path, user: str) -> bool:
    try:
        lines = (root / "etc/passwd").read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return False
    return any(line.split(":", 1)[0] == user for line in lines)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode("utf-8"), mode=0o644)
    except OSError as error:
        raise EdgewrightError(
            ErrorCode.PERMISSION_DENIED, f"{path} cannot be written: {error.strerror or error}", "check the disk"
        ) from error


def _root(files: ServiceFiles) -> list[str]:
    return [] if files.root == Path("/") else [f"--root={files.root}"]


def _run(*command: str) -> None:
    """Raises INTERNAL with what the program said."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError as error:
        raise EdgewrightError(
            ErrorCode.DEPENDENCY_MISSING, f"{command[0]} is not installed", "install systemd"
        ) from error
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip()
        raise EdgewrightError(
            ErrorCode.INTERNAL,
            f"`{' '.join(command)}` failed: {said or done.returncode}",
            f"look at: journalctl -u {NAME}",
        )


def _output(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode("utf-8", "replace").strip() or "unknown"
