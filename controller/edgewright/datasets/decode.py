"""Bytes of an image file to pixels, guarded against broken and hostile files."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# What Pillow may try: raster formats only, nothing that starts another program.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
)
MAX_PIXELS = 89_478_485  # Pillow's own bound: a quarter gigabyte as RGB
_ORIENTATION_TAG = 0x0112
# Everything Pillow's decoders raise on damaged files.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


class UndecodableError(Exception):
    """The file is no image that can be used; the text says why."""


@contextlib.contextmanager
def quiet_decoding() -> Iterator[None]:
    """Keeps Pillow's remarks on odd metadata off the terminal; enter it in the thread that starts others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(data: bytes) -> Image.Image:
    """The first frame as an image of mode RGB, or L where the file is grey, turned upright as EXIF says.

    Transparency is dropped, 16-bit grey becomes 8-bit. Raises UndecodableError.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UndecodableError(f"{image.width}x{image.height} pixels, more than {MAX_PIXELS}")
            image.load()
            return _plain_mode(_upright(image))
    except _BROKEN as error:
        raise UndecodableError(_reason(error)) from error


def _upright(image: Image.Image) -> Image.Image:
    # Damaged metadata is no reason to refuse sound pixels.
    orientation = None
    with contextlib.suppress(*_BROKEN):
        orientation = image.getexif().get(_ORIENTATION_TAG)
    if orientation not in range(2, 9):
        return image
    with contextlib.suppress(*_BROKEN):
        return ImageOps.exif_transpose(image)
    return image


def _plain_mode(image: Image.Image) -> Image.Image:
    if image.mode in ("RGB", "L"):
        return image.copy()
    if image.mode in ("1", "LA"):
        return image.convert("L")
    if image.mode.startswith("I;16"):  # Pillow's own conversion would clip at 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _reason(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else f"{text[:117]}..."
