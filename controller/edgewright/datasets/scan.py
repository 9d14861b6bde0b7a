"""Reading a data set once: every image opened, hashed and verified, the set identified by its content."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from edgewright.core.values import Dataset, ProgressCallback, ProgressEvent, Sample, Skipped, no_progress
from edgewright.datasets.csv_file import is_label_csv, list_csv
from edgewright.datasets.decode import UndecodableError, decode, quiet_decoding
from edgewright.datasets.imagefolder import has_class_folders, list_imagefolder, list_images
from edgewright.datasets.listing import Entry, Listing
from edgewright.datasets.storage import FolderStorage, Storage, UnreadableError, open_storage
from edgewright_contract.errors import EdgewrightError, ErrorCode

FORMATS = ("imagefolder", "csv", "images")
THREADS, CHUNK = 2, 128


def scan(name: str, path: Path, format: str | None, seed: int, progress: ProgressCallback = no_progress) -> Dataset:
    """The data set at `path`; a format of None is found out and said through `progress`.

    Images that cannot be read or decoded are in `skipped`, with the reason. Samples are sorted by file.
    Raises OPTION_INVALID (format), FILE_NOT_FOUND, DATASET_INVALID, DATASET_EMPTY, DATASET_ONE_CLASS,
    LABEL_INVALID.
    """
    path = path.expanduser().absolute()
    if format is None:
        format = guess_format(path)
        progress(ProgressEvent(f"format not given: read as {format}"))
    storage = _storage(path, format)
    try:
        listing = _list(path, format, storage)
        samples, broken = _verify(listing.entries, storage, progress)
    finally:
        storage.close()
    skipped = (*listing.skipped, *broken)
    _check_content(listing, samples, skipped)
    return Dataset(
        name=name,
        format=listing.format,
        path=str(listing.path),
        identity=_identity(listing, samples),
        seed=seed,
        class_names=listing.class_names,
        samples=samples,
        skipped=tuple(sorted(skipped, key=lambda item: item.file)),
    )


def guess_format(path: Path) -> str:
    """imagefolder, csv or images, by what lies at `path`; raises as `scan` does."""
    if path.suffix.lower() in (".csv", ".tsv") and path.is_file():
        return "csv"
    if path.is_dir() and is_label_csv(path / "labels.csv"):
        return "csv"
    storage = open_storage(path)
    try:
        return "imagefolder" if has_class_folders(storage) else "images"
    finally:
        storage.close()


def duplicates(dataset: Dataset) -> tuple[tuple[Sample, ...], ...]:
    """Groups of samples whose files have the same bytes."""
    groups: dict[str, list[Sample]] = {}
    for sample in dataset.samples:
        groups.setdefault(sample.sha256, []).append(sample)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _storage(path: Path, format: str) -> Storage:
    if format not in FORMATS:
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID,
            f"unknown data set format {format!r}; known: {', '.join(FORMATS)}",
            "leave --format out to have it found out",
        )
    if format == "csv":
        return FolderStorage(path if path.is_dir() else path.parent)
    return open_storage(path)


def _list(path: Path, format: str, storage: Storage) -> Listing:
    if format == "csv":
        return list_csv(path / "labels.csv" if path.is_dir() else path)
    return list_imagefolder(path, storage) if format == "imagefolder" else list_images(path, storage)


def _verify(
    entries: Sequence[Entry], storage: Storage, progress: ProgressCallback
) -> tuple[tuple[Sample, ...], list[Skipped]]:
    """Samples in the entries' order; few are in flight at a time, so that Ctrl-C ends it soon."""
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    done = 0
    with quiet_decoding(), ThreadPoolExecutor(THREADS, "scan") as pool:
        for chunk in _chunks(entries):
            for result in pool.map(lambda entry: _inspect(entry, storage), chunk):
                if isinstance(result, Sample):
                    samples.append(result)
                else:
                    skipped.append(result)
            done += len(chunk)
            progress(ProgressEvent("checking images", done, len(entries)))
    return tuple(samples), skipped


def _chunks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    iterator = iter(entries)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _inspect(entry: Entry, storage: Storage) -> Sample | Skipped:
    try:
        data = storage.read(entry.file)
        decode(data)
    except (UnreadableError, UndecodableError) as error:
        return Skipped(entry.file, str(error))
    return Sample(entry.file, hashlib.sha256(data).hexdigest(), entry.class_index)


def _check_content(listing: Listing, samples: Sequence[Sample], skipped: Sequence[Skipped]) -> None:
    if not samples:
        first = "".join(f"; {item.file}: {item.reason}" for item in skipped[:3])
        raise EdgewrightError(
            ErrorCode.DATASET_EMPTY,
            f"no readable image in {listing.path} ({len(skipped)} skipped{first})",
            "check the path; in a csv, files are relative to the csv's own folder",
        )
    if listing.format == "imagefolder" and len({sample.class_index for sample in samples}) == 1:
        only = listing.class_names[samples[0].class_index or 0]
        raise EdgewrightError(
            ErrorCode.DATASET_ONE_CLASS,
            f"{listing.path} has readable images of one class only, {only!r}; a classifier needs at least 2",
            "add the other classes, or --format images for images without labels",
        )


def _identity(listing: Listing, samples: Sequence[Sample]) -> str:
    """A hash over format, classes, labels and image contents: names and order of files do not matter."""
    counts = Counter((-1 if item.class_index is None else item.class_index, item.sha256) for item in samples)
    content = [listing.format, listing.class_names, sorted((*key, count) for key, count in counts.items())]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
