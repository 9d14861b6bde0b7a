"""Training images in a file, read a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgewright.compress.train.batches import Batch, Batches
from edgewright.graph.session import Array
from edgewright_contract import normalize
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Normalization

# From so many images on, a network can be trained at full pace without forgetting what it knew.
_MANY = 2000


@dataclass(frozen=True)
class TrainingData:
    """uint8 [n, height, width, channels] (or float32 of the network's own shape) in the .npy file `path`, what makes
    network input of it, and class indices on the network's class axis (None: no labels).
    """

    path: Path
    normalization: Normalization
    labels: tuple[int, ...] | None = None

    @property
    def count(self) -> int:
        return len(np.load(self.path, mmap_mode="r", allow_pickle=False))

    @property
    def usual_rate(self) -> float:
        """A learning rate that suits the number of images."""
        return 1e-3 if self.count >= _MANY else 1e-4

    @property
    def usual_batch(self) -> int:
        """Images in a step that suit the number of images."""
        return 64 if self.count >= _MANY else 16

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width, 0 for what are no images."""
        shape = np.load(self.path, mmap_mode="r", allow_pickle=False).shape
        return (shape[1], shape[2]) if len(shape) == 4 else (0, 0)

    def batches(self, size: int, shift: float = 0.0, flip: bool = False, use_labels: bool = True) -> Batches:
        """Epochs in seeded order, the incomplete batch at the end left out (unless it is the only one).

        `shift` moves each image by up to that share of its side, the border repeated; `flip` mirrors half of them.
        Memory does not grow with the number of images. Raises DATASET_EMPTY.
        """
        samples = np.load(self.path, mmap_mode="r", allow_pickle=False)
        if len(samples) == 0:
            raise EdgewrightError(ErrorCode.DATASET_EMPTY, "no training image", "add images to the data set")
        labels = np.array(self.labels, dtype=np.int64) if self.labels is not None and use_labels else None
        is_image = samples.ndim == 4 and samples.dtype == np.uint8
        most = round(shift * min(samples.shape[1:3])) if is_image else 0

        def epoch(seed: int) -> Iterator[Batch]:
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(samples))
            whole = len(order) // size * size or len(order)
            for start in range(0, whole, size):
                chosen = order[start : start + size]
                picked = np.asarray(samples[np.sort(chosen)])
                chosen = np.sort(chosen)
                if most:
                    picked = _shifted(picked, most, rng)
                if flip and is_image:
                    picked = _mirrored(picked, rng)
                inputs = normalize.apply(picked, self.normalization, "float32")
                yield Batch(inputs, None if labels is None else labels[chosen])

        return epoch


def _shifted(images: Array, most: int, rng: np.random.Generator) -> Array:
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    offsets = rng.integers(0, 2 * most + 1, (len(images), 2)).tolist()
    return np.stack([padded[i, top : top + height, left : left + width] for i, (top, left) in enumerate(offsets)])


def _mirrored(images: Array, rng: np.random.Generator) -> Array:
    made = images.copy()
    chosen = rng.random(len(images)) < 0.5
    made[chosen] = made[chosen][:, :, ::-1]
    return made
