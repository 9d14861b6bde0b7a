"""Reading a registered data set's images again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType

from PIL import Image

from edgewright.core.values import Sample
from edgewright.datasets.decode import UndecodableError, decode
from edgewright.datasets.storage import FolderStorage, Storage, UnreadableError, open_storage
from edgewright_contract.errors import EdgewrightError, ErrorCode


class ImageSource:
    """The images of the data set at `path` (`Dataset.path`, `Dataset.format`); a context manager."""

    def __init__(self, path: Path | str, format: str) -> None:
        self.path = Path(path)
        self._is_csv = format == "csv"
        self._storage: Storage | None = None

    def __enter__(self) -> ImageSource:
        """Raises FILE_NOT_FOUND or DATASET_INVALID when the data set is gone."""
        self._storage = FolderStorage(self.path.parent) if self._is_csv else open_storage(self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._storage is not None:
            self._storage.close()
            self._storage = None

    def open(self, sample: Sample) -> Image.Image:
        """The decoded, upright image of mode RGB or L; safe in several threads.

        Raises DATASET_CHANGED when the file is no longer the one that was registered.
        """
        if self._storage is None:
            raise RuntimeError("ImageSource is used outside of its with block")
        try:
            data = self._storage.read(sample.file)
            if hashlib.sha256(data).hexdigest() != sample.sha256:
                raise _changed(self.path, sample, "its content is another")
            return decode(data)
        except (UnreadableError, UndecodableError) as error:
            raise _changed(self.path, sample, str(error)) from error


def _changed(path: Path, sample: Sample, reason: str) -> EdgewrightError:
    return EdgewrightError(
        ErrorCode.DATASET_CHANGED,
        f"{sample.file} of {path} is not as it was when the data set was added: {reason}",
        "restore the file, or remove the data set and add it again",
    )
