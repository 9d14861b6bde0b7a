"""Range methods against hand-computed cases, exhaustive search and onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewright.compress import ranges
from edgewright.compress.observers import Histogram, HistogramObserver


def observed(values: np.ndarray) -> Histogram:
    observer = HistogramObserver()
    observer.update(np.asarray(values, np.float32))
    histogram = observer.histogram()
    assert histogram is not None
    return histogram


def true_error(values: np.ndarray, bounds: ranges.Range) -> float:
    """Squared error of really quantising `values` to uint8, by the ONNX definition."""
    scale, zero_point = ranges.quantization(bounds)
    quantised = np.clip(np.rint(values / scale) + zero_point, 0, 255)
    return float(np.sum(((quantised - zero_point) * scale - values) ** 2))


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0, 3.0], (0.0, 3.0)), ([-3.0, -1.0], (-3.0, 0.0)), ([-1.0, 2.0], (-1.0, 2.0)), ([0.0], (0.0, 0.0))],
)
def test_min_max_holds_zero(values: list[float], expected: ranges.Range) -> None:
    """The extremes, widened to hold zero."""
    assert ranges.min_max(observed(np.array(values))) == expected


def test_quantization_by_hand() -> None:
    """-1..1.55 on 256 levels: steps of 0.01 with zero at 100."""
    scale, zero_point = ranges.quantization((-1.0, 1.55))

    assert scale == pytest.approx(0.01)
    assert zero_point == 100
    assert ranges.quantization((0.0, 0.0)) == (1.0, 0)


def test_percentile_cuts_the_tail_only() -> None:
    """One outlier in a hundred thousand is cut; the bulk of 0..1 stays within a bin."""
    rng = np.random.default_rng(0)
    values = np.append(rng.random(99_999), 80.0)

    low, high = ranges.percentile(observed(values))

    assert low == 0.0
    assert 0.98 < high < 1.05


def test_percentile_agrees_with_numpy() -> None:
    """Within one bin of numpy's percentiles of the raw values, zeros included."""
    rng = np.random.default_rng(1)
    values = np.maximum(rng.standard_normal(50_000), 0).astype(np.float32) * 3
    histogram = observed(values)

    _, high = ranges.percentile(histogram, 99.0)

    assert abs(high - np.percentile(values, 99.5)) <= histogram.width


def test_mse_finds_the_best_range() -> None:
    """Gaussian bulk with rare outliers: as good as an exhaustive search judged on the raw values, within 2 %."""
    rng = np.random.default_rng(2)
    values = np.append(rng.standard_normal(20_000), [30.0, -25.0]).astype(np.float32)
    best = min(
        true_error(values, (low, high)) for low in np.linspace(-25.0, -2.0, 40) for high in np.linspace(2.0, 30.0, 40)
    )

    assert true_error(values, ranges.mse(observed(values))) < 1.02 * best


def test_mse_keeps_uniform_data_whole() -> None:
    """Without a tail there is nothing to cut."""
    values = np.random.default_rng(3).random(100_000).astype(np.float32)

    low, high = ranges.mse(observed(values))

    assert (low, round(high, 2)) == (0.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(
    values=hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(-100, 100, width=32, allow_subnormal=False))
)
def test_every_method_gives_a_usable_range(values: np.ndarray) -> None:
    """Finite, ordered, holding zero, never wider than the data."""
    histogram = observed(values)
    whole = ranges.min_max(histogram)
    for name, method in ranges.METHODS.items():
        low, high = method(histogram)
        assert whole[0] <= low <= 0.0 <= high <= whole[1], name


@settings(max_examples=100, deadline=None)
@given(
    values=hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(-100, 100, width=32, allow_subnormal=False))
)
def test_rounding_error_is_bounded_inside_the_range(values: np.ndarray) -> None:
    """With the full range, every value comes back within half a step (and float rounding)."""
    bounds = ranges.min_max(observed(values))
    scale, zero_point = ranges.quantization(bounds)
    doubles = values.astype(np.float64)
    quantised = np.clip(np.rint(doubles / scale) + zero_point, 0, 255)

    # The zero point is rounded as well, which can cost the extremes another half step.
    assert np.all(np.abs((quantised - zero_point) * scale - doubles) <= scale * 1.0001)


def test_expected_error_matches_real_quantisation() -> None:
    """The histogram's estimate is within a few per cent of the error on the raw values."""
    values = np.random.default_rng(4).standard_normal(200_000).astype(np.float32)
    bounds = (-2.0, 2.5)

    assert ranges.expected_error(observed(values), bounds) == pytest.approx(true_error(values, bounds), rel=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_kl_equals_onnxruntime(seed: int) -> None:
    """The same threshold as onnxruntime's entropy calibrator on the same histogram."""
    from onnxruntime.quantization.calibrate import HistogramCollector

    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.standard_normal(4000), rng.standard_normal(40) * 6]).astype(np.float32)
    extreme = float(np.abs(values).max())
    counts, edges = np.histogram(values, bins=256, range=(-extreme, extreme))
    collector = HistogramCollector("entropy", False, 256, 64, 99.99, "same")
    theirs = collector.get_entropy_threshold((counts, edges, -extreme, extreme), 64)

    assert ranges.kl_threshold(counts, edges, 64) == pytest.approx(float(theirs[1]), rel=1e-6)
