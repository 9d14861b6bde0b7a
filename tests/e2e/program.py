"""The real programs as a user starts them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 30.0


@dataclass(frozen=True)
class Done:
    status: int
    stdout: str
    stderr: str

    def json(self) -> dict[str, Any]:
        """The one document on stdout; anything else there fails."""
        document = json.loads(self.stdout)
        assert isinstance(document, dict)
        return document


@dataclass(frozen=True)
class Program:
    """`edgewright` over one home folder, each command a process of its own."""

    home: Path

    def command(self, *arguments: str) -> list[str]:
        start = "from edgewright.cli.app import main; main()"
        return [sys.executable, "-c", start, "--home", str(self.home), *arguments]

    def run(self, *arguments: str, timeout: float = 240) -> Done:
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=timeout, check=False, env=_environment()
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: str, timeout: float = 240, status: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """The document of a command that must succeed."""
        done = self.run("--json", *arguments, timeout=timeout)
        assert done.status in status, done.stdout + done.stderr
        return done.json()

    def fails(self, *arguments: str) -> tuple[int, str, str]:
        """(exit status, code, message) of a command that must fail with a JSON error."""
        done = self.run("--json", *arguments)
        error = done.json()["error"]
        assert error["message"]
        return done.status, error["code"], error["message"]

    def interrupted(self, *arguments: str, after: str, timeout: float = 120) -> Done:
        """Starts a command and presses Ctrl-C once its progress mentions `after`."""
        process = subprocess.Popen(
            self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
        )
        assert process.stderr is not None
        seen = ""
        for line in process.stderr:
            seen += line
            if after in line:
                process.send_signal(signal.SIGINT)
                break
        stdout, stderr = process.communicate(timeout=timeout)
        assert after in seen, f"never got to {after!r}: {seen}{stderr}"
        return Done(process.returncode, stdout, seen + stderr)


@dataclass(frozen=True)
class Agent:
    """A running `edgewright-agent serve` on loopback."""

    state: Path
    port: int
    process: subprocess.Popen[str]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> dict[str, Any]:
        """The JSON answer of another `edgewright-agent` command on the same state folder."""
        done = subprocess.run(
            [sys.executable, "-m", "edgewright_agent", *arguments, "--state", str(self.state)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return answer

    def code(self) -> str:
        return str(self.command("pair", "--json")["code"])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def serving(state: Path, *options: str) -> Iterator[Agent]:
    """An agent on a port that the system chose; stopped, or killed where it does not stop."""
    port_file = state.with_name(f"{state.name}.port")
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "edgewright_agent", "serve", "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--state", str(state), "--port-file", str(port_file), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(),
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not port_file.exists():
            assert process.poll() is None, process.stdout.read() if process.stdout else ""
            assert time.monotonic() < deadline, "the agent did not start"
            time.sleep(0.02)
        yield Agent(state, int(port_file.read_text()), process)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _environment() -> dict[str, str]:
    """The caller's environment without what would point to a person's own home folder."""
    return {key: value for key, value in os.environ.items() if key != "EDGEWRIGHT_HOME"}
