"""The systemd unit: what the agent may do on a board, as text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgewright_contract.errors import EdgewrightError, ErrorCode

NAME = "edgewright-agent"
STATE = Path("/var/lib") / NAME
DEFAULT_USER = "edgewright"
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}")


@dataclass(frozen=True)
class ServiceOptions:
    """What `service install` was told. `devices` leaves /dev open, for GPUs and NPUs. Raises OPTION_INVALID."""

    python: str
    user: str = DEFAULT_USER
    host: str = "0.0.0.0"  # noqa: S104 - a board is there to be reached; every connection is mutual TLS
    port: int = 50551
    quota_bytes: int | None = None
    memory_limit_mib: int | None = None
    devices: bool = False

    def __post_init__(self) -> None:
        if not _USER.fullmatch(self.user) or self.user == "root":
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"--user is {self.user!r}; allowed: 1 to 31 of a-z, 0-9, '_' and '-', a letter first, and not root",
                "leave it out to get a user of the agent's own",
            )
        if not 1 <= self.port <= 65535:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID, f"--port is {self.port}; allowed: 1 to 65535", "controllers need to know it"
            )
        if not re.fullmatch(r"[0-9A-Za-z.:\[\]_-]+", self.host):
            raise EdgewrightError(ErrorCode.OPTION_INVALID, f"--host is {self.host!r}, which is no address")
        for name in ("quota_bytes", "memory_limit_mib"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise EdgewrightError(
                    ErrorCode.OPTION_INVALID, f"--{name.replace('_', '-')} is {value}; allowed: 0 or more"
                )

    def command(self) -> list[str]:
        words = [self.python, "-m", "edgewright_agent", "serve", "--host", self.host, "--port", str(self.port)]
        words += ["--state", str(STATE)]
        if self.quota_bytes is not None:
            words += ["--quota-bytes", str(self.quota_bytes)]
        if self.memory_limit_mib is not None:
            words += ["--memory-limit-mib", str(self.memory_limit_mib)]
        return words


def _quoted(word: str) -> str:
    """A word of ExecStart: systemd expands % and $, and takes quotes and backslashes."""
    word = word.replace("%", "%%").replace("$", "$$")
    if re.search(r"[\s\"'\\;]", word):
        return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return word


def unit_text(options: ServiceOptions) -> str:
    """The unit file. It leaves MemoryDenyWriteExecute out, since runtimes generate code."""
    in_home = options.python.startswith(("/home/", "/root/"))
    return f"""[Unit]
Description=Edgewright agent: runs and measures models for paired controllers
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=simple
User={options.user}
ExecStart={" ".join(_quoted(word) for word in options.command())}
Restart=on-failure
RestartSec=2
TimeoutStopSec=10
# A worker killed for its memory is an answer to the controller, not the end of the agent.
OOMPolicy=continue

# All it keeps is in {STATE}; the rest of the disk is read-only.
StateDirectory={NAME}
StateDirectoryMode=0700
UMask=0077
ProtectSystem=strict
ProtectHome={"read-only" if in_home else "yes"}
PrivateTmp=yes
PrivateDevices={"no" if options.devices else "yes"}

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes

LimitCORE=0
LimitNOFILE=4096
TasksMax=512

[Install]
WantedBy=multi-user.target
"""


def sysusers_text(user: str) -> str:
    """A user without password, shell or home."""
    return f'u {user} - "Edgewright agent" {STATE}\n'
