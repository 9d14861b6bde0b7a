"""Training a network in torch, judged by onnxruntime; the best of all that was judged is what is written."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from edgewright.compress.judge import Judge
from edgewright.compress.train.batches import Batches
from edgewright.compress.train.options import TrainOptions
from edgewright.compress.train.result import TrainedModel
from edgewright.compress.train.run import TrainingRun
from edgewright.compress.train.student import FloatStudent, Student
from edgewright.core.plain import to_plain
from edgewright.core.values import ProgressCallback, no_progress


def train(
    student: Path,
    teacher: Path,
    batches: Batches,
    judge: Judge,
    options: TrainOptions,
    destination: Path,
    progress: ProgressCallback = no_progress,
    checkpoint: Path | None = None,
) -> TrainedModel:
    """Trains the weights of the float network `student` to answer as `teacher` does, and as the labels say where
    batches have them; writes the best network that was judged, the untouched start among them, to `destination`.

    Both are ONNX files with one float32 input and the same outputs (intermediate sizes may differ: a pruned student).
    `judge` gives held-out images. `checkpoint` is a folder: killed at any moment, the same call goes on from the last
    save and ends with the same network, to the bit with `threads=1`, unless `budget_seconds` cuts it short elsewhere.

    Raises OPTION_INVALID (contradictory options, labels asked for and none there, a checkpoint of another training),
    DATASET_EMPTY, LABEL_INVALID, MODEL_UNSUPPORTED (an operator that cannot be trained), MODEL_NOT_FINITE (NaN in the
    teacher, or no step with a finite loss), COMPRESSION_FAILED (the executor computes something else than onnxruntime),
    MODEL_UNRUNNABLE, DISK_FULL. Then `destination` is not written.
    """
    with limited_threads(options.threads):
        return run_training(
            FloatStudent(student, options.lr),
            student,
            teacher,
            batches,
            judge,
            options,
            destination,
            progress,
            checkpoint,
        )


def run_training(
    student: Student,
    start: Path,
    teacher: Path,
    batches: Batches,
    judge: Judge,
    options: TrainOptions,
    destination: Path,
    progress: ProgressCallback,
    checkpoint: Path | None,
) -> TrainedModel:
    """What `train` does, for any student; `start` is its file."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = checkpoint
        if folder is None:
            name = stack.enter_context(tempfile.TemporaryDirectory(dir=destination.parent, prefix=".training-"))
            folder = Path(name)
        identity = {"start": _sha256(start), "teacher": _sha256(teacher), **_result_options(options)}
        keeps = checkpoint is not None
        run = TrainingRun(student, start, teacher, batches, judge, options, folder, keeps, identity, progress)
        return run.finish(destination)


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """torch with so many threads (0: as it is) inside the block."""
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _result_options(options: TrainOptions) -> dict[str, Any]:
    """The options that the result depends on; how often it is saved is not among them."""
    plain: dict[str, Any] = to_plain(dataclasses.replace(options))
    plain.pop("save_seconds")
    return plain


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
