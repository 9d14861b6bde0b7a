"""From image to pixels, against the assets' documented snippet and by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgewright.core.values import Color, InputSpec, Interpolation, Layout, Resize
from edgewright.tasks.pixels import load_pixels, normalization_of
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Normalization


def documented(image: Image.Image, size: int, interpolation: Image.Resampling) -> npt.NDArray[np.uint8]:
    """The crop as the README of the assets documents it, up to the subtraction of the mean."""
    im = image.convert("RGB")
    w, h = im.size
    k = round(size * 256 / 224) / min(w, h)
    if k != 1:
        im = im.resize((max(size, round(w * k)), max(size, round(h * k))), interpolation)
    w, h = im.size
    left, top = (w - size) // 2, (h - size) // 2
    return np.asarray(im.crop((left, top, left + size, top + size)), np.uint8)


@pytest.mark.assets
@pytest.mark.parametrize("size", [224, 128, 320])
@pytest.mark.parametrize("interpolation", [Interpolation.BILINEAR, Interpolation.BICUBIC])
def test_shorter_side_equals_the_documented_snippet(assets: Path, size: int, interpolation: Interpolation) -> None:
    """On real photographs every pixel is the documented one, shrinking and growing."""
    folder = assets / "data" / "imagenet_samples"
    rows = list(csv.DictReader((folder / "labels.csv").read_text().splitlines()))[::25]
    spec = InputSpec(size=(size, size), interpolation=interpolation)

    for row in rows:
        with Image.open(folder / row["file"]) as image:
            expected = documented(image, size, getattr(Image.Resampling, interpolation.name))
            assert np.array_equal(load_pixels(image, spec), expected), row["file"]


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40))
def test_shorter_side_equals_the_snippet_on_any_image(width: int, height: int, size: int) -> None:
    """Tiny, huge, tall and wide images keep to the rule."""
    image = noise(width, height)

    expected = documented(image, size, Image.Resampling.BILINEAR)

    assert np.array_equal(load_pixels(image, InputSpec(size=(size, size))), expected)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.sampled_from(Resize),
    st.sampled_from(Color),
    st.sampled_from(Interpolation),
    st.sampled_from(["RGB", "L"]),
)
def test_the_shape_is_always_the_networks(
    width: int,
    height: int,
    size: tuple[int, int],
    resize: Resize,
    color: Color,
    interpolation: Interpolation,
    mode: str,
) -> None:
    """Every rule gives [H, W, C] uint8 for every image."""
    spec = InputSpec(size=size, resize=resize, color=color, interpolation=interpolation)

    pixels = load_pixels(noise(width, height, mode), spec)

    assert (pixels.shape, pixels.dtype) == ((*size, 1 if color is Color.GRAY else 3), np.dtype(np.uint8))
    assert pixels.flags.c_contiguous


def test_stretch_ignores_the_ratio() -> None:
    """A 4x2 image of four colours in blocks becomes 2x4 with the same corners."""
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))

    pixels = load_pixels(image, InputSpec(size=(4, 2), resize=Resize.STRETCH, interpolation=Interpolation.NEAREST))

    assert pixels[:, :, 0].tolist() == [[3, 9], [3, 9], [15, 21], [15, 21]]


@pytest.mark.parametrize(("resize", "above"), [(Resize.LETTERBOX, 2), (Resize.LETTERBOX_TOP_LEFT, 0)])
def test_letterbox_keeps_the_ratio_and_pads(resize: Resize, above: int) -> None:
    """A white 16x8 image in 8x8 is a white band of 8x4 on the grey of `pad`."""
    pixels = load_pixels(Image.new("RGB", (16, 8), "white"), InputSpec(size=(8, 8), resize=resize, pad=114))

    assert (pixels[above : above + 4] == 255).all()
    assert (np.delete(pixels, range(above, above + 4), axis=0) == 114).all()


def test_letterbox_enlarges_small_images() -> None:
    """The whole image is made as large as fits."""
    pixels = load_pixels(Image.new("L", (2, 4), 9), InputSpec(size=(8, 8), resize=Resize.LETTERBOX, pad=0))

    assert pixels[0, :, 0].tolist() == [0, 0, 9, 9, 9, 9, 0, 0]


def test_area_is_the_mean_of_the_covered_pixels() -> None:
    """Halving by area averages blocks of 2x2."""
    image = Image.fromarray(np.array([[0, 10, 100, 100], [20, 30, 100, 200]], np.uint8))

    spec = InputSpec(size=(1, 2), resize=Resize.STRETCH, color=Color.GRAY, interpolation=Interpolation.AREA)

    assert load_pixels(image, spec)[..., 0].tolist() == [[15, 125]]


def test_channel_orders() -> None:
    """RGB as it is, BGR turned round, grey by ITU-R 601 weights."""
    image = Image.new("RGB", (1, 1), (200, 100, 50))
    values = {
        color: load_pixels(image, InputSpec(size=(1, 1), resize=Resize.STRETCH, color=color))[0, 0].tolist()
        for color in Color
    }

    grey = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    assert values == {Color.RGB: [200, 100, 50], Color.BGR: [50, 100, 200], Color.GRAY: [grey]}


def test_normalization_carries_mean_std_and_layout() -> None:
    """What the agent does afterwards is the spec's; without a layout it is nchw."""
    spec = InputSpec(mean=(1.0, 2.0, 3.0), std=(4.0,), layout=Layout.NHWC)

    assert normalization_of(spec) == Normalization((1.0, 2.0, 3.0), (4.0,), "nhwc")
    assert normalization_of(InputSpec()) == Normalization((), (), "nchw")


def test_without_a_size_there_are_no_pixels() -> None:
    """An unknown size is refused by its key."""
    with pytest.raises(EdgewrightError) as caught:
        load_pixels(noise(4, 4), InputSpec())

    assert caught.value.code is ErrorCode.SPEC_INVALID
    assert "input.size" in caught.value.message
