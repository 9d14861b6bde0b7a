"""Form `imagefolder`: one folder a class, numbered in alphabetical order, also zipped; and form `images`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from edgewright.core.values import Skipped
from edgewright.datasets.decode import SUFFIXES
from edgewright.datasets.listing import Entry, Listing
from edgewright.datasets.storage import Storage
from edgewright_contract.errors import EdgewrightError, ErrorCode

_PART_NAMES = frozenset(("train", "training", "test", "testing", "val", "valid", "validation", "eval"))
_NO_SUFFIX = "not an image by its name"

Parts = tuple[str, ...]


def list_images(path: Path, storage: Storage) -> Listing:
    """Every image below `path`, without labels."""
    images, others = _by_suffix(storage)
    skipped = tuple(Skipped(file, _NO_SUFFIX) for file in others)
    return Listing("images", path, tuple(Entry(file) for file in images), (), skipped)


def list_imagefolder(path: Path, storage: Storage) -> Listing:
    """Every image below the class folders; an empty folder still counts as a class, and is said to be empty.

    Folders that hold other files only are no classes. Folders that wrap all class folders
    (`data/train/<class>/`) are passed through.

    Raises DATASET_EMPTY, DATASET_ONE_CLASS, and DATASET_INVALID when
    there are no class folders or several parts of a data set.
    """
    images, others = _by_suffix(storage)
    if not images:
        raise EdgewrightError(
            ErrorCode.DATASET_EMPTY,
            f"no images in {path}",
            f"one folder a class is expected, with files such as {', '.join(sorted(SUFFIXES)[:6])}",
        )
    wrapper = _wrapper([PurePosixPath(file).parts for file in images])
    classes, empty = _class_names(path, wrapper, images, others, storage)
    number = {name: index for index, name in enumerate(classes)}
    entries: list[Entry] = []
    skipped = [Skipped(file, _NO_SUFFIX) for file in others]
    skipped += [Skipped(f"{'/'.join((*wrapper, name))}/", "a class without any image") for name in empty]
    for file in images:
        parts = PurePosixPath(file).parts
        if len(parts) < len(wrapper) + 2 or parts[: len(wrapper)] != wrapper:
            skipped.append(Skipped(file, "not in a class folder"))
        else:
            entries.append(Entry(file, number[parts[len(wrapper)]]))
    return Listing("imagefolder", path, tuple(entries), classes, tuple(skipped))


def has_class_folders(storage: Storage) -> bool:
    """Whether images lie in folders that may be classes; a single folder `images` is none."""
    images, _ = _by_suffix(storage)
    tops = _tops(images, _wrapper([PurePosixPath(file).parts for file in images]))
    return bool(tops) and {name.lower() for name in tops} != {"images"}


def _by_suffix(storage: Storage) -> tuple[list[str], list[str]]:
    images: list[str] = []
    others: list[str] = []
    for file in storage.files():
        (images if PurePosixPath(file).suffix.lower() in SUFFIXES else others).append(file)
    return images, others


def _wrapper(paths: list[Parts]) -> Parts:
    """The folders that hold all class folders."""
    nested = [parts for parts in paths if len(parts) >= 2]
    depth = 0
    while len({parts[depth] for parts in nested}) == 1 and any(len(parts) >= depth + 3 for parts in nested):
        depth += 1
        nested = [parts for parts in nested if len(parts) >= depth + 2]
    return nested[0][:depth] if nested else ()


def _class_names(
    path: Path, wrapper: Parts, images: list[str], others: list[str], storage: Storage
) -> tuple[tuple[str, ...], list[str]]:
    """All classes, and those of them whose folders are empty."""
    depth = len(wrapper)
    folders = [PurePosixPath(folder).parts for folder in storage.folders()]
    with_images, with_others = _tops(images, wrapper), _tops(others, wrapper)
    empty = {parts[depth] for parts in folders if len(parts) > depth and parts[:depth] == wrapper}
    empty -= with_images | with_others
    names = sorted(with_images | empty)
    deeper = any(len(PurePosixPath(file).parts) >= depth + 3 for file in images)
    if len(names) >= 2 and deeper and all(name.lower() in _PART_NAMES for name in names):
        raise EdgewrightError(
            ErrorCode.DATASET_INVALID,
            f"{path} holds several parts of a data set: {', '.join(names)}",
            f"add one of them, for example {path / names[0]} (unpack a zip first)",
        )
    if not names:
        raise EdgewrightError(
            ErrorCode.DATASET_INVALID,
            f"{path} has no class folders: its {len(images)} images lie side by side",
            "sort them into one folder a class, use a csv with labels, or add them with --format images",
        )
    if len(names) == 1:
        raise EdgewrightError(
            ErrorCode.DATASET_ONE_CLASS,
            f"{path} has one class folder, {names[0]!r}; a classifier needs at least 2",
            "add the folder above it, or --format images for images without labels",
        )
    return tuple(names), sorted(empty)


def _tops(files: list[str], wrapper: Parts) -> set[str]:
    """The folders directly below `wrapper` that hold some of `files`."""
    depth = len(wrapper)
    paths = [PurePosixPath(file).parts for file in files]
    return {parts[depth] for parts in paths if len(parts) >= depth + 2 and parts[:depth] == wrapper}
