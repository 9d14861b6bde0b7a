"""Files named by the sha256 of their bytes, with a quota; what no one uses goes first, least recently used."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.files import sync_folder
from edgewright_contract.limits import SHA256, check_sha256
from edgewright_contract.transfer import sha256_of_file
from edgewright_contract.values import PushState

# Kept free for the rest of the board: logs, updates, the journal of a running job.
RESERVE_BYTES = 32 * 1024 * 1024

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class _Stored:
    path: Path
    sha256: str
    size_bytes: int
    used_ns: int


def disk_free_bytes(folder: Path) -> int:
    return shutil.disk_usage(str(folder)).free


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Name a full disk DISK_FULL, any other failure of the disk AGENT_STATE_UNUSABLE."""
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        raise EdgewrightError(
            ErrorCode.DISK_FULL if full else ErrorCode.AGENT_STATE_UNUSABLE,
            f"{what} cannot be stored: {error.strerror or error}",
            "free space on the device, or remove artifacts there" if full else "check the device's disk",
        ) from error


class ArtifactStore:
    """`slots_use` names what deployments need; jobs and deployments in progress say so with `using`.

    `quota_bytes` bounds all artifacts together: 0 is no bound, None half of what the disk can give.
    """

    def __init__(
        self,
        root: Path,
        quota_bytes: int | None = 0,
        slots_use: Callable[[], frozenset[str]] = frozenset,
        free_bytes: Callable[[Path], int] = disk_free_bytes,
    ) -> None:
        self._root = root
        self._parts = root / "parts"
        self._parts.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._quota_bytes = quota_bytes
        self._slots_use = slots_use
        self._free_bytes = free_bytes
        self._lock = threading.RLock()
        self._users: Counter[str] = Counter()
        self._promised: dict[object, tuple[str, int]] = {}  # by promise: artifact, bytes still to come
        self._verified: dict[str, tuple[int, int, int]] = {}

    # ---- looking ----

    def query(self, sha256: str) -> PushState:
        path = self._final(check_sha256(sha256))
        if path.is_file():
            return PushState(complete=True, received_bytes=path.stat().st_size)
        part = self.part(sha256)
        return PushState(complete=False, received_bytes=part.stat().st_size if part.is_file() else 0)

    def part(self, sha256: str) -> Path:
        """Where an unfinished push is kept."""
        return self._parts / f"{check_sha256(sha256)}.part"

    def require(self, sha256: str) -> None:
        """Raise ARTIFACT_UNKNOWN unless the whole artifact is here."""
        if not self._final(check_sha256(sha256)).is_file():
            raise _unknown(sha256)

    def path(self, sha256: str) -> Path:
        """The file, its bytes checked against its name before the first use in this process and after any change.

        Raises ARTIFACT_UNKNOWN, or ARTIFACT_CORRUPT where the disk damaged it: the file is then removed.
        """
        path = self._final(check_sha256(sha256))
        try:
            trusted = self._verified.get(sha256) == _identity(path)
            if not trusted and sha256_of_file(path) != sha256:
                path.unlink()
                raise EdgewrightError(
                    ErrorCode.ARTIFACT_CORRUPT,
                    f"the stored artifact {sha256[:12]} was damaged on the device's disk and has been removed",
                    "push it again",
                )
            os.utime(str(path))
            self._verified[sha256] = _identity(path)
        except FileNotFoundError as error:
            raise _unknown(sha256) from error
        return path

    @contextmanager
    def using(self, *sha256s: str) -> Iterator[None]:
        """While inside, these artifacts are not removed."""
        with self._lock:
            self._users.update(sha256s)
        try:
            yield
        finally:
            with self._lock:
                self._users.subtract(sha256s)

    # ---- changing ----

    def remove(self, sha256: str) -> bool:
        """Remove an artifact or what there is of it; False where there was nothing. Raises ARTIFACT_IN_USE."""
        check_sha256(sha256)
        with self._lock:
            if sha256 in self._protected():
                raise EdgewrightError(
                    ErrorCode.ARTIFACT_IN_USE,
                    f"artifact {sha256[:12]} is used by a slot or a job",
                    "deploy something else to that slot, or wait for the job",
                )
            found = False
            for path in (self._final(sha256), self.part(sha256)):
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
                    found = True
            return found

    @contextmanager
    def room_for(self, sha256: str, size_bytes: int) -> Iterator[None]:
        """Promise space for the rest of an artifact, removing what nobody uses. Raises DISK_FULL, removing nothing."""
        with self._lock:
            self._make_room(sha256, size_bytes)
            promise = object()
            self._promised[promise] = (sha256, size_bytes)
        try:
            yield
        finally:
            with self._lock:
                del self._promised[promise]

    def commit(self, sha256: str, file: Path) -> None:
        """Take in a complete, flushed file whose hash the caller has computed; it is there at once and for good."""
        path = self._final(sha256)
        with self._lock, disk_errors(f"artifact {sha256[:12]}"):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            file.replace(path)
            sync_folder(path.parent)
            sync_folder(self._root)
            self._verified[sha256] = _identity(path)

    def adopt(self, file: Path) -> str:
        """Move a finished local file in; return its sha256. It has to lie on the same disk."""
        sha256 = sha256_of_file(file)
        with self.room_for(sha256, 0), disk_errors(f"artifact {sha256[:12]}"):
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
            self.commit(sha256, file)
        return sha256

    # ---- inside ----

    def _final(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256

    def _protected(self) -> set[str]:
        users = {sha256 for sha256, count in self._users.items() if count > 0}
        return users | {sha256 for sha256, _ in self._promised.values()} | set(self._slots_use())

    def _stored(self) -> list[_Stored]:
        files = [path for path in self._root.glob("??/*") if SHA256.fullmatch(path.name)]
        files += [path for path in self._parts.glob("*.part") if SHA256.fullmatch(path.stem)]
        found = []
        for path in files:
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append(_Stored(path, path.stem, status.st_size, status.st_mtime_ns))
        return found

    def _make_room(self, sha256: str, size_bytes: int) -> None:
        stored = self._stored()
        used, free = sum(one.size_bytes for one in stored), self._free_bytes(self._root)
        # Another push of the same artifact is about the same bytes: one of the two will give up.
        needed = size_bytes + sum(size for other, size in self._promised.values() if other != sha256)
        excess = needed + RESERVE_BYTES - free
        quota = (used + free) // 2 if self._quota_bytes is None else self._quota_bytes
        if quota:
            excess = max(excess, used + needed - quota)
        if excess <= 0:
            return
        protected = self._protected() | {sha256}
        removable = sorted((one for one in stored if one.sha256 not in protected), key=lambda one: one.used_ns)
        if sum(one.size_bytes for one in removable) < excess:
            raise EdgewrightError(
                ErrorCode.DISK_FULL,
                f"the device has no room for {size_bytes} more bytes: {excess} too many, "
                f"of which {sum(one.size_bytes for one in removable)} could be freed",
                "remove deployments or raise --quota-bytes of the agent, or free space on the device",
            )
        for one in removable:
            if excess <= 0:
                break
            one.path.unlink()
            self._verified.pop(one.sha256, None)
            excess -= one.size_bytes


def _unknown(sha256: str) -> EdgewrightError:
    return EdgewrightError(ErrorCode.ARTIFACT_UNKNOWN, f"artifact {sha256} is not on this device", "push it first")


def _identity(path: Path) -> tuple[int, int, int]:
    """What changes when somebody writes into a file: size, inode, time of the last write (ns)."""
    status = path.stat()
    return status.st_size, status.st_ino, status.st_mtime_ns
