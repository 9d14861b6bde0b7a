"""What a training hands back, and which of two networks is the better one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.compress.goal import Goal
from edgewright.compress.judge import Fidelity, Judgement


@dataclass(frozen=True)
class Evaluation:
    """The network after `step` steps, judged by onnxruntime. `loss` is the mean training loss since the evaluation
    before (None for the start), `seconds` the time since the beginning.
    """

    step: int
    seconds: float
    loss: float | None
    judgement: Judgement


@dataclass(frozen=True)
class TrainedModel:
    """`best_step` 0 means that the start was the best: then the file written is its copy.

    `lr` (of the weights), `alpha` and `features` (the teacher's tensors) are what was
    used; `executor_difference` is how far the executor was
    from onnxruntime before training (see the student's `check`).
    """

    size_bytes: int
    steps: int
    planned_steps: int
    epochs: int
    seconds: float
    best_step: int
    start: Judgement
    best: Judgement
    history: tuple[Evaluation, ...]
    lr: float
    alpha: float
    features: tuple[str, ...]
    executor_difference: float
    stopped_because: str
    notes: tuple[str, ...] = ()

    @property
    def improved(self) -> bool:
        return self.best_step > 0


def is_better(candidate: Judgement, best: Judgement, start: Judgement, goal: Goal, by_metric: bool) -> bool:
    """Never when the metric is below the start's. `by_metric`: a higher metric wins, at equality the closer to the
    teacher; else the closer to the teacher wins, for closeness is smooth where a metric of few samples is noise.
    """
    if _metric(candidate) < _metric(start):
        return False
    if by_metric and candidate.metric != best.metric:
        return _metric(candidate) > _metric(best)
    return goal.loss(candidate) < goal.loss(best)


def _metric(judgement: Judgement) -> float:
    return 0.0 if judgement.metric is None else judgement.metric


def judgement_from_plain(plain: Mapping[str, Any]) -> Judgement:
    """The inverse of `to_plain`."""
    return Judgement(plain["metric"], Fidelity(**plain["fidelity"]))


def evaluation_from_plain(plain: Mapping[str, Any]) -> Evaluation:
    """The inverse of `to_plain`."""
    return Evaluation(plain["step"], plain["seconds"], plain["loss"], judgement_from_plain(plain["judgement"]))
