"""Percentiles and their intervals against scipy, published numbers and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgewright.core.statistics import (
    minimum_samples,
    percentile,
    percentile_interval,
    quantiles,
    relative_half_width,
    student_quantile,
    supports,
    thirds_drift,
)
from edgewright.core.values import Interval

_samples = st.lists(st.integers(1, 10**9), min_size=1, max_size=200)
_shares = st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


@given(_samples, _shares)
def test_percentile_is_numpys_inverted_cdf(samples: list[int], q: float) -> None:
    """Nearest rank, as numpy's method of that name gives it."""
    assert percentile(samples, q) == np.percentile(samples, 100 * q, method="inverted_cdf")


def test_percentile_by_hand() -> None:
    """Of 10, 20 .. 100 the median is 50, p90 is 90 and p91 is 100."""
    samples = list(range(100, 0, -10))
    assert [percentile(samples, q) for q in (0.5, 0.9, 0.91, 1.0)] == [50, 90, 100, 100]


def test_no_samples_is_a_mistake() -> None:
    """An empty list has no percentile."""
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 0.5)


@pytest.mark.parametrize(("q", "count"), [(0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636)])
def test_minimum_samples_are_those_of_mlperf(q: float, count: int) -> None:
    """The published counts at 99 %, and the binomial tail of scipy on both sides of each."""
    assert minimum_samples(q) == count
    assert stats.binom.cdf(1, count, 1 - q) <= 0.01 < stats.binom.cdf(1, count - 1, 1 - q)


@given(st.floats(0.02, 0.98), st.floats(0.5, 0.995))
def test_minimum_samples_is_the_first_count_that_holds(q: float, confidence: float) -> None:
    """For any percentile and confidence: the count holds and one less does not (scipy as the judge)."""
    count = minimum_samples(q, confidence)
    assert stats.binom.cdf(1, count, 1 - q) <= (1 - confidence) * (1 + 1e-9)
    if count > 2:
        assert stats.binom.cdf(1, count - 1, 1 - q) > (1 - confidence) * (1 - 1e-9)


def test_low_percentiles_need_as_many_samples_as_high_ones() -> None:
    """p10 needs what p90 needs."""
    assert supports(64, 0.9)
    assert supports(64, 0.1)
    assert not supports(63, 0.9)
    assert not supports(63, 0.1)


@given(st.integers(5, 2000), st.sampled_from([0.1, 0.5, 0.9, 0.99]), st.sampled_from([0.8, 0.95, 0.99]))
def test_interval_ranks_are_the_tightest_that_scipy_allows(count: int, q: float, confidence: float) -> None:
    """On samples 1 .. n the interval is its ranks: each side within its tail, one step further in is not."""
    interval = percentile_interval(np.arange(1, count + 1), q, confidence)
    tail = (1 - confidence) / 2
    slack = 1e-9

    if interval is None:
        assert stats.binom.cdf(0, count, q) > tail - slack or stats.binom.sf(count - 1, count, q) > tail - slack
        return
    assert stats.binom.cdf(interval.low - 1, count, q) <= tail + slack
    assert stats.binom.cdf(interval.low, count, q) > tail - slack
    assert stats.binom.sf(interval.high - 1, count, q) <= tail + slack
    assert stats.binom.sf(interval.high - 2, count, q) > tail - slack
    assert interval.low <= interval.value <= interval.high


@pytest.mark.parametrize(("q", "count"), [(0.5, 40), (0.9, 100), (0.99, 700)])
def test_interval_covers_in_simulation(q: float, count: int) -> None:
    """2,000 runs on a skewed distribution: the true percentile is inside in 95 % or a little more."""
    random = np.random.default_rng(1)
    true = stats.lognorm.ppf(q, 0.5)
    hits = 0
    for _ in range(2000):
        interval = percentile_interval(random.lognormal(0, 0.5, count), q)
        assert interval is not None
        hits += interval.low <= true <= interval.high
    assert 0.94 <= hits / 2000 <= 0.99


@given(st.floats(0.01, 0.999), st.integers(1, 100))
def test_student_quantile_is_scipys(q: float, degrees: int) -> None:
    """Agrees with scipy.stats.t for one degree of freedom to many."""
    assert student_quantile(q, degrees) == pytest.approx(stats.t.ppf(q, degrees), rel=1e-4, abs=1e-5)


def test_quantiles_keep_the_extremes() -> None:
    """A distribution to draw has at most 512 points, the first and last among them; short ones stay whole."""
    drawn = quantiles(range(10_000, 0, -1))
    assert (len(drawn), drawn[0], drawn[-1]) == (512, 1, 10_000)
    assert list(drawn) == sorted(drawn)
    assert quantiles([3, 1, 2]) == (1, 2, 3)


def test_small_helpers_by_hand() -> None:
    """Half-width of 90..110 around 100 is 10 %; thirds of 10 10 .. 12 12 drift by 20 %."""
    assert relative_half_width(Interval(100, 90, 110)) == pytest.approx(0.1)
    assert thirds_drift([10, 10, 11, 11, 12, 12]) == pytest.approx(0.2)
    assert thirds_drift([10, 12]) is None
