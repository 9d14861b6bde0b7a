"""Order of batches, and the place in them."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.compress.train.batches import BatchStream, array_batches, batches_an_epoch
from edgewright.compress.train.options import TrainOptions, rate_factor
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.train.networks import images

DATA = images(20)
LABELS = np.arange(20)


def test_an_epoch_has_every_sample_once() -> None:
    """Shuffled by the seed, labels with their images, the incomplete batch left out."""
    epoch = list(array_batches(DATA, LABELS, 6)(4))
    seen = np.concatenate([batch.labels for batch in epoch])

    assert [len(batch.inputs) for batch in epoch] == [6, 6, 6]
    assert len(set(seen.tolist())) == 18
    assert np.array_equal(np.concatenate([batch.inputs for batch in epoch]), DATA[seen])
    assert not np.array_equal(seen, np.sort(seen))


def test_fewer_samples_than_a_batch_still_make_one() -> None:
    """A tiny set is one batch."""
    assert batches_an_epoch(array_batches(DATA[:3], None, 16), 0) == 1


@pytest.mark.parametrize("taken", [0, 1, 3, 4, 7])
def test_a_stream_goes_on_where_another_was(taken: int) -> None:
    """Its place (epoch and index) is all that a resumed run needs, augmentation included."""
    batches = array_batches(DATA, LABELS, 6, flip=True, shift=2)
    first = BatchStream(batches, seed=9)
    for _ in range(taken):
        first.take()
    second = BatchStream(batches, 9, first.epoch, first.index)

    for _ in range(5):
        expected, found = first.take(), second.take()
        assert np.array_equal(expected.inputs, found.inputs)
        assert np.array_equal(expected.labels, found.labels)
    assert first.epoch > 0


def test_flip_and_shift_move_pixels_only() -> None:
    """A shifted and mirrored constant picture is the same picture; others are cut, not changed."""
    same = next(array_batches(np.ones_like(DATA), None, 20, flip=True, shift=3)(0)).inputs
    moved = next(array_batches(DATA, None, 20, shift=1)(0)).inputs

    assert np.array_equal(same, np.ones_like(DATA))
    assert set(np.unique(moved)) <= set(np.unique(DATA))
    assert moved.shape == DATA.shape


@pytest.mark.parametrize("arguments", [(DATA, LABELS[:5]), (DATA, None, 0), (DATA.reshape(20, -1), None, 4, True)])
def test_what_does_not_fit_is_refused(arguments: tuple[object, ...]) -> None:
    """Missing labels, empty batches and flips of vectors."""
    with pytest.raises(EdgewrightError) as caught:
        array_batches(*arguments)  # type: ignore[arg-type]

    assert caught.value.code == ErrorCode.OPTION_INVALID


def test_no_data_is_said() -> None:
    """An empty array and an epoch without batches."""
    with pytest.raises(EdgewrightError) as caught:
        array_batches(DATA[:0])
    with pytest.raises(EdgewrightError) as nothing:
        BatchStream(lambda seed: iter(()), 0).take()

    assert caught.value.code == nothing.value.code == ErrorCode.DATASET_EMPTY


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"steps": 0},
        {"steps": 5, "lr": float("nan")},
        {"steps": 5, "alpha": 1.5},
        {"budget_seconds": -1.0},
        {"steps": 5, "temperature": 0.0},
        {"steps": 5, "micro_batch": -1},
        {"epochs": 0.0},
        {"steps": 5, "lr": 1e7},
        {"steps": 5, "features": ("a",), "feature_weight": 0.0},
    ],
)
def test_options_are_checked(wrong: dict[str, float]) -> None:
    """Each wrong value is refused with its name."""
    with pytest.raises(EdgewrightError) as caught:
        TrainOptions(**wrong)  # type: ignore[arg-type]

    assert caught.value.code == ErrorCode.OPTION_INVALID
    assert not wrong or list(wrong)[-1] in str(caught.value)


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    """It rises over the warm-up, is whole after it, and falls along a cosine to 0."""
    factors = [rate_factor(step, 110, 10) for step in range(111)]

    assert factors[:10] == sorted(factors[:10])
    assert 0 < factors[0] < 0.1
    assert factors[10] == 1.0
    assert factors[60] == pytest.approx(0.5)
    assert factors[110] == pytest.approx(0.0)
    assert rate_factor(500, None, 10) == 1.0
    assert rate_factor(1, 4, 10) == 1.0, "a short training is not all warm-up"
