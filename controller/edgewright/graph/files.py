"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgewright_contract.errors import EdgewrightError, ErrorCode


@contextmanager
def atomic_file(destination: Path) -> Iterator[Path]:
    """Gives a temporary path in the folder of `destination`; it takes the final name when the body ends well.

    Whatever interrupts the body (Ctrl-C too) leaves no file behind. Raises DISK_FULL when there is no space.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=destination.parent, prefix=f".{destination.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(destination)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EdgewrightError(
                ErrorCode.DISK_FULL,
                f"no space left while writing {destination.name} in {destination.parent}",
                "free some space, or choose another folder with --home",
            ) from error
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
