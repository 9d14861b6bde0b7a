"""Writing files so that a power cut leaves either the old content or the new, never half of it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

_SUFFIX = ".new"


def sync_folder(folder: Path) -> None:
    """Make renames and removals inside `folder` durable."""
    descriptor = os.open(str(folder), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Remove what `write_atomic` left in `folder` when its process was killed; call it where nobody else writes."""
    for path in folder.glob(".*" + _SUFFIX):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data` at once; durable when this returns. Raises OSError and then leaves nothing."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=str(path.parent))
    try:
        with os.fdopen(descriptor, "wb") as stream:  # mkstemp made it 0600
            stream.write(data)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    sync_folder(path.parent)
