"""Tasks by name: what each measures, from a network's outputs and an image set's labels. A new task is a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgewright.core.values import OutputSpec, Task
from edgewright.tasks.classification import class_scores, top_k
from edgewright_contract.errors import EdgewrightError, ErrorCode

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ImageScores:
    """One score an image (higher is better, the metric is their mean), and what was answered where that is a class."""

    metric: str
    scores: Array  # float64 [N]
    answers: Array | None = None  # int64 [N]


class TaskPlugin(Protocol):
    """How a task is judged."""

    task: Task
    metric: str
    needs_labels: bool

    def compute(self, outputs: Mapping[str, Array], labels: Sequence[int | None], spec: OutputSpec) -> ImageScores:
        """Scores of outputs whose samples are along axis 0; raises LABEL_INVALID, SPEC_MISMATCH."""


class Classification:
    """Top-1, or another top-k, of the first output."""

    task = Task.CLASSIFICATION
    needs_labels = True

    def __init__(self, k: int = 1) -> None:
        self.k, self.metric = k, f"top{k}"

    def compute(self, outputs: Mapping[str, Array], labels: Sequence[int | None], spec: OutputSpec) -> ImageScores:
        if any(label is None for label in labels):
            raise EdgewrightError(
                ErrorCode.DATASET_REQUIRED,
                f"{self.metric} needs labels, and {sum(label is None for label in labels)} images have none",
                "evaluate on an imagefolder or csv data set",
            )
        scores = class_scores(next(iter(outputs.values())))
        right = top_k(scores, np.array(labels, dtype=np.int64), spec.first_class, self.k)
        return ImageScores(self.metric, right.astype(np.float64), scores.argmax(axis=1) - spec.first_class)


# None: no metric of its own, such networks are compared with their baseline only (fidelity.py).
TASKS: Mapping[Task, TaskPlugin | None] = {Task.CLASSIFICATION: Classification(), Task.TENSOR: None}


def plugin_for(task: str) -> TaskPlugin | None:
    """The plug-in of a task's name (None: fidelity only); raises OPTION_INVALID, listing the known names."""
    if task not in TASKS:
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID,
            f"unknown task {task!r}; known: {', '.join(known.value for known in TASKS)}",
            "`tensor` fits every network",
        )
    return TASKS[Task(task)]
