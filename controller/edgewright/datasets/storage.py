"""Where a data set's files lie: a folder or a zip, read through one interface."""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from edgewright_contract.errors import EdgewrightError, ErrorCode

MAX_FILE_BYTES = 256 * 2**20
MAX_ZIP_ENTRIES = 5_000_000
# A zip of images unpacks to little more than its own size; above both bounds it is a bomb.
MAX_ZIP_RATIO, MIN_BOMB_BYTES = 100, 2**30


_DRIVE = re.compile("[A-Za-z]:")
_DAMAGED = (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError, zlib.error)


class UnreadableError(Exception):
    """One file of a data set cannot be read; the text says why."""


class Storage(Protocol):
    """Files by their path relative to the data set, with forward slashes."""

    def files(self) -> list[str]:
        """All visible files, sorted."""

    def folders(self) -> list[str]:
        """All visible folders, sorted; a zip without entries for folders has those of its files."""

    def read(self, file: str) -> bytes:
        """The file's bytes; raises UnreadableError. Safe in several threads."""

    def close(self) -> None: ...


def open_storage(path: Path) -> Storage:
    """The folder or zip at `path`. Raises FILE_NOT_FOUND, or DATASET_INVALID for a zip that is not safe."""
    if path.is_dir():
        return FolderStorage(path)
    if not path.is_file():
        raise EdgewrightError(
            ErrorCode.FILE_NOT_FOUND,
            f"no data set at {path}",
            "give a folder, a zip or a csv file",
        )
    return ZipStorage(path)


class FolderStorage:
    """A folder; links are followed, each folder once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def files(self) -> list[str]:
        return sorted(name for name, is_folder in self._walk() if not is_folder)

    def folders(self) -> list[str]:
        return sorted(name for name, is_folder in self._walk() if is_folder)

    def read(self, file: str) -> bytes:
        try:
            # Opened without waiting, as a named pipe among the images would block for ever.
            descriptor = os.open(self.path / file, os.O_RDONLY | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as stream:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise UnreadableError("not a regular file")
                if status.st_size > MAX_FILE_BYTES:
                    raise UnreadableError(f"{status.st_size} bytes; at most {MAX_FILE_BYTES} are read")
                return stream.read()
        except FileNotFoundError as error:
            raise UnreadableError("missing") from error
        except (OSError, ValueError) as error:
            raise UnreadableError(getattr(error, "strerror", None) or str(error)) from error

    def close(self) -> None:
        """Nothing is held open."""

    def _walk(self) -> Iterator[tuple[str, bool]]:
        visited: set[tuple[int, int]] = set()
        for folder, folders, files in os.walk(self.path, followlinks=True, onerror=_unlisted):
            status = Path(folder).stat()
            if (status.st_dev, status.st_ino) in visited:
                folders.clear()
                continue
            visited.add((status.st_dev, status.st_ino))
            folders[:] = [name for name in folders if not _hidden(name)]
            base = Path(folder).relative_to(self.path)
            for names, is_folder in ((folders, True), (files, False)):
                for name in names:
                    if not _hidden(name):
                        yield (base / name).as_posix(), is_folder


def _unlisted(error: OSError) -> None:
    raise EdgewrightError(
        ErrorCode.DATASET_INVALID,
        f"cannot list the folder {error.filename}: {error.strerror}",
        "make it readable for you, or move it out of the data set",
    )


class ZipStorage:
    """A zip, read in place: nothing is unpacked to the disk."""

    def __init__(self, path: Path) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
            raise EdgewrightError(
                ErrorCode.DATASET_INVALID,
                f"{path} is neither a folder nor a readable zip: {error}",
                "give a folder, a .zip of class folders, or a .csv file",
            ) from error
        try:
            self._entries = _checked(path, self._archive)
        except EdgewrightError:
            self._archive.close()
            raise

    def files(self) -> list[str]:
        return sorted(name for name, entry in self._entries.items() if not entry.is_dir())

    def folders(self) -> list[str]:
        found = {name.rstrip("/") for name, entry in self._entries.items() if entry.is_dir()}
        for name in self._entries:
            found.update(parent.as_posix() for parent in PurePosixPath(name).parents[:-1])
        return sorted(found)

    def read(self, file: str) -> bytes:
        entry = self._entries.get(file)
        if entry is None:
            raise UnreadableError("missing")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise UnreadableError("a link")
        if entry.file_size > MAX_FILE_BYTES:
            raise UnreadableError(f"{entry.file_size} bytes; at most {MAX_FILE_BYTES} are read")
        try:
            with self._archive.open(entry) as stream:
                return stream.read(entry.file_size)
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            OSError,
            EOFError,
            zlib.error,
        ) as error:
            raise UnreadableError(f"damaged in the zip: {error}") from error

    def close(self) -> None:
        self._archive.close()


def _checked(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The visible entries of a zip that plays no tricks; raises DATASET_INVALID for one that does."""
    entries = archive.infolist()
    if len(entries) > MAX_ZIP_ENTRIES:
        raise _unsafe(path, f"it has {len(entries)} entries; at most {MAX_ZIP_ENTRIES} are read")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MIN_BOMB_BYTES and unpacked > MAX_ZIP_RATIO * max(1, path.stat().st_size):
        raise _unsafe(path, f"it would unpack to {unpacked} bytes, more than {MAX_ZIP_RATIO} times its size")
    visible: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename
        parts = name.rstrip("/").split("/")
        if name.startswith("/") or _DRIVE.match(name) or ".." in parts:
            raise _unsafe(path, f"entry {name!r} points outside of it")
        if "\\" in name:
            raise _unsafe(path, f"entry {name!r} has a backslash in its name")
        if entry.flag_bits & 0x1:
            raise _unsafe(path, f"entry {name!r} is encrypted")
        if name in visible:
            raise _unsafe(path, f"entry {name!r} is there twice")
        if not any(_hidden(part) for part in parts):
            visible[name] = entry
    return visible


def _unsafe(path: Path, reason: str) -> EdgewrightError:
    return EdgewrightError(
        ErrorCode.DATASET_INVALID,
        f"{path} is refused: {reason}",
        "make the zip again from the folder of images",
    )


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in ("", "__MACOSX", "Thumbs.db", "desktop.ini")
