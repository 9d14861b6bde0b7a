"""What `edgewright-agent serve` was told, checked."""

from __future__ import annotations

import ipaddress
import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from edgewright_agent.measure.values import WorkerSettings
from edgewright_contract.errors import EdgewrightError, ErrorCode

DEFAULT_PORT = 50551
# A Python that starts workers, where it is not this one: an emulator may stand before it.
PYTHON_VARIABLE = "AGENT_PYTHON"

LOAD_TIMEOUT_S = 300.0  # hundreds of MB from an SD card
CALL_TIMEOUT_S = 120.0


def default_state_dir() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "edgewright-agent"


def worker_python() -> tuple[str, ...]:
    return tuple(shlex.split(os.environ.get(PYTHON_VARIABLE, ""))) or (sys.executable,)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Settings:
    """`quota_bytes` and `memory_limit_bytes` 0 mean no limit; `port` 0 lets the system choose.

    `quota_bytes` None is half of what the disk can give.
    """

    state: Path
    host: str = "0.0.0.0"  # noqa: S104 - a board is there to be reached; every connection is mutual TLS
    port: int = DEFAULT_PORT
    port_file: Path | None = None
    insecure: bool = False
    quota_bytes: int | None = None
    memory_limit_bytes: int = 0
    sysroot: Path = Path("/")
    python: tuple[str, ...] = field(default_factory=worker_python)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise EdgewrightError(ErrorCode.ADDRESS_INVALID, f"port {self.port} is not one of 0 to 65535")
        for name in ("quota_bytes", "memory_limit_bytes"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise EdgewrightError(ErrorCode.OPTION_INVALID, f"{name} is {value}; allowed: 0 or more")
        if self.insecure and not is_loopback(self.host):
            raise EdgewrightError(
                ErrorCode.INSECURE_REFUSED,
                f"--insecure would offer plain text on {self.host}",
                "use it with --host 127.0.0.1 only, or leave it out and pair",
            )

    def worker(self) -> WorkerSettings:
        return WorkerSettings(
            python=self.python,
            memory_limit_bytes=self.memory_limit_bytes,
            load_timeout_s=LOAD_TIMEOUT_S,
            call_timeout_s=CALL_TIMEOUT_S,
            sysroot=self.sysroot,
        )
