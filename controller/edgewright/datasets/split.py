"""Dividing a data set into its three parts: seeded, stratified, never sharing an image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.core.values import Dataset, Part, Sample
from edgewright_contract.errors import EdgewrightError, ErrorCode

MIN_IMAGES = 4


@dataclass(frozen=True)
class Fractions:
    """The share of calibration and tuning, each up to a number of images; evaluation has the rest."""

    calibration: float = 0.25
    calibration_limit: int = 256
    tuning: float = 0.25
    tuning_limit: int = 500


@dataclass(frozen=True)
class _Group:
    """Images of equal content: they stay together."""

    position: float
    key: str
    samples: tuple[Sample, ...]


def split(dataset: Dataset, fractions: Fractions | None = None) -> dict[Part, tuple[Sample, ...]]:
    """Every sample in exactly one part. Depends on seed, labels and contents alone, not on names or order.

    Systematic sampling: the images of each class are shuffled by a keyed hash and spread evenly over [0, 1);
    a part is an interval of it, so it has every class's share within one image, and so has each part's first
    half or quarter: the samples of a part come in that order.

    Raises DATASET_TOO_SMALL when fewer than MIN_IMAGES different images leave a part empty.
    """
    fractions = fractions or Fractions()
    groups = sorted(_spread(dataset), key=lambda group: (group.position, group.key))
    if len(groups) < MIN_IMAGES:
        raise EdgewrightError(
            ErrorCode.DATASET_TOO_SMALL,
            f"data set {dataset.name!r} has {len(groups)} different images; at least {MIN_IMAGES} are needed "
            "for calibration, tuning and evaluation",
            "add more images; some hundred give useful figures",
        )
    room = {
        Part.CALIBRATION: _share(len(dataset.samples), fractions.calibration, fractions.calibration_limit),
        Part.TUNING: _share(len(dataset.samples), fractions.tuning, fractions.tuning_limit),
    }
    parts: dict[Part, list[Sample]] = {part: [] for part in Part}
    for group in groups:
        parts[_part_for(group, parts, room)].extend(group.samples)
    return {part: tuple(samples) for part, samples in parts.items()}


def _part_for(group: _Group, parts: dict[Part, list[Sample]], room: dict[Part, int]) -> Part:
    for part, limit in room.items():
        # One group must fit even where duplicates are larger than the part.
        if not parts[part] or len(parts[part]) + len(group.samples) <= limit:
            return part
    return Part.EVALUATION


def _share(count: int, fraction: float, limit: int) -> int:
    return max(1, min(limit, int(count * fraction)))


def _spread(dataset: Dataset) -> list[_Group]:
    contents: dict[str, list[Sample]] = {}
    for sample in dataset.samples:
        contents.setdefault(sample.sha256, []).append(sample)
    classes: dict[int, list[list[Sample]]] = {}
    for samples in contents.values():
        label = min(-1 if sample.class_index is None else sample.class_index for sample in samples)
        classes.setdefault(label, []).append(samples)
    groups: list[_Group] = []
    for label, members in classes.items():
        offset = int(_digest(dataset.seed, f"class {label}")[:12], 16) / 16**12
        keyed: Sequence[tuple[str, list[Sample]]] = sorted(
            ((_digest(dataset.seed, samples[0].sha256), samples) for samples in members),
            key=lambda item: item[0],
        )
        groups += [
            _Group((rank + offset) / len(keyed), key, tuple(sorted(samples, key=lambda sample: sample.file)))
            for rank, (key, samples) in enumerate(keyed)
        ]
    return groups


def _digest(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed}:{text}".encode()).hexdigest()
