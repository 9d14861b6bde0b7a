"""Receiving artifacts: pieces are appended to a .part file, which becomes the artifact once size and hash fit."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterable

from edgewright_agent.artifacts import ArtifactStore, disk_errors
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.limits import check_artifact_size, check_sha256
from edgewright_contract.transfer import update_from_file

# How long a push of somebody else may be silent before another one may go on in its place.
SILENCE_S = 5.0


@dataclass
class _Incoming:
    """One push in progress; whoever writes holds `lock`."""

    sha256: str
    size_bytes: int
    peer: str
    part: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    written: int = 0
    active_s: float = field(default_factory=time.monotonic)
    superseded: bool = False


class PushReceiver:
    """All pushes of one store. Of two pushes of one artifact, one writes and the other waits, or takes over."""

    def __init__(self, store: ArtifactStore, silence_s: float = SILENCE_S) -> None:
        self._store = store
        self._silence_s = silence_s
        self._changed = threading.Condition()
        self._active: dict[str, _Incoming] = {}

    def receive(
        self,
        sha256: str,
        size_bytes: int,
        offset: int,
        pieces: Iterable[bytes],
        peer: str,
        alive: Callable[[], bool] = lambda: True,
    ) -> int:
        """Append `pieces` from `offset` on; return the artifact's size once it is complete, checked and durable.

        Raises ARTIFACT_OFFSET with the right offset (also where the pieces end early: what came is kept),
        ARTIFACT_CORRUPT (too many bytes or a wrong hash: what came is dropped), DISK_FULL, CANCELLED.
        """
        check_artifact_size(size_bytes)
        incoming = _Incoming(check_sha256(sha256), size_bytes, peer, self._store.part(sha256))
        earlier = self._enter(incoming, alive)
        try:
            if self._store.query(sha256).complete:
                return self._store.query(sha256).received_bytes
            self._resume(incoming, offset, earlier)
            with self._store.room_for(sha256, size_bytes - offset):
                self._append(incoming, pieces)
            return size_bytes
        finally:
            self._leave(incoming)

    def _enter(self, incoming: _Incoming, alive: Callable[[], bool]) -> _Incoming | None:
        """Become the one that writes; return whom we took over from, if anybody."""
        with self._changed:
            while True:
                other = self._active.get(incoming.sha256)
                # A controller that comes back after a cut finds its own dead call still open: it goes on at once.
                idle = other is not None and time.monotonic() - other.active_s > self._silence_s
                if other is None or other.peer == incoming.peer or idle:
                    break
                if not alive():
                    raise EdgewrightError(ErrorCode.CANCELLED, "the push was given up while it waited")
                self._changed.wait(0.2)
            self._active[incoming.sha256] = incoming
        if other is not None:
            with other.lock:
                other.superseded = True
        return other

    def _leave(self, incoming: _Incoming) -> None:
        with self._changed:
            if self._active.get(incoming.sha256) is incoming:
                del self._active[incoming.sha256]
            self._changed.notify_all()

    def _resume(self, incoming: _Incoming, offset: int, earlier: _Incoming | None) -> None:
        part = incoming.part
        have = part.stat().st_size if part.is_file() else 0
        if have > incoming.size_bytes:
            part.unlink()
            have = 0
        if offset != have:
            raise _offset_error(f"the push starts at byte {offset}", have)
        if earlier is not None and earlier.written == have:
            incoming.digest = earlier.digest.copy()
        elif have:
            with part.open("rb") as stream:
                update_from_file(incoming.digest, stream, have)
        incoming.written = have

    def _append(self, incoming: _Incoming, pieces: Iterable[bytes]) -> None:
        what = f"artifact {incoming.sha256[:12]}"
        try:
            with disk_errors(what), incoming.part.open("ab", buffering=0) as stream:
                for data in pieces:
                    with incoming.lock:
                        _check_turn(incoming)
                        if incoming.written + len(data) > incoming.size_bytes:
                            raise _corrupt(f"{what} has more than the declared {incoming.size_bytes} bytes")
                        view = memoryview(data)
                        while view:
                            view = view[stream.write(view) :]
                        incoming.digest.update(data)
                        incoming.written += len(data)
                        incoming.active_s = time.monotonic()
                with incoming.lock:
                    _check_turn(incoming)
                    if incoming.written < incoming.size_bytes:
                        raise _offset_error(
                            f"the push ended at {incoming.written} of {incoming.size_bytes} bytes",
                            incoming.written,
                        )
                    found = incoming.digest.hexdigest()
                    if found != incoming.sha256:
                        raise _corrupt(f"the bytes of {what} have the sha256 {found[:12]}... instead")
                    os.fsync(stream.fileno())
                    self._store.commit(incoming.sha256, incoming.part)
        except EdgewrightError as error:
            if error.code in (ErrorCode.ARTIFACT_CORRUPT, ErrorCode.DISK_FULL):
                with contextlib.suppress(FileNotFoundError):
                    incoming.part.unlink()
            raise


def _check_turn(incoming: _Incoming) -> None:
    if incoming.superseded:
        raise EdgewrightError(
            ErrorCode.CANCELLED, f"a newer push of artifact {incoming.sha256[:12]} took over from this one"
        )


def _corrupt(message: str) -> EdgewrightError:
    return EdgewrightError(ErrorCode.ARTIFACT_CORRUPT, message, "push it again from the start")


def _offset_error(message: str, resume: int) -> EdgewrightError:
    return EdgewrightError(
        ErrorCode.ARTIFACT_OFFSET,
        f"{message}; the device holds {resume} bytes",
        f"push again from offset {resume}, as QueryArtifact says",
    )
