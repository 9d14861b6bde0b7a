"""Where an agent listens."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from edgewright_contract.errors import EdgewrightError, ErrorCode

_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[A-Za-z0-9._-]{1,253})):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(text: str) -> Address:
    """Takes "HOST:PORT" (or "[IPv6]:PORT") apart; raises ADDRESS_INVALID for anything else."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise EdgewrightError(
            ErrorCode.ADDRESS_INVALID,
            f"{text!r} is no address: expected HOST:PORT with a port from 1 to 65535",
            "use what `edgewright-agent serve` printed, for example 192.168.1.20:50551",
        )
    return Address(match["six"] or match["host"], int(match["port"]))
