"""Reading images again, and what decoding does to odd ones."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgewright.datasets.decode import UndecodableError, decode, quiet_decoding
from edgewright.datasets.scan import scan
from edgewright.datasets.source import ImageSource
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.datasets.pictures import png, two_classes, write_tree, write_zip


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


@pytest.mark.parametrize("zipped", [False, True])
def test_samples_open_as_the_images_they_were(tmp_path: Path, zipped: bool) -> None:
    """Folder and zip give the pixels that were written."""
    files = two_classes()
    path = write_zip(tmp_path / "s.zip", files) if zipped else write_tree(tmp_path, files)
    dataset = scan("d", path, None, 0)

    with ImageSource(dataset.path, dataset.format) as source:
        for sample in dataset.samples:
            expected = np.asarray(Image.open(io.BytesIO(files[sample.file])))
            assert np.array_equal(np.asarray(source.open(sample)), expected)


@pytest.mark.parametrize("change", ["content", "removed"])
def test_a_file_that_changed_is_noticed(tmp_path: Path, change: str) -> None:
    """An image that is not the registered one any more is refused by name."""
    dataset = scan("d", write_tree(tmp_path, two_classes()), None, 0)
    victim = tmp_path / dataset.samples[0].file
    if change == "content":
        victim.write_bytes(png(999))
    else:
        victim.unlink()

    with ImageSource(dataset.path, dataset.format) as source, pytest.raises(EdgewrightError) as caught:
        source.open(dataset.samples[0])

    assert caught.value.code is ErrorCode.DATASET_CHANGED
    assert dataset.samples[0].file in caught.value.message


def test_a_data_set_that_is_gone_is_refused(tmp_path: Path) -> None:
    """A removed folder is named."""
    with pytest.raises(EdgewrightError) as caught, ImageSource(tmp_path / "gone", "images"):
        pass

    assert caught.value.code is ErrorCode.FILE_NOT_FOUND


def test_exif_orientation_is_applied() -> None:
    """A photo marked as turned by 90 degrees is decoded upright."""
    image = Image.fromarray(np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees

    turned = decode(encoded(image, "PNG", exif=exif))

    assert np.array_equal(np.asarray(turned), np.rot90(np.asarray(image), -1))


@pytest.mark.parametrize(
    ("image", "mode", "value"),
    [
        (Image.new("RGBA", (2, 2), (10, 20, 30, 0)), "RGB", (10, 20, 30)),
        (Image.new("LA", (2, 2), (77, 0)), "L", 77),
        (Image.new("1", (2, 2), 1), "L", 255),
        (Image.new("P", (2, 2), 0), "RGB", (0, 0, 0)),
        (Image.fromarray(np.full((2, 2), 0xABCD, np.uint16)), "L", 0xAB),
    ],
)
def test_other_modes_become_rgb_or_grey(image: Image.Image, mode: str, value: object) -> None:
    """Transparency is dropped, palettes are looked up, one-bit and 16-bit grey become 8-bit grey."""
    decoded = decode(encoded(image, "PNG"))

    assert (decoded.mode, decoded.getpixel((0, 0))) == (mode, value)


def test_formats_that_start_other_programs_are_not_tried() -> None:
    """PostScript is no image here, even where Pillow could have it rendered."""
    with pytest.raises(UndecodableError, match="not an image"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 500),
)
def test_damaged_images_never_raise_anything_else(format: str, changes: list[tuple[int, int]], length: int) -> None:
    """Whatever bytes are changed or cut off, the answer is an image or UndecodableError."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8))
    content = bytearray(encoded(image, format))
    for position, value in changes:
        content[position % len(content)] = value

    with quiet_decoding():
        for data in (bytes(content), bytes(content[:length])):
            with contextlib.suppress(UndecodableError):
                assert decode(data).mode in ("RGB", "L")
