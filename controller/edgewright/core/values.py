"""The controller's vocabulary: frozen records without I/O. What the agent shares is in edgewright_contract.values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Task(StrEnum):
    """What a network is for; it decides the metric."""

    CLASSIFICATION = "classification"
    TENSOR = "tensor"  # no task: fidelity to the baseline only


class Layout(StrEnum):
    NCHW = "nchw"
    NHWC = "nhwc"


class Color(StrEnum):
    RGB = "rgb"
    BGR = "bgr"
    GRAY = "gray"


class Resize(StrEnum):
    """How an image of any size becomes one of the network's size."""

    STRETCH = "stretch"  # ignores the aspect ratio
    SHORTER_SIDE = "shorter_side"  # shorter side to `resize_size`, then a centre crop
    LETTERBOX = "letterbox"  # fits inside, padded on both sides
    LETTERBOX_TOP_LEFT = "letterbox_top_left"  # fits inside, padded right and below


class Interpolation(StrEnum):
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    NEAREST = "nearest"
    AREA = "area"


class Part(StrEnum):
    """The three parts of a data set; they never share an image."""

    CALIBRATION = "calibration"
    TUNING = "tuning"
    EVALUATION = "evaluation"


@dataclass(frozen=True)
class InputSpec:
    """How an image becomes the network's input.

    `size` is (height, width) in pixels; it and `layout` are None until the graph was asked (spec_graph.py);
    `mean` and `std` are on the 0..255 scale, one value or one a channel, in the network's channel order;
    `resize_size` is the length of the shorter side before the crop (None: round(256 / 224 *
    the smaller of `size`)); `pad` is the letterbox's grey.
    """

    size: tuple[int, int] | None = None
    layout: Layout | None = None
    color: Color = Color.RGB
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    resize: Resize = Resize.SHORTER_SIDE
    resize_size: int | None = None
    interpolation: Interpolation = Interpolation.BILINEAR
    pad: int = 114


@dataclass(frozen=True)
class OutputSpec:
    """How outputs are read. `first_class` is 1 where index 0 is background."""

    decoder: str = "logits"
    first_class: int = 0


@dataclass(frozen=True)
class ModelSpec:
    input: InputSpec = field(default_factory=InputSpec)
    output: OutputSpec = field(default_factory=OutputSpec)


@dataclass(frozen=True)
class Sample:
    """One image of a data set: `file` is relative to the data set's folder (or inside its zip)."""

    file: str
    sha256: str  # of the file's bytes
    class_index: int | None = None


@dataclass(frozen=True)
class Skipped:
    file: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """A registered data set. `identity` is a hash over format, labels and image contents."""

    name: str
    format: str
    path: str
    identity: str
    seed: int
    class_names: tuple[str, ...]  # empty: unlabelled
    samples: tuple[Sample, ...]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True)
class ProgressEvent:
    """Progress of long work: `done` of `total` (0: unknown) units of `text`."""

    text: str
    done: int = 0
    total: int = 0


ProgressCallback = Callable[[ProgressEvent], None]


def no_progress(_: ProgressEvent) -> None:
    """For callers who do not watch."""


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval."""

    value: float
    low: float
    high: float
