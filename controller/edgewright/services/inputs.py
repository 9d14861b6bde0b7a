"""Input sets: preprocessed samples in one .npy file, made once and kept in the cache by what determines them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.core.plain import to_plain
from edgewright.core.values import Dataset, ModelSpec, ProgressCallback, Sample
from edgewright.services.workspace import Workspace
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import InputSet, Normalization, TensorSpec

if TYPE_CHECKING:
    import numpy as np

GOLDEN_SAMPLES = 8
DEFAULT_SIDE = 224


@dataclass(frozen=True)
class InputFile:
    """A .npy of samples along axis 0, how they become network input, and their labels where there are any."""

    path: Path
    sha256: str
    count: int
    normalization: Normalization
    labels: tuple[int | None, ...] = ()

    def as_input_set(self) -> InputSet:
        return InputSet(self.sha256, self.normalization)

    def label_array(self) -> np.ndarray[Any, Any]:
        """Labels as int64 [N]; only for images that all have one."""
        import numpy as np

        return np.array(self.labels, dtype=np.int64)

    def batches(self, dtype: str, size: int = 1) -> Iterator[np.ndarray[Any, Any]]:
        """Network-ready batches [n, ...] of `dtype`; the same arithmetic as on the agent."""
        from edgewright.tasks.preprocess import network_batches

        return network_batches(self.path, self.normalization, dtype, size)


class InputSets:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def of_dataset(
        self, dataset: Dataset, samples: Sequence[Sample], spec: ModelSpec, progress: ProgressCallback
    ) -> InputFile:
        """Preprocesses `samples`; the second time the file is there already."""
        from edgewright.datasets.source import ImageSource
        from edgewright.tasks.preprocess import normalization_of, write_input_set

        key = _key("images", to_plain(spec.input), [sample.sha256 for sample in samples])

        def write(path: Path) -> None:
            with ImageSource(Path(dataset.path), dataset.format) as source:
                write_input_set(path, source, samples, spec.input, progress)

        path, sha256 = self._cached(key, write)
        labels = tuple(sample.class_index for sample in samples)
        return InputFile(path, sha256, len(samples), normalization_of(spec.input), labels)

    def random(self, tensor: TensorSpec, size: tuple[int, int] | None, count: int = GOLDEN_SAMPLES) -> InputFile:
        """Seeded noise in the shape of `tensor`, for networks without a data set."""
        shape = _free_shape(tensor, size)

        def write(path: Path) -> None:
            import numpy as np

            generator = np.random.default_rng(0)
            if tensor.dtype in ("uint8", "int8"):
                values = generator.integers(0, 256, (count, *shape)).astype(np.uint8)
            else:
                values = generator.standard_normal((count, *shape)).astype(np.float32)
            np.save(path, values)

        path, sha256 = self._cached(_key("noise", tensor.dtype, [count, *shape]), write)
        return InputFile(path, sha256, count, Normalization())

    def _cached(self, key: str, write: Any) -> tuple[Path, str]:
        from edgewright_contract.transfer import sha256_of_file

        folder = self._workspace.cache / "inputs"
        folder.mkdir(parents=True, exist_ok=True)
        path, note = folder / f"{key}.npy", folder / f"{key}.json"
        with self._workspace.store.work_lock(f"inputs-{key}"):
            if path.exists() and note.exists():
                known = json.loads(note.read_text())
                if path.stat().st_size == known["size_bytes"]:
                    return path, str(known["sha256"])
            with self._workspace.scratch() as scratch:
                made = scratch / "samples.npy"
                write(made)
                sha256 = sha256_of_file(made)
                text = json.dumps({"sha256": sha256, "size_bytes": made.stat().st_size})
                made.replace(path)
                (scratch / "note.json").write_text(text)
                (scratch / "note.json").replace(note)
        return path, sha256


def single_input(inputs: Sequence[TensorSpec], model: str) -> TensorSpec:
    """The network's one input; raises MODEL_UNSUPPORTED for a network with several."""
    if len(inputs) != 1:
        names = ", ".join(tensor.name for tensor in inputs)
        raise EdgewrightError(
            ErrorCode.MODEL_UNSUPPORTED,
            f"model {model} has {len(inputs)} inputs ({names}); measuring and compressing need exactly one",
            "export the network with one input, folding constants into the graph",
        )
    return inputs[0]


def _free_shape(tensor: TensorSpec, size: tuple[int, int] | None) -> tuple[int, ...]:
    """The shape without the batch; unknown dimensions come from `size`, in order, else DEFAULT_SIDE."""
    sides = list(size or (DEFAULT_SIDE, DEFAULT_SIDE))
    shape: list[int] = []
    for dimension in tensor.shape[1:]:
        known = isinstance(dimension, int) and dimension > 0
        shape.append(int(dimension) if known else (sides.pop(0) if sides else 1))
    return tuple(shape)


def _key(kind: str, *parts: object) -> str:
    return hashlib.sha256(json.dumps([kind, *parts]).encode()).hexdigest()[:40]
