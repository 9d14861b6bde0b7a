"""Locks between processes. The system frees them when their holder dies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from edgewright.store.failures import translated_files

_POLL_SECONDS = 0.1


class FileLocks:
    """Named locks, each a file in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, key: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Holds the lock of `key` for the block; `on_wait` is called once if another holds it now."""
        digest = hashlib.sha256(key.encode()).hexdigest()[:32]
        path = self._folder / f"{digest}.lock"
        with translated_files(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if on_wait is not None:
                    on_wait()
                lock.acquire(poll_interval=_POLL_SECONDS)
        try:
            yield
        finally:
            lock.release()
