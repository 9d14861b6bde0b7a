"""The task's metric from a device's outputs, image by image, so that variants can be compared in pairs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edgewright.core.plain import from_plain, to_plain
from edgewright.core.values import ModelSpec, Task
from edgewright.services.inputs import InputFile
from edgewright.store.records import ModelRecord

FIDELITY = "sqnr_db"


@dataclass(frozen=True)
class Scores:
    """One entry an image: whether it was right, and the class that was answered (empty for other tasks).

    `outputs` is kept for the comparison within a run only, not stored.
    """

    metric: str
    count: int
    correct: tuple[bool, ...] = ()
    predictions: tuple[int, ...] = ()
    top5: float | None = None
    outputs: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def from_plain(cls, data: dict[str, Any]) -> Scores:
        return from_plain(cls, {**data, "outputs": None})


def score_outputs(model: ModelRecord, spec: ModelSpec, outputs: dict[str, Any], inputs: InputFile) -> Scores:
    """The task's metric where there are labels, else the outputs themselves for a comparison with the baseline's."""
    from edgewright.tasks.classification import class_scores, top_k
    from edgewright.tasks.registry import plugin_for

    plugin = plugin_for(model.task)
    count = len(next(iter(outputs.values())))
    if plugin is None or not inputs.labels or any(label is None for label in inputs.labels):
        return Scores(FIDELITY, count, outputs=outputs)
    judged = plugin.compute(outputs, inputs.labels, spec.output)
    answers = () if judged.answers is None else tuple(judged.answers.tolist())
    top5 = None
    if model.task == Task.CLASSIFICATION:
        scores = class_scores(next(iter(outputs.values())))
        if scores.shape[1] >= 10:
            top5 = float(top_k(scores, inputs.label_array(), spec.output.first_class, 5).mean())
    return Scores(judged.metric, count, tuple((judged.scores > 0.5).tolist()), answers, top5, outputs)


def compare_scores(scores: Scores, baseline: Scores | None) -> dict[str, Any]:
    """The summary that is stored and shown: value with interval, paired drop and agreement against the baseline."""
    if scores.metric != FIDELITY:
        return _classification(scores, baseline)
    from edgewright.tasks.fidelity import fidelity

    close = None
    if baseline is not None and baseline.outputs is not None and baseline is not scores:
        close = fidelity(baseline.outputs, scores.outputs, classification=False)
    value = None if close is None else close.sqnr_db
    return _summary(scores, value=value, fidelity=close)


def _classification(scores: Scores, baseline: Scores | None) -> dict[str, Any]:
    import numpy as np

    from edgewright.tasks.classification import accuracy_interval, agreement, paired_drop

    right = np.asarray(scores.correct)
    interval = accuracy_interval(right)
    drop, same = None, None
    if baseline is not None and baseline is not scores:
        paired = paired_drop(np.asarray(baseline.correct), right)
        drop = {
            "value": paired.value,
            "low": paired.low,
            "high": paired.high,
            "significant": not paired.low <= 0.0 <= paired.high,
        }
        same = agreement(np.asarray(baseline.predictions), np.asarray(scores.predictions))
    before = None if baseline is None else float(np.mean(baseline.correct))
    return _summary(
        scores, value=interval.value, low=interval.low, high=interval.high, baseline=before, drop=drop, agreement=same
    )


def _summary(scores: Scores, **known: Any) -> dict[str, Any]:
    close = known.pop("fidelity", None)
    summary: dict[str, Any] = {
        "metric": scores.metric,
        "value": None,
        "low": None,
        "high": None,
        "baseline": None,
        "drop": None,
        "agreement": None,
        "sqnr_db": None if close is None else close.sqnr_db,
        "cosine": None if close is None else close.cosine,
        "top5": scores.top5,
        "count": scores.count,
        **known,
    }
    plain: dict[str, Any] = to_plain(summary)  # identical outputs have an infinite SQNR, which JSON lacks
    return plain
