"""What every use case works with: the home folder's store, this controller's keys and its scratch folders."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.core.values import ProgressCallback, ProgressEvent
from edgewright.store.records import DeviceRecord
from edgewright.store.store import Store
from edgewright_contract.errors import EdgewrightError, ErrorCode

if TYPE_CHECKING:
    from edgewright.devices.client import AgentClient


@dataclass
class Workspace:
    home: Path
    store: Store

    @cached_property
    def identity(self) -> tuple[bytes, bytes]:
        """This controller's (key, certificate) PEM; made on first use, once, even by two commands at once."""
        from edgewright_contract.certificates import load_or_create

        with self.store.work_lock("identity"):
            return load_or_create(self.home / "identity", f"edgewright controller {socket.gethostname()}")

    @cached_property
    def cache(self) -> Path:
        """Files that can be made again."""
        folder = self.home / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for half-made files, on the same disk as the store; gone afterwards."""
        parent = self.home / "tmp"
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def connect(self, device: DeviceRecord) -> AgentClient:
        """A client of a registered device; the connection is made with the first call."""
        from edgewright.devices.address import parse_address
        from edgewright.devices.channel import open_insecure, open_secure
        from edgewright.devices.client import AgentClient

        address = parse_address(device.address)
        if not device.certificate_pem:
            if not address.is_loopback:
                raise EdgewrightError(
                    ErrorCode.INSECURE_REFUSED,
                    f"device {device.name} is registered in plain text at {address}, which is not loopback",
                    f"pair with it: edgewright device remove {device.name}, then device add with --code",
                )
            return AgentClient(lambda: open_insecure(address), address)
        pinned = device.certificate_pem.encode()
        return AgentClient(lambda: open_secure(address, self.identity, pinned), address, pinned)


def waiting(progress: ProgressCallback) -> Callable[[], None]:
    """For work locks: says that another command is doing the same work right now."""
    return lambda: progress(ProgressEvent("waiting for another command that does the same work"))
