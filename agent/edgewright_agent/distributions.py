"""Versions of installed distributions, read off folder names: importlib.metadata costs an idle agent 3 MiB."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_METADATA_FOLDER = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-.*)?\.(dist|egg)-info")


def _normalized(name: str) -> str:
    """PEP 503: runs of `-`, `_`, `.` are the same, and so is case."""
    return re.sub(r"[-_.]+", "-", name).lower()


def version_of(distribution: str) -> str | None:
    """The version of the first installed distribution of that name on the import path, or None."""
    wanted = _normalized(distribution)
    for folder in sys.path:
        path = Path(folder or ".")
        if not path.is_dir():
            continue
        for entry in path.iterdir():
            match = _METADATA_FOLDER.fullmatch(entry.name)
            if match and _normalized(match["name"]) == wanted:
                return match["version"]
    return None
