"""Files named by the sha256 of their bytes: `artifacts/ab/<sha256>`. What has its name is complete."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edgewright.store.failures import translated_files
from edgewright_contract.errors import EdgewrightError, ErrorCode

_CHUNK_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PART = ".part"
_YOUNG_SECONDS = 24 * 3600.0


class Artifacts:
    """The content-addressed files of a store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_file(self, path: Path) -> tuple[str, int]:
        """Copies a file in; gives (sha256, size_bytes). Raises FILE_NOT_FOUND, DISK_FULL."""
        try:
            source = path.open("rb")
        except OSError as error:
            raise EdgewrightError(
                ErrorCode.FILE_NOT_FOUND, f"{path}: {error.strerror}", "Check the path and its permissions."
            ) from error
        with source:
            return self._put(lambda target: _copy(source, target))

    def put_bytes(self, data: bytes) -> tuple[str, int]:
        """Writes `data`; gives (sha256, size_bytes). Raises DISK_FULL."""
        return self._put(lambda target: _copy_bytes(data, target))

    def path_of(self, sha256: str) -> Path:
        """Where an artifact lies. Raises ARTIFACT_UNKNOWN, ARTIFACT_CORRUPT for a file that lost its bytes.

        The bytes are not read here: `verify` does that.
        """
        path = self._path(sha256)
        if not path.is_file():
            raise EdgewrightError(
                ErrorCode.ARTIFACT_UNKNOWN,
                f"no artifact {sha256[:12]} in {self._folder}",
                "It was removed from the store: repeat the command that made it.",
            )
        if path.stat().st_size == 0 and sha256 != hashlib.sha256().hexdigest():
            raise self._corrupt(sha256, path)
        return path

    def verify(self, sha256: str) -> Path:
        """`path_of`, with the bytes compared with their name. Raises ARTIFACT_CORRUPT."""
        path = self.path_of(sha256)
        with translated_files(path), path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise self._corrupt(sha256, path)
        return path

    def read_bytes(self, sha256: str) -> bytes:
        """The bytes of an artifact, verified. Raises ARTIFACT_UNKNOWN, ARTIFACT_CORRUPT."""
        path = self.path_of(sha256)
        with translated_files(path):
            data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise self._corrupt(sha256, path)
        return data

    def contains(self, sha256: str) -> bool:
        return self._path(sha256).is_file()

    def digests(self) -> Iterator[str]:
        """Every artifact there is."""
        if self._folder.is_dir():
            for path in sorted(self._folder.glob("??/*")):
                if _DIGEST.fullmatch(path.name):
                    yield path.name

    def remove_unreferenced(
        self, referenced: Collection[str], older_than_seconds: float = _YOUNG_SECONDS
    ) -> tuple[int, int]:
        """Deletes files that are not `referenced` and not young; gives (files, bytes) freed.

        Young ones stay: another command may be about to record them.
        """
        files = size_bytes = 0
        limit = time.time() - older_than_seconds
        for path in [*self._folder.glob("??/*"), *self._folder.glob(f"*{_PART}")]:
            if path.name in referenced:
                continue
            with translated_files(path):
                try:
                    facts = path.stat()
                    if facts.st_mtime > limit:
                        continue
                    path.unlink()
                except FileNotFoundError:
                    continue  # another sweep was first
            files += 1
            size_bytes += facts.st_size
        return files, size_bytes

    def _path(self, sha256: str) -> Path:
        if not _DIGEST.fullmatch(sha256):
            raise EdgewrightError(
                ErrorCode.ARTIFACT_UNKNOWN,
                f"{sha256!r} is not a sha256: 64 of 0-9 and a-f",
                "`edgewright variant show` lists the artifacts of a variant.",
            )
        return self._folder / sha256[:2] / sha256

    def _put(self, write: Callable[[_HashingFile], None]) -> tuple[str, int]:
        with translated_files(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with _temporary(self._folder) as (file, temporary):
                target = _HashingFile(file)
                write(target)
                file.flush()
                os.fsync(file.fileno())
                sha256 = target.digest.hexdigest()
                path = self._path(sha256)
                path.parent.mkdir(exist_ok=True)
                temporary.replace(path)  # also where it exists: heals a damaged one, and is young for a sweep
                _sync_folder(path.parent)
        return sha256, target.size_bytes

    def _corrupt(self, sha256: str, path: Path) -> EdgewrightError:
        return EdgewrightError(
            ErrorCode.ARTIFACT_CORRUPT,
            f"the bytes of {path} do not have the sha256 {sha256[:12]} that names them",
            "Delete that file and repeat the command that made it.",
        )


class _HashingFile:
    """Writes through, counting and hashing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self.digest.update(data)
        self.size_bytes += len(data)


def _copy(source: BinaryIO, target: _HashingFile) -> None:
    while chunk := source.read(_CHUNK_BYTES):
        target.write(chunk)


def _copy_bytes(data: bytes, target: _HashingFile) -> None:
    view = memoryview(data)
    for start in range(0, len(view), _CHUNK_BYTES):
        target.write(view[start : start + _CHUNK_BYTES])


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A file in `folder` that is gone after the block unless it was renamed."""
    descriptor, name = tempfile.mkstemp(suffix=_PART, dir=folder)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)
            yield file, path
    finally:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
