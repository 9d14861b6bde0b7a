"""What a data set's form says before any image is opened: its files, their classes, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgewright.core.values import Skipped


@dataclass(frozen=True)
class Entry:
    """A file that ought to be an image, and its class (None: no label)."""

    file: str
    class_index: int | None = None


@dataclass(frozen=True)
class Listing:
    """A data set before verification; `path` is what is stored, `class_names` is empty without labels."""

    format: str
    path: Path
    entries: tuple[Entry, ...]
    class_names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = field(default=())
