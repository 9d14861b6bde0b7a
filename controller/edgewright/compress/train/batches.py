"""Training batches: what they hold, how a seed orders them, and how a killed run finds its place again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode


@dataclass(frozen=True)
class Batch:
    """`inputs` float32 [n, ...], ready for the network; `labels` class indices (places on the network's class axis)
    int64 [n], or None.
    """

    inputs: Array
    labels: Array | None = None


# From a seed to one epoch; the same seed gives the same batches in the same order.
Batches = Callable[[int], Iterator[Batch]]


def array_batches(
    inputs: Array, labels: Array | None = None, size: int = 16, flip: bool = False, shift: int = 0
) -> Batches:
    """Epochs over arrays in memory: shuffled, the incomplete batch at the end left out (unless it is the only one).

    `flip` mirrors half of the images left to right, `shift` moves each by up to that many pixels along both axes and
    repeats the border; both need NCHW. Without labels any such change is safe, for the teacher sees the same picture.

    Raises DATASET_EMPTY, and OPTION_INVALID for sizes that do not fit.
    """
    if len(inputs) == 0:
        raise EdgewrightError(ErrorCode.DATASET_EMPTY, "no training sample", "add images to the data set")
    if size < 1 or (labels is not None and len(labels) != len(inputs)) or ((flip or shift) and inputs.ndim != 4):
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID,
            f"batches of {size} from inputs {inputs.shape} with {None if labels is None else len(labels)} labels",
            "give one label a sample, a batch of at least 1, and NCHW images for flip and shift",
        )

    def epoch(seed: int) -> Iterator[Batch]:
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(inputs))
        whole = len(order) // size * size or len(order)
        for start in range(0, whole, size):
            chosen = order[start : start + size]
            picked = np.array(inputs[chosen])
            if flip:
                mirrored = rng.random(len(picked)) < 0.5
                picked[mirrored] = picked[mirrored][..., ::-1]
            if shift:
                picked = _shifted(picked, shift, rng)
            yield Batch(picked, None if labels is None else labels[chosen])

    return epoch


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of one epoch of a run."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


class BatchStream:
    """Batches without end: one epoch after another, each with its own seed.

    `epoch` and `index` (batches taken of that epoch) say where it is; given to a new stream, it goes on from there.
    """

    def __init__(self, batches: Batches, seed: int, epoch: int = 0, index: int = 0) -> None:
        self._batches, self._seed = batches, seed
        self.epoch, self.index = epoch, 0
        self._open = self._start()
        for _ in range(index):
            self.take()

    def take(self) -> Batch:
        """The next batch. Raises DATASET_EMPTY when an epoch has none."""
        batch = next(self._open, None)
        if batch is None:
            if self.index == 0:
                raise EdgewrightError(
                    ErrorCode.DATASET_EMPTY, "the training set gives no batch", "add images to the data set"
                )
            self.epoch, self.index = self.epoch + 1, 0
            self._open = self._start()
            return self.take()
        self.index += 1
        return batch

    def _start(self) -> Iterator[Batch]:
        return self._batches(epoch_seed(self._seed, self.epoch))


def batches_an_epoch(batches: Batches, seed: int) -> int:
    """How many batches the first epoch has; costs one pass."""
    return sum(1 for _ in batches(epoch_seed(seed, 0)))


def _shifted(images: Array, most: int, rng: np.random.Generator) -> Array:
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (most, most), (most, most)), mode="edge")
    offsets = rng.integers(0, 2 * most + 1, (len(images), 2))
    return np.stack(
        [padded[i, :, top : top + height, left : left + width] for i, (top, left) in enumerate(offsets.tolist())]
    )
