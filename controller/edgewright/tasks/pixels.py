"""From an image to the pixels that a network gets: colour, resize rule, crop; the one place where it is done.

Pillow's resamplers are used; its bilinear and bicubic filters widen when they shrink an image (antialiasing),
as torchvision's and timm's evaluation transforms on images do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from edgewright.core.spec_graph import default_resize_size
from edgewright.core.values import Color, InputSpec, Interpolation, Resize
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Normalization

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]

_RESAMPLING: Mapping[Interpolation, Image.Resampling] = {
    Interpolation.BILINEAR: Image.Resampling.BILINEAR,
    Interpolation.BICUBIC: Image.Resampling.BICUBIC,
    Interpolation.NEAREST: Image.Resampling.NEAREST,
    Interpolation.AREA: Image.Resampling.BOX,
}


def load_pixels(image: Image.Image, spec: InputSpec) -> Pixels:
    """`image` (any size, a mode that converts to RGB) as uint8 [H, W, C], in the network's channel order.

    Raises SPEC_INVALID when the spec has no size.
    """
    height, width = known_size(spec)
    image = image.convert("L" if spec.color is Color.GRAY else "RGB")
    image = _RESIZERS[spec.resize](image, width, height, spec)
    pixels = np.array(image, dtype=np.uint8)
    if spec.color is Color.GRAY:
        return pixels[..., np.newaxis]
    return np.ascontiguousarray(pixels[..., ::-1]) if spec.color is Color.BGR else pixels


def normalization_of(spec: InputSpec) -> Normalization:
    """What is left to do with the pixels of `load_pixels`; agent and `network_batches` do it alike."""
    return Normalization(spec.mean, spec.std, spec.layout.value if spec.layout else "nchw")


def known_size(spec: InputSpec) -> tuple[int, int]:
    """(height, width); raises SPEC_INVALID when there is none."""
    if spec.size is None:
        raise EdgewrightError(
            ErrorCode.SPEC_INVALID,
            "input.size is not known: neither the spec nor the network says it",
            "set input.size = [height, width] in the spec file",
        )
    return spec.size


def _resized(image: Image.Image, size: tuple[int, int], spec: InputSpec) -> Image.Image:
    return image if image.size == size else image.resize(size, _RESAMPLING[spec.interpolation])


def _stretch(image: Image.Image, width: int, height: int, spec: InputSpec) -> Image.Image:
    return _resized(image, (width, height), spec)


def _shorter_side(image: Image.Image, width: int, height: int, spec: InputSpec) -> Image.Image:
    """The shorter side becomes `resize_size`, the other one keeps the ratio; then a centre crop."""
    shorter = spec.resize_size or default_resize_size((height, width))
    scale = shorter / min(image.size)
    scaled = round(image.width * scale), round(image.height * scale)
    image = _resized(image, (max(width, scaled[0]), max(height, scaled[1])), spec)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _letterbox(image: Image.Image, width: int, height: int, spec: InputSpec) -> Image.Image:
    """The whole image as large as fits, on a ground of `pad`: in the middle, or in the top left corner."""
    scale = min(width / image.width, height / image.height)
    inner = (
        min(width, max(1, round(image.width * scale))),
        min(height, max(1, round(image.height * scale))),
    )
    corner = (0, 0)
    if spec.resize is Resize.LETTERBOX:
        corner = (width - inner[0]) // 2, (height - inner[1]) // 2
    ground = Image.new(image.mode, (width, height), spec.pad if image.mode == "L" else (spec.pad,) * 3)
    ground.paste(_resized(image, inner, spec), corner)
    return ground


_RESIZERS = {
    Resize.STRETCH: _stretch,
    Resize.SHORTER_SIDE: _shorter_side,
    Resize.LETTERBOX: _letterbox,
    Resize.LETTERBOX_TOP_LEFT: _letterbox,
}
