"""What the steps of a recipe work with, and what they hand on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgewright.compress.goal import Goal
from edgewright.compress.judge import Bench, Judge
from edgewright.compress.pipeline.training_data import TrainingData
from edgewright.core.values import ProgressCallback, no_progress
from edgewright.graph.files import atomic_file
from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode

DEFAULT_BUDGET_SECONDS = 1800.0


@dataclass(frozen=True)
class Work:
    """The baseline and the data. `calibration` starts a pass over float32 batches [n, ...] without labels (None: no
    images); `training` are images to train with (None: none). `bound_points` bounds the whole.
    """

    baseline: Path
    judge: Judge
    calibration: Callable[[], Iterator[Array]] | None
    training: TrainingData | None
    target: str
    bound_points: float
    bench: Bench
    goal: Goal
    input_size: tuple[int, int] | None = None
    threads: int = 0
    seed: int = 0
    progress: ProgressCallback = no_progress

    def images(self, step: str) -> Callable[[], Iterator[Array]]:
        """The calibration pass. Raises DATASET_REQUIRED."""
        if self.calibration is None:
            raise EdgewrightError(
                ErrorCode.DATASET_REQUIRED,
                f"{step} needs images, and the model has no data set",
                "edgewright dataset add NAME PATH, then add the model again with --dataset NAME",
            )
        return self.calibration

    def examples(self, step: str) -> TrainingData:
        """The training images. Raises DATASET_REQUIRED."""
        if self.training is None:
            self.images(step)
        assert self.training is not None
        return self.training


def open_work(
    baseline: Path,
    judge: Judge,
    calibration: Callable[[], Iterator[Array]] | None,
    training: TrainingData | None,
    target: str,
    bound_points: float,
    minimum_sqnr_db: float = 15.0,
    input_size: tuple[int, int] | None = None,
    threads: int = 0,
    seed: int = 0,
    progress: ProgressCallback = no_progress,
) -> Work:
    """Judges the baseline, which fixes the bound."""
    bench = Bench(baseline, judge, threads)
    goal = Goal(bound_points, minimum_sqnr_db, bench.samples, bench.baseline_metric())
    return Work(
        baseline, judge, calibration, training, target, bound_points, bench, goal, input_size, threads, seed, progress
    )


@dataclass(frozen=True)
class Stage:
    """A network between two steps. `float_path` is its last float form; `facts` are for the variant's record,
    `notes` for the reader, `reasons` say why each step stopped.
    """

    path: Path
    float_path: Path
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    def then(self, path: Path, *, is_float: bool, reason: str = "", notes: tuple[str, ...] = (), **facts: Any) -> Stage:
        """The stage after a step that wrote `path`."""
        return replace(
            self,
            path=path,
            float_path=path if is_float else self.float_path,
            facts={**self.facts, **facts},
            notes=(*self.notes, *(note for note in notes if note not in self.notes)),
            reasons=(*self.reasons, reason) if reason else self.reasons,
        )


class Stopwatch:
    """Time that a piece of work has taken, over kills: kept in a file of its folder."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self.clock = folder / "clock.json", clock
        before = json.loads(self._path.read_text())["seconds"] if self._path.is_file() else 0.0
        self._began = clock() - float(before)
        self._saved = float(before)

    @property
    def seconds(self) -> float:
        return self.clock() - self._began

    def save(self, every: float = 0.0) -> None:
        """Writes the time down, if `every` seconds have passed since the last time."""
        if self.seconds - self._saved >= every:
            self._saved = self.seconds
            with atomic_file(self._path) as temporary:
                temporary.write_text(json.dumps({"seconds": self._saved}))

    def deadline(self, seconds: float) -> float:
        """The clock's value when the work has taken so many seconds."""
        return self._began + seconds


def allotted(folder: Path, name: str, seconds: float) -> float:
    """The seconds given to a step when it first began; a resumed run must plan with the same."""
    path = folder / f"{name}.json"
    if path.is_file():
        return float(json.loads(path.read_text())["seconds"])
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps({"seconds": seconds}))
    return seconds
