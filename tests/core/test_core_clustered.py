"""Intervals of percentiles from samples that hang together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats

from edgewright.core.clustered import _binomial_upper_tail, clustered_percentile_interval
from edgewright.core.statistics import percentile_interval

Array = np.ndarray[tuple[int], np.dtype[np.float64]]


def correlated(random: np.random.Generator, count: int, correlation: float) -> Array:
    """A standard normal series whose neighbours correlate."""
    start = random.normal() * correlation
    fresh = random.normal(size=count) * math.sqrt(1 - correlation**2)
    return np.asarray(signal.lfilter([1], [1, -correlation], fresh, zi=[start])[0])


@given(st.floats(0.1, 5000), st.floats(0.0, 3000), st.floats(0.01, 0.99))
def test_the_binomial_tail_is_scipys_incomplete_beta(k: float, more: float, p: float) -> None:
    """Also for numbers of trials and of successes that are not whole."""
    n = k + more
    assert _binomial_upper_tail(k, n, p) == pytest.approx(stats.beta.cdf(p, k, n - k + 1), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_independent_samples_cost_little(q: float) -> None:
    """Where nothing hangs together the interval is at most twice as wide as the exact one."""
    random = np.random.default_rng(0)
    wide, exact = [], []
    for _ in range(20):
        samples = random.lognormal(0, 0.1, 3000)
        clustered, effective = clustered_percentile_interval(np.split(samples, 5), q, 0.99)
        plain = percentile_interval(samples, q, 0.99)
        assert clustered is not None
        assert plain is not None
        assert 150 < effective <= 3000
        wide.append(clustered.high - clustered.low)
        exact.append(plain.high - plain.low)
    assert np.mean(wide) < 2.0 * np.mean(exact)


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_covers_with_autocorrelation_where_the_plain_interval_does_not(q: float) -> None:
    """200 series that remember (0.95): the stated 99 % hold in at least 98 %, the plain interval in under 70 %."""
    random = np.random.default_rng(1)
    truth = float(np.exp(0.02 * stats.norm.ppf(q)))
    covered = plainly = 0
    for _ in range(200):
        processes = [np.exp(0.02 * correlated(random, 600, 0.95)) for _ in range(5)]
        interval, _ = clustered_percentile_interval(processes, q, 0.99)
        plain = percentile_interval(np.concatenate(processes), q, 0.99)
        covered += interval is not None and interval.low <= truth <= interval.high
        plainly += plain is not None and plain.low <= truth <= plain.high
    assert covered >= 196
    assert plainly < 140


def test_rare_outliers_do_not_become_the_interval() -> None:
    """A busy machine, slow one tenth of the time, with 5 % outliers up to hundredfold: p90 is not known "within
    472 %", but within the difference of the two speeds."""
    random = np.random.default_rng(2)
    slow = np.repeat(random.random(150) < 0.1, 40)
    samples = np.exp(random.normal(0, 0.02, 6000)) * np.where(slow, 1.8, 1.0)
    samples *= np.where(random.random(6000) < 0.05, 1 + random.pareto(1.2, 6000), 1.0)

    interval, _ = clustered_percentile_interval(np.split(samples, 5), 0.9, 0.99)

    assert interval is not None
    assert (interval.high - interval.low) / 2 / interval.value < 0.5
    assert samples.max() > 20


def test_processes_that_differ_count_as_few() -> None:
    """Each process has a level of its own: thousands of samples are worth about as many as there are processes."""
    random = np.random.default_rng(3)
    processes = [level * np.exp(random.normal(0, 0.001, 1000)) for level in (1.0, 1.02, 1.04, 1.06, 1.08)]

    interval, effective = clustered_percentile_interval(processes, 0.5, 0.99)

    assert effective < 5
    assert interval is None or interval.high - interval.low > 0.06


@given(st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=30), min_size=1, max_size=6), st.floats(0.01, 0.99))
def test_holds_the_percentile_whatever_the_samples(processes: list[list[int]], q: float) -> None:
    """Any series, constant or short: no failure, and an interval holds its own value."""
    interval, _ = clustered_percentile_interval([np.array(p, dtype=np.float64) for p in processes], q, 0.9)
    assert interval is None or interval.low <= interval.value <= interval.high


def test_long_series_take_bounded_time_and_agree() -> None:
    """Grouped or not, the same dependence is found: a series of 40,000 against its first 8,000 samples."""
    random = np.random.default_rng(4)
    series = correlated(random, 40_000, 0.9)
    _, long = clustered_percentile_interval([series], 0.5, 0.99)
    _, short = clustered_percentile_interval([series[:8000]], 0.5, 0.99)
    assert long / 40_000 == pytest.approx(short / 8000, rel=0.35)
