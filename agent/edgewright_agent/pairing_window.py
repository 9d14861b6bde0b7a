"""The time in which one controller may pair: a file in the state folder, so that another process can open it.

Its end is kept in the clock that counts since boot, so a wall clock set right in between changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edgewright_contract import certificates, pairing
from edgewright_contract.files import write_atomic

ATTEMPTS = 5  # refused requests of somebody who has the code; a wrong code never gets past the handshake
DEFAULT_MINUTES = 15.0

_FILE = "window.json"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Window:
    """`root` is the certificate (PEM) that the code's secret stands for."""

    root: str
    boot_id: str
    expires_boot_ns: int
    attempts_left: int = ATTEMPTS

    @property
    def id(self) -> str:
        """Names this window among all that ever were."""
        return hashlib.sha256(self.root.encode("ascii")).hexdigest()

    def seconds_left(self) -> float:
        if self.boot_id != boot_id() or self.attempts_left <= 0:
            return 0.0
        return max(0.0, (self.expires_boot_ns - _boot_ns()) / 1e9)


@dataclass(frozen=True)
class Offer:
    """A fresh code, for people, and until when it is good."""

    code: str
    expires_unix_s: float


def boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""  # no Linux: the end still holds, but for a restart of the machine


def _boot_ns() -> int:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if clock is None else int(time.clock_gettime(clock) * 1e9)


class PairingWindow:
    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def open(self, certificate: bytes, secret: bytes, root: bytes, minutes: float) -> Offer:
        """Replace whatever window there was by a new one for the agent with `certificate` (PEM).

        `root` is pairing_root of `secret`: whoever calls this decides in which process it is made.
        """
        window = Window(
            root=root.decode("ascii"),
            boot_id=boot_id(),
            expires_boot_ns=_boot_ns() + int(minutes * 60e9),
        )
        self._write(window)
        code = pairing.encode(certificates.fingerprint(certificate), secret)
        return Offer(code, time.time() + minutes * 60)

    def current(self) -> Window | None:
        """The open window, or None where there is none (any more)."""
        try:
            window = Window(**json.loads(self._path.read_text("utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return window if window.seconds_left() > 0 else None

    def signature(self) -> object:
        """Changes whenever the file does."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    def count_refusal(self) -> None:
        window = self.current()
        if window is not None:
            self._write(replace(window, attempts_left=window.attempts_left - 1))

    def close(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def _write(self, window: Window) -> None:
        write_atomic(self._path, json.dumps(asdict(window)).encode("utf-8"))
