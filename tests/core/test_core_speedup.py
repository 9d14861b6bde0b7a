"""The paired speed-up: by hand, in simulation, and on a board that drifts."""

from __future__ import annotations

import numpy as np
import pytest
from core_simulation import block, drifting_pair
from scipy import stats

from edgewright.core.speedup import is_significant, paired_speedup
from edgewright.core.values import Interval
from edgewright_contract.values import Block


def test_an_exact_ratio_has_no_width() -> None:
    """A candidate at exactly half the time of its pair is 2.00 to 2.00, however the board wanders."""
    moments = [1_000_000 * (1 + i % 5) for i in range(12)]
    baseline = [block("b", i % 3, i // 3, [2 * m]) for i, m in enumerate(moments)]
    candidate = [block("c", i % 3, i // 3, [m]) for i, m in enumerate(moments)]

    found = paired_speedup(baseline, candidate)

    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert is_significant(found)


def test_the_estimate_by_hand() -> None:
    """Medians of blocks, median of a process's ratios, geometric mean of processes: sqrt(2 * 8) = 4."""
    ratios = {0: [1, 2, 4], 1: [8, 2, 16]}
    baseline = [block("b", p, i, [1000, 1000 * r, 90_000_000]) for p in ratios for i, r in enumerate(ratios[p])]
    candidate = [block("c", p, i, [1000, 1000, 1000]) for p in ratios for i in range(3)]

    found = paired_speedup(baseline, candidate)

    assert found is not None
    assert found.value == pytest.approx(4.0)


def test_warm_up_and_unpaired_blocks_do_not_count() -> None:
    """Warm-up blocks, and blocks whose partner is missing, change nothing."""
    baseline = [block("b", 0, i, [2000 + i]) for i in range(8)]
    candidate = [block("c", 0, i, [1000]) for i in range(8)]
    more = [block("b", 0, 20, [9]), block("b", 0, 21, [9], warmup=True), block("b", 0, 22, [])]
    odd = [block("c", 1, 20, [9]), block("c", 0, 21, [9]), block("c", 0, 22, [9])]

    assert paired_speedup(baseline + more, candidate + odd) == paired_speedup(baseline, candidate)


def test_the_same_seed_gives_the_same_interval() -> None:
    """Deterministic by seed and free of the blocks' order; another seed never moves the value."""
    baseline, candidate = drifting_pair(5, true_speedup=1.2, interleaved=True)

    first = paired_speedup(baseline, candidate, seed=1)
    other = paired_speedup(baseline, candidate, seed=2)

    assert first == paired_speedup(list(reversed(baseline)), candidate, seed=1)
    assert first is not None
    assert other is not None
    assert first.value == other.value


@pytest.mark.parametrize("pairs", [0, 1, 5])
def test_few_pairs_say_nothing(pairs: int) -> None:
    """Below six pairs there is no interval, so no difference can be claimed."""
    baseline = [block("b", 0, i, [2000]) for i in range(pairs)]
    candidate = [block("c", 0, i, [1000]) for i in range(pairs)]

    assert paired_speedup(baseline, candidate) is None
    assert not is_significant(None)


@pytest.mark.parametrize(
    ("interval", "significant"),
    [((1.2, 1.1, 1.3), True), ((0.8, 0.7, 0.9), True), ((1.0, 0.9, 1.1), False), ((1.1, 1.0, 1.2), False)],
)
def test_significance_leaves_one_out(interval: tuple[float, float, float], significant: bool) -> None:
    """Faster or slower counts; an interval that touches 1 does not."""
    assert is_significant(Interval(*interval)) is significant


def _simulated(seed: int, processes: int, pairs: int, between: float, within: float) -> tuple[list[Block], list[Block]]:
    random = np.random.default_rng(seed)
    baseline, candidate = [], []
    for process in range(processes):
        offset = random.normal(0, between)
        for index in range(pairs):
            moment = 1e6 * np.exp(random.normal(0, 0.3))  # the board, far more than the effect
            baseline.append(block("b", process, index, [1.5 * moment * np.exp(offset)]))
            candidate.append(block("c", process, index, [moment * np.exp(random.normal(0, within))]))
    return baseline, candidate


@pytest.mark.parametrize(
    ("processes", "pairs", "between", "within"),
    [(1, 10, 0.0, 0.02), (3, 10, 0.0, 0.02), (3, 10, 0.01, 0.02), (3, 10, 0.03, 0.01), (5, 10, 0.03, 0.01)],
)
def test_interval_covers_in_simulation(processes: int, pairs: int, between: float, within: float) -> None:
    """The true 1.5 is inside a 95 % interval in at least 90 % of 150 runs, even where processes differ.

    Three processes alone cannot promise more: see docs/measurement.md.
    """
    hits = 0
    for seed in range(150):
        found = paired_speedup(*_simulated(seed, processes, pairs, between, within), seed=seed)
        assert found is not None
        hits += found.low <= 1.5 <= found.high
    assert hits / 150 >= 0.90


def test_interval_agrees_with_scipys_bootstrap() -> None:
    """One process, many pairs: the interval of the median log ratio is scipy's percentile bootstrap's."""
    baseline, candidate = _simulated(3, 1, 120, 0.0, 0.05)
    logs = np.log([b.samples_ns[0] / c.samples_ns[0] for b, c in zip(baseline, candidate, strict=True)])
    expected = stats.bootstrap(
        (logs,), np.median, method="percentile", n_resamples=4000, rng=np.random.default_rng(0)
    ).confidence_interval

    found = paired_speedup(baseline, candidate)

    assert found is not None
    width = expected.high - expected.low
    assert np.log(found.low) == pytest.approx(expected.low, abs=0.15 * width)
    assert np.log(found.high) == pytest.approx(expected.high, abs=0.15 * width)


def test_interleaving_survives_a_board_that_throttles() -> None:
    """Over 200 boards that throttle mid-run and a true speed-up of 1.10: sequential runs name the wrong sign
    often and with confidence, interleaved ones at least five times less often."""
    wrong = {True: 0, False: 0}
    for seed in range(200):
        for interleaved in (True, False):
            found = paired_speedup(*drifting_pair(seed, true_speedup=1.1, interleaved=interleaved), seed=seed)
            wrong[interleaved] += found is not None and found.high < 1

    assert wrong[False] >= 20
    assert wrong[True] <= wrong[False] / 5
