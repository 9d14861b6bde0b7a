"""Who runs when: reproducible, fair, and never without an end."""

from __future__ import annotations

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from edgewright_agent.measure.schedule import (
    MAX_BLOCK_SAMPLES,
    block_order,
    samples_per_block,
    sampling_over,
    settled,
)


@given(st.integers(0, 2**64 - 1), st.integers(0, 20), st.integers(0, 1000), st.integers(1, 8))
def test_every_round_runs_each_candidate_once(seed: int, process: int, index: int, candidates: int) -> None:
    """An order is a permutation, and the same arguments give it again."""
    order = block_order(seed, process, index, candidates)

    assert sorted(order) == list(range(candidates))
    assert order == block_order(seed, process, index, candidates)


def test_all_orders_come_up_equally_often() -> None:
    """Over 6,000 rounds each of the six orders of three candidates is drawn about 1,000 times (5 sigma: 145)."""
    drawn = Counter(block_order(1, process, index, 3) for process in range(3) for index in range(2000))

    assert set(drawn) == set(itertools.permutations(range(3)))
    assert all(abs(count - 1000) < 145 for count in drawn.values())


def test_orders_are_the_same_on_every_python() -> None:
    """The draw is part of the evidence: these orders were drawn by Python 3.8, 3.11 and 3.13 alike."""
    assert [block_order(7, 0, index, 4) for index in range(3)] == [(0, 3, 2, 1), (3, 0, 2, 1), (3, 0, 2, 1)]


def test_a_block_is_filled_by_its_median_time() -> None:
    """0.1 s hold a hundred inferences of 1 ms, one of 3 s, and never more than one message's worth."""
    assert samples_per_block([1_000_000, 1_000_000, 90_000_000], 0.1) == 100
    assert samples_per_block([3_000_000_000], 0.1) == 1
    assert samples_per_block([70], 0.1) == MAX_BLOCK_SAMPLES
    assert samples_per_block([0], 0.1) == MAX_BLOCK_SAMPLES


def test_warm_up_settles_when_two_windows_agree() -> None:
    """Medians within 5 % of one another, outliers in a window notwithstanding."""
    assert not settled([[100, 100, 100]])
    assert not settled([[120, 120, 120], [100, 100, 100]])
    assert settled([[500, 500, 500], [104, 104, 104], [100, 100, 9999]])


def test_sampling_ends_by_rounds_and_time() -> None:
    """One round always; the rounds asked for unless they take twice the share; then until the share is used."""
    assert not sampling_over(0, 10, 99.0, 1.0)
    assert not sampling_over(5, 10, 1.5, 1.0)
    assert sampling_over(5, 10, 2.0, 1.0)
    assert not sampling_over(10, 10, 0.9, 1.0)
    assert sampling_over(10, 10, 1.0, 1.0)
