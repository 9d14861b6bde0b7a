"""An agent of our own on loopback, for as long as the quickstart needs it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgewright_contract.errors import EdgewrightError, ErrorCode

START_SECONDS = 30.0
STOP_SECONDS = 5.0
_AGENT = (sys.executable, "-m", "edgewright_agent")


@dataclass(frozen=True)
class LocalAgent:
    state: Path
    address: str

    def pairing_code(self) -> str:
        """A fresh one-time code, asked from the running agent."""
        command = [*_AGENT, "pair", "--state", str(self.state), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
        if done.returncode != 0:
            raise EdgewrightError(
                ErrorCode.AGENT_NOT_RUNNING,
                f"the local agent gave no pairing code: {done.stdout}{done.stderr}".strip(),
            )
        return str(json.loads(done.stdout)["code"])


@contextmanager
def running_agent(state: Path) -> Iterator[LocalAgent]:
    """Starts `edgewright-agent serve` on a free loopback port and stops it afterwards."""
    state.mkdir(parents=True, exist_ok=True)
    port_file, log = state / "port", state / "agent.log"
    port_file.unlink(missing_ok=True)
    command = [*_AGENT, "serve", "--host", "127.0.0.1", "--port", "0", "--state", str(state)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port-file", str(port_file)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # Ctrl-C is ours to handle: the agent is told to stop once its job has been cancelled.
            start_new_session=True,
        )
    try:
        yield LocalAgent(state, f"127.0.0.1:{_await_port(process, port_file, log)}")
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        port_file.unlink(missing_ok=True)


def _await_port(process: subprocess.Popen[bytes], port_file: Path, log: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if port_file.exists():
            return int(port_file.read_text())
        if process.poll() is not None:
            break
        time.sleep(0.02)
    last = log.read_text(errors="replace").strip().splitlines()[-3:]
    raise EdgewrightError(
        ErrorCode.AGENT_NOT_RUNNING,
        f"the local agent did not start: {' '.join(last) or 'it said nothing'}",
        f"its log is {log}",
    )
