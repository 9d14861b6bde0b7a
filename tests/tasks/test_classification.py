"""Accuracy, intervals and drops, against figures worked out otherwise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edgewright.tasks.classification import accuracy_interval, agreement, class_scores, paired_drop, top_k
from edgewright_contract.errors import EdgewrightError, ErrorCode


def test_top_k_by_hand() -> None:
    """The label's rank decides; equal scores go to the lower index; a row with NaN is wrong."""
    outputs = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [9, np.nan, 1], [-np.inf, -5.0, -6.0]])
    labels = np.array([1, 0, 1, 0, 1])

    assert top_k(outputs, labels, 0, 1).tolist() == [True, True, False, False, True]
    assert top_k(outputs, labels, 0, 2).tolist() == [True, True, True, False, True]


def test_scores_of_whole_numbers_are_compared_as_such() -> None:
    """uint8 scores are not negated into their opposite."""
    outputs = np.array([[0, 255, 3], [200, 0, 1]], dtype=np.uint8)

    assert top_k(outputs, np.array([1, 0]), 0, 1).tolist() == [True, True]


def test_first_class_shifts_the_labels() -> None:
    """With a background at index 0, class 0 is the second output."""
    assert top_k(np.array([[0.0, 1.0, 0.0]]), np.array([0]), 1, 1).tolist() == [True]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(1, 5), st.integers(0, 10**6))
def test_top_k_equals_a_stable_sort(count: int, width: int, k: int, seed: int) -> None:
    """The same answer as sorting each row, on scores with many ties."""
    generator = np.random.default_rng(seed)
    outputs = generator.integers(0, 5, (count, width)).astype(np.float32)
    labels = generator.integers(0, width, count)

    expected = [
        bool(label in sorted(range(width), key=lambda index: (-row[index], index))[:k])
        for row, label in zip(outputs, labels, strict=True)
    ]

    assert top_k(outputs, labels, 0, k).tolist() == expected


def test_axes_of_length_one_are_dropped() -> None:
    """[N, C, 1, 1] are class scores; a map of them is not."""
    assert class_scores(np.zeros((2, 5, 1, 1))).shape == (2, 5)
    for shape in ((2, 5, 3, 3), (4,)):
        with pytest.raises(EdgewrightError) as caught:
            class_scores(np.zeros(shape))
        assert caught.value.code is ErrorCode.SPEC_MISMATCH


@pytest.mark.parametrize(
    ("labels", "width", "first_class", "words", "hint"),
    [
        ([0, 1, 10], 10, 0, "1 of 3 labels are outside of 0..9", "network's"),
        ([1, 2, 10], 10, 0, "labels go from 1 to 10", "counted from 1"),
        ([0, 5, 9], 10, 1, "1 of 3 labels are outside of 0..8", "first_class = 0"),
        ([-1, 2, 3], 10, 0, "1 of 3", "network's"),
    ],
)
def test_labels_beyond_the_outputs_are_refused(
    labels: list[int], width: int, first_class: int, words: str, hint: str
) -> None:
    """The message counts them and gives both ranges; the hint names the likely slip."""
    with pytest.raises(EdgewrightError) as caught:
        top_k(np.zeros((3, width)), np.array(labels), first_class, 1)

    assert caught.value.code is ErrorCode.LABEL_INVALID
    assert words in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (10, 10), (435, 500), (1, 3), (289, 500)])
def test_the_interval_is_wilsons(hits: int, count: int) -> None:
    """The same as scipy's Wilson interval."""
    expected = stats.binomtest(hits, count).proportion_ci(method="wilson")

    interval = accuracy_interval(np.arange(count) < hits)

    assert (interval.value, interval.low, interval.high) == pytest.approx(
        (hits / count, expected.low, expected.high), abs=1e-12
    )


def flags(*runs: tuple[int, bool]) -> npt.NDArray[np.bool_]:
    return np.concatenate([np.full(count, value) for count, value in runs])


def test_a_drop_is_paired_and_in_points() -> None:
    """20 of 1000 images lost and 5 won are 1.5 points, with the interval of a paired bootstrap."""
    before = flags((900, True), (100, False))
    after = flags((20, False), (880, True), (5, True), (95, False))

    drop = paired_drop(before, after)

    difference = before.astype(float) - after
    slow = np.random.default_rng(1).choice(difference, (4000, 1000)).mean(axis=1) * 100
    assert drop.value == pytest.approx(1.5)
    assert (drop.low, drop.high) == pytest.approx(tuple(np.quantile(slow, (0.025, 0.975))), abs=0.1)
    assert drop.low > 0


def test_equal_results_have_no_drop() -> None:
    """The same answers give zero with an interval of no width."""
    same = flags((7, True), (3, False))

    drop = paired_drop(same, same)

    assert (drop.value, drop.low, drop.high) == (0.0, 0.0, 0.0)


def test_what_is_gained_is_a_negative_drop() -> None:
    """A better candidate has lost less than nothing; with few images the interval holds zero."""
    drop = paired_drop(flags((3, True), (7, False)), flags((4, True), (6, False)))

    assert drop.value == pytest.approx(-10.0)
    assert drop.low < 0.0 <= drop.high


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_an_interval_covers_the_truth_about_as_often_as_it_says(seed: int) -> None:
    """The drop always lies in its interval, whose ends are in order."""
    generator = np.random.default_rng(seed)
    before, after = generator.random(200) < 0.8, generator.random(200) < 0.7

    drop = paired_drop(before, after)

    assert drop.low <= drop.value <= drop.high


def test_agreement_is_the_share_of_equal_answers() -> None:
    """Three of four."""
    assert agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])) == 0.75
