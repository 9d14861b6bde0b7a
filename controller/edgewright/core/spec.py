"""Spec files: how an image becomes a network's input, as TOML, and the ready specs that have a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomllib

from edgewright.core.plain import to_plain
from edgewright.core.spec_fields import INPUT_FIELDS, OUTPUT_FIELDS, Place, read_table, unknown_key
from edgewright.core.spec_graph import spec_with_size
from edgewright.core.values import Color, InputSpec, Interpolation, ModelSpec, OutputSpec, Resize
from edgewright_contract.errors import EdgewrightError, ErrorCode

__all__ = [
    "NAMED_SPECS",
    "parse_spec",
    "resolve_spec",
    "spec_from_dict",
    "spec_to_dict",
    "spec_with_size",
]

_IMAGENET_MEAN, _IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

NAMED_SPECS: Mapping[str, ModelSpec] = {
    # torchvision, and what timm calls default: shorter side, centre crop, mean and deviation of ImageNet
    "imagenet": ModelSpec(InputSpec(mean=_IMAGENET_MEAN, std=_IMAGENET_STD)),
    "imagenet_bicubic": ModelSpec(
        InputSpec(mean=_IMAGENET_MEAN, std=_IMAGENET_STD, interpolation=Interpolation.BICUBIC)
    ),
    "efficientnet_lite": ModelSpec(InputSpec(mean=(127.0,) * 3, std=(128.0,) * 3, interpolation=Interpolation.BICUBIC)),
    # TensorFlow's and timm's Inception family: -1..1
    "inception": ModelSpec(InputSpec(mean=(127.5,) * 3, std=(127.5,) * 3, interpolation=Interpolation.BICUBIC)),
    "zero_to_one": ModelSpec(InputSpec(std=(255.0,))),
    "caffe": ModelSpec(
        InputSpec(color=Color.BGR, mean=(104.006, 116.669, 122.679)), OutputSpec(decoder="probabilities")
    ),
    # CIFAR-10: images already have the network's size
    "cifar": ModelSpec(
        InputSpec(
            size=(32, 32),
            mean=(125.307, 122.9505, 113.865),
            std=(62.985, 62.08875, 66.708),
            resize=Resize.STRETCH,
        )
    ),
    # TensorFlow's ready uint8 networks: pixels as they are, 1001 outputs with background first
    "tf_mobilenet_quant": ModelSpec(InputSpec(), OutputSpec(first_class=1)),
    # the built-in example: Fashion-MNIST
    "example": ModelSpec(
        InputSpec(size=(28, 28), color=Color.GRAY, mean=(72.94,), std=(90.02,), resize=Resize.STRETCH)
    ),
}


def parse_spec(text: str, origin: str) -> ModelSpec:
    """The spec in a TOML text; `origin` (a file's name) leads every message.

    Raises SPEC_INVALID with the path of keys down to the field, its value and what is allowed.
    """
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise EdgewrightError(
            ErrorCode.SPEC_INVALID, f"{origin} is not TOML: {error}", "docs/specs.md shows a whole spec file"
        ) from error
    return spec_from_dict(data, origin)


def spec_from_dict(data: Mapping[str, Any], origin: str) -> ModelSpec:
    """As `parse_spec`, from the tables; the inverse of `spec_to_dict`."""
    place = Place(origin)
    for key in data:
        if key not in ("input", "output"):
            raise unknown_key(place, key, ("input", "output"))
    spec = ModelSpec(
        InputSpec(**read_table(place.down("input"), data.get("input", {}), INPUT_FIELDS)),
        OutputSpec(**read_table(place.down("output"), data.get("output", {}), OUTPUT_FIELDS)),
    )
    _check_together(place, spec.input)
    return spec


def spec_to_dict(spec: ModelSpec) -> dict[str, Any]:
    """The spec as JSON's types, with the names of the spec file; what is not known yet is None."""
    plain: dict[str, Any] = to_plain(spec)
    return plain


def resolve_spec(text_or_name: str, origin: str = "spec") -> ModelSpec:
    """A ready spec by its name, or the spec in a TOML text. Raises SPEC_INVALID."""
    if text_or_name in NAMED_SPECS:
        return NAMED_SPECS[text_or_name]
    if any(mark in text_or_name for mark in "\n=["):
        return parse_spec(text_or_name, origin)
    raise unknown_key(Place(origin), text_or_name, tuple(NAMED_SPECS), "no spec file and no ready spec is named")


def _check_together(place: Place, spec: InputSpec) -> None:
    """What no field shows alone."""
    channels = 1 if spec.color is Color.GRAY else 3
    for name, values in (("mean", spec.mean), ("std", spec.std)):
        if len(values) not in (0, 1, channels):
            raise (
                place.down("input")
                .down(name)
                .refused(list(values), f"one value, or {channels} as color is {spec.color.value!r}")
            )
    if spec.size is not None and spec.resize_size is not None and spec.resize_size < min(spec.size):
        raise (
            place.down("input")
            .down("resize_size")
            .refused(
                spec.resize_size,
                f"at least {min(spec.size)}, the smaller side of input.size, which is cropped from it",
            )
        )
