"""The state folder: where everything lies, and the lock that lets one agent at a time use it."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.files import remove_temporaries

# `edgewright-agent pair` holds the lock for an instant to see whether an agent does; a start waits that long.
_LOCK_PATIENCE_S = 0.3


def unusable(folder: Path, error: OSError) -> EdgewrightError:
    return EdgewrightError(
        ErrorCode.AGENT_STATE_UNUSABLE,
        f"the state folder {folder} cannot be used: {error.strerror or error}",
        "check its owner and its rights, or name another one with --state",
    )


@dataclass(frozen=True)
class StateFolder:
    root: Path

    @property
    def identity(self) -> Path:
        return self.root / "identity"

    @property
    def controllers(self) -> Path:
        return self.root / "controllers"

    @property
    def pairing(self) -> Path:
        return self.root / "pairing"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def workspaces(self) -> Path:
        return self.root / "workspaces"

    @property
    def slots_file(self) -> Path:
        return self.root / "slots.json"

    @property
    def _lock_file(self) -> Path:
        return self.root / "lock"

    def create(self) -> None:
        """Make the folders, for the owner alone. AGENT_STATE_UNUSABLE where that is impossible."""
        try:
            for folder in (self.root, self.identity, self.controllers, self.pairing):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.artifacts, self.jobs, self.workspaces):
                folder.mkdir(mode=0o700, exist_ok=True)
            if not os.access(str(self.root), os.W_OK | os.X_OK):
                raise PermissionError(13, "no right to write there")
        except OSError as error:
            raise unusable(self.root, error) from error

    def clear_leftovers(self) -> None:
        """Remove what an earlier, killed agent left behind: workspaces, and files that never got their name."""
        for folder in self.workspaces.iterdir():
            shutil.rmtree(str(folder), ignore_errors=True)
        for folder in (self.root, self.identity, self.controllers, self.pairing):
            remove_temporaries(folder)

    @contextmanager
    def locked(self, note: str = "") -> Iterator[None]:
        """Hold the folder and leave a `note` for `holder`; AGENT_STATE_LOCKED where another agent holds it.

        The kernel frees it when we die.
        """
        try:
            descriptor = os.open(str(self._lock_file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(self.root, error) from error
        try:
            until = time.monotonic() + _LOCK_PATIENCE_S
            while not _try_lock(descriptor):
                if time.monotonic() > until:
                    raise EdgewrightError(
                        ErrorCode.AGENT_STATE_LOCKED,
                        f"another agent is running with the state folder {self.root}",
                        "stop it, or name another folder with --state",
                    )
                time.sleep(0.02)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, note.encode("ascii"))
            yield
        finally:
            os.close(descriptor)

    def holder(self) -> str | None:
        """The note of the agent that runs with this folder; None where none does."""
        try:
            descriptor = os.open(str(self._lock_file), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return None if _try_lock(descriptor) else os.read(descriptor, 100).decode("ascii", "replace")
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
