"""Streaming histograms equal the histogram of all data at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewright.compress.observers import BINS, ChannelMeanObserver, HistogramObserver

# Ratios that float32 can hold: what is a hundred orders of magnitude below the bin width is zero to the observer.
MAGNITUDES = st.floats(2.0**-60, 2.0**60, width=32)
FLOATS = st.one_of(st.just(0.0), MAGNITUDES, MAGNITUDES.map(lambda value: -value))
BATCHES = st.lists(hnp.arrays(np.float32, st.integers(0, 60), elements=FLOATS), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(batches=BATCHES)
def test_histogram_equals_numpy_on_all_data(batches: list[np.ndarray]) -> None:
    """Counts, zeros and extremes are exactly those of all values together, whatever came when."""
    observer = HistogramObserver()
    for batch in batches:
        observer.update(batch)
    everything = np.concatenate(batches)
    histogram = observer.histogram()

    if everything.size == 0:
        assert histogram is None
        return
    assert histogram is not None
    assert (histogram.low, histogram.high) == (everything.min(), everything.max())
    assert histogram.zeros == np.sum(everything == 0)
    assert histogram.total == everything.size
    others = everything[everything != 0].astype(np.float64)
    if others.size:
        # A value is in bin floor(value / width): exact, the width being a power of two.
        expected = np.zeros(histogram.counts.size, np.int64)
        np.add.at(expected, np.floor(others / histogram.width).astype(np.int64) - histogram.first, 1)
        np.testing.assert_array_equal(histogram.counts, expected)
        assert np.log2(histogram.width) % 1 == 0
        assert histogram.counts.size <= BINS


@settings(max_examples=100, deadline=None)
@given(batches=BATCHES, seed=st.integers(0, 100))
def test_order_does_not_matter(batches: list[np.ndarray], seed: int) -> None:
    """Two orders that end at the same width give the same counts; extremes and totals always agree."""
    forward, shuffled = HistogramObserver(), HistogramObserver()
    for batch in batches:
        forward.update(batch)
    for index in np.random.default_rng(seed).permutation(len(batches)):
        shuffled.update(batches[index])

    a, b = forward.histogram(), shuffled.histogram()
    if a is None or b is None:
        assert a is b
        return
    assert (a.low, a.high, a.zeros, a.total) == (b.low, b.high, b.zeros, b.total)
    if a.width == b.width:
        assert a.counts.sum() == b.counts.sum()
        np.testing.assert_array_equal(np.trim_zeros(a.counts), np.trim_zeros(b.counts))


def test_bins_stay_fine_enough() -> None:
    """After any growth the span of the data fills more than a quarter of the bins."""
    observer = HistogramObserver()
    rng = np.random.default_rng(0)
    for size in (1e-3, 1.0, 50.0, 3000.0):
        observer.update((rng.standard_normal(10_000) * size).astype(np.float32))

    histogram = observer.histogram()

    assert histogram is not None
    assert (histogram.high - histogram.low) / histogram.width > BINS / 4


def test_memory_is_constant() -> None:
    """The state is as large after many batches as after one."""
    observer = HistogramObserver()
    rng = np.random.default_rng(0)
    for _ in range(50):
        observer.update(rng.standard_normal((4, 1000)).astype(np.float32))

    histogram = observer.histogram()

    assert histogram is not None
    assert histogram.counts.nbytes <= BINS * 8


def test_values_that_are_not_finite_are_counted_apart() -> None:
    """NaN and infinities do not spoil the rest."""
    observer = HistogramObserver()

    observer.update(np.array([1.0, np.nan, np.inf, -2.0], np.float32))

    histogram = observer.histogram()
    assert histogram is not None
    assert observer.not_finite == 2
    assert (histogram.low, histogram.high, histogram.total) == (-2.0, 1.0, 2)


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 3, 2)])
def test_channel_means(shape: tuple[int, ...]) -> None:
    """Means over samples and positions, however the samples are cut into batches."""
    data = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    observer = ChannelMeanObserver()
    for part in np.split(data, [2, 3]):
        observer.update(part)

    expected = data.astype(np.float64).mean(axis=(0, *range(2, data.ndim)))

    np.testing.assert_allclose(observer.mean(), expected, rtol=1e-6, atol=1e-9)
