"""Files that a person asked for, at a place they named: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgewright.graph.files import atomic_file
from edgewright_contract.errors import EdgewrightError, ErrorCode


@contextmanager
def user_file(destination: Path) -> Iterator[Path]:
    """Gives a temporary path beside `destination`, which gets its name when the body ends well.

    Nothing stays behind after an error or Ctrl-C, and a folder that is not there is not made.
    Raises FILE_NOT_FOUND for a place that cannot be written, DISK_FULL.
    """
    try:
        if not destination.parent.is_dir():
            raise NotADirectoryError(None, f"there is no folder {destination.parent}")
        with atomic_file(destination) as temporary:
            yield temporary
    except OSError as failure:
        raise EdgewrightError(
            ErrorCode.FILE_NOT_FOUND,
            f"cannot write {destination}: {failure.strerror or failure}",
            "choose a place that exists and can be written",
        ) from failure
