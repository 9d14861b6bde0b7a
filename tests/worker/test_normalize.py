"""Normalisation is one code path, exact to float32, and says what does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewright_contract import normalize
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Normalization

IMAGES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.just(3)))
MEANS = st.lists(st.floats(-255, 255, width=32), min_size=3, max_size=3).map(tuple)
STDS = st.lists(st.floats(0.125, 255, width=32), min_size=3, max_size=3).map(tuple)


@given(IMAGES, MEANS, STDS)
def test_float32_is_within_two_roundings_of_exact(
    samples: np.ndarray[Any, Any], mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    """Each of the two steps adds at most half a unit in the last place to the float64 result."""
    exact = (samples.astype(np.float64) - np.array(mean)) / np.array(std)

    result = normalize.apply(samples, Normalization(mean, std, "nhwc"), "float32")

    assert result.dtype == np.float32
    tolerance = 2.0 * np.abs(exact) * np.finfo(np.float32).eps * 0.5 + np.finfo(np.float32).tiny
    assert (np.abs(result - exact) <= tolerance).all()


@given(IMAGES, MEANS, STDS, st.sampled_from(["float16", "float32", "float64"]))
def test_the_batch_does_not_change_a_bit(
    samples: np.ndarray[Any, Any], mean: tuple[float, ...], std: tuple[float, ...], dtype: str
) -> None:
    """Sample by sample, as the agent does, gives the bits of the whole batch, as the controller does."""
    normalization = Normalization(mean, std, "nchw")
    singly = [normalize.apply(samples[i : i + 1], normalization, dtype) for i in range(len(samples))]

    with np.errstate(over="ignore"):
        together = normalize.apply(samples, normalization, dtype)

    assert np.concatenate(singly).tobytes() == together.tobytes()


def test_nchw_by_hand() -> None:
    """Channels move to axis 1; each has its own mean and std."""
    samples = np.array([[[[10, 20, 30], [40, 50, 60]]]], dtype=np.uint8)

    result = normalize.apply(samples, Normalization((10.0, 20.0, 30.0), (1.0, 2.0, 10.0), "nchw"), "float32")

    assert result.tolist() == [[[[0.0, 30.0]], [[0.0, 15.0]], [[0.0, 3.0]]]]
    assert result.flags.c_contiguous


def test_one_value_serves_all_channels_and_none_means_nothing() -> None:
    """mean (127,) is (127, 127, 127); without mean and std the values stay."""
    samples = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)

    one = normalize.apply(samples, Normalization((127.0,), (128.0,), "nhwc"), "float32")
    three = normalize.apply(samples, Normalization((127.0,) * 3, (128.0,) * 3, "nhwc"), "float32")
    bare = normalize.apply(samples, Normalization(), "float32")

    assert one.tobytes() == three.tobytes()
    assert (bare == samples).all()


@pytest.mark.parametrize(("layout", "shape"), [("nchw", (2, 1, 4, 5)), ("nhwc", (2, 4, 5, 1)), ("", (2, 4, 5))])
def test_grey_images_get_a_channel(layout: str, shape: tuple[int, ...]) -> None:
    """[N, H, W] and [N, H, W, 1] are the same images where a layout says that they are images."""
    samples = np.arange(40, dtype=np.uint8).reshape(2, 4, 5)

    result = normalize.apply(samples, Normalization((1.0,), (2.0,), layout), "float32")

    assert result.shape == shape
    assert result.ravel().tolist() == [(value - 1) / 2 for value in range(40)]


def test_float16_is_rounded_once() -> None:
    """The float32 result is rounded to float16, not computed in it."""
    samples = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)

    result = normalize.apply(samples, Normalization((123.675,), (58.395,), "nhwc"), "float16")

    wide = normalize.apply(samples, Normalization((123.675,), (58.395,), "nhwc"), "float32")
    assert (result == wide.astype(np.float16)).all()


def test_integer_networks_get_raw_samples() -> None:
    """uint8 passes through whatever mean and std say; int8 is 128 less; layout still applies."""
    samples = np.array([0, 1, 127, 128, 255, 7], dtype=np.uint8).reshape(1, 1, 2, 3)
    normalization = Normalization((127.0,), (128.0,), "nchw")

    raw = normalize.apply(samples, normalization, "uint8")
    signed = normalize.apply(samples, normalization, "int8")

    assert raw.tolist() == [[[[0, 128]], [[1, 255]], [[127, 7]]]]
    assert signed.tolist() == [[[[-128, 0]], [[-127, 127]], [[-1, -121]]]]
    assert signed.dtype == np.int8


@pytest.mark.parametrize(
    ("samples", "normalization", "dtype", "code"),
    [
        (np.zeros((1, 2, 2, 3), np.uint8), Normalization(layout="chwn"), "float32", ErrorCode.SPEC_INVALID),
        (np.zeros((1, 2, 2, 3), np.uint8), Normalization(std=(0.0,)), "float32", ErrorCode.SPEC_INVALID),
        (
            np.zeros((1, 2, 2, 3), np.uint8),
            Normalization(mean=(float("nan"),)),
            "float32",
            ErrorCode.SPEC_INVALID,
        ),
        (np.zeros((1, 2, 2, 3), np.uint8), Normalization(mean=(1.0, 2.0)), "float32", ErrorCode.SPEC_MISMATCH),
        (np.zeros((4, 9), np.uint8), Normalization(layout="nchw"), "float32", ErrorCode.SPEC_MISMATCH),
        (np.zeros((1, 2, 2, 3), np.float32), Normalization(), "uint8", ErrorCode.SPEC_MISMATCH),
        (np.zeros((1, 4), np.float32), Normalization(), "int64", ErrorCode.SPEC_MISMATCH),
    ],
)
def test_what_does_not_fit_is_refused(
    samples: np.ndarray[Any, Any], normalization: Normalization, dtype: str, code: ErrorCode
) -> None:
    """Unknown layouts, impossible stds, wrong channel counts, lossy dtypes: an error with a hint, no guess."""
    with pytest.raises(EdgewrightError) as caught:
        normalize.apply(samples, normalization, dtype)

    assert caught.value.code is code
    assert caught.value.hint
