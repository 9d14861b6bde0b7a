"""Is the spec right? Accuracy near chance has few causes; they are tried, and the one that mends it is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgewright.core.spec import NAMED_SPECS
from edgewright.core.values import Color, InputSpec, ModelSpec
from edgewright.tasks.classification import accuracy_interval, class_scores, paired_drop, top_k

Array = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]

_OTHER_COLOR = {Color.RGB: Color.BGR, Color.BGR: Color.RGB}
_SPECS_OF_OTHER_RANGES = ("imagenet", "inception", "zero_to_one", "caffe")
# Of a right network more is expected than twice what guessing gets, and than LEAST_ACCURACY.
_TIMES_CHANCE, _LEAST_ACCURACY = 2.0, 0.05
# Swapped colours or another range cost a good network some points only; above this nothing is tried.
_ENOUGH_ACCURACY = 0.8
# An alternative is believed when it wins this much, its paired interval excludes no gain, and it beats guessing.
_LEAST_GAIN_POINTS = 5.0


class LabelledInputs(Protocol):
    """Preprocessed images with their labels, None where an image has none."""

    @property
    def labels(self) -> Sequence[int | None]: ...


Run = Callable[[ModelSpec], tuple[LabelledInputs, Mapping[str, Array]]]


@dataclass(frozen=True)
class _Alternative:
    """One thing that may be wrong, as it would have to be written in the spec."""

    text: str
    spec: ModelSpec


def suspect_spec(run: Run, spec: ModelSpec) -> tuple[dict[str, Any] | None, list[str]]:
    """The baseline's top-1 as {name, value, count}, and warnings that name what in the spec looks wrong.

    `run` preprocesses a sample of labelled images as a spec says, runs the network and returns both, its class
    scores first. It is called again for each alternative: other order of colours, other mean and std when the
    accuracy is not high, pairs of these when it is near chance. Without labels the answer is (None, []).
    Raises LABEL_INVALID for labels beyond the network's outputs.
    """
    inputs, outputs = run(spec)
    if not inputs.labels or any(label is None for label in inputs.labels):
        return None, []
    labels = np.array(inputs.labels, dtype=np.int64)
    trial = _Trial(run, spec, labels, class_scores(next(iter(outputs.values()))))
    value = float(trial.right.mean())
    baseline = {"name": "top1", "value": value, "count": len(labels)}
    found = f"top-1 is {value:.1%} of {len(labels)} images"
    if not trial.near_chance():
        better = trial.best(_singles(spec)) if value < _ENOUGH_ACCURACY else ""
        return baseline, [f"{found}, but {better}: is the spec right?"] if better else []
    found += f", near chance ({1 / trial.width:.1%})"
    better = trial.best(_singles(spec)) or trial.best(_pairs(spec))
    if better:
        return baseline, [f"{found}: the spec looks wrong; {better}"]
    return baseline, [
        f"{found}: the spec, the order of the classes or the labels are wrong; other channel orders, mean and std, "
        "and first_class were tried and did not help"
    ]


class _Trial:
    """The network as the spec has it, and what it does as other specs have it."""

    def __init__(self, run: Run, spec: ModelSpec, labels: Array, scores: Array) -> None:
        self._run, self._spec, self._labels, self._scores = run, spec, labels, scores
        self.width = int(scores.shape[1])
        self.right = top_k(scores, labels, spec.output.first_class, 1)

    def near_chance(self, right: Flags | None = None) -> bool:
        """Whether so few hits are about what guessing gets."""
        interval = accuracy_interval(self.right if right is None else right)
        bound = min(0.5, max(_TIMES_CHANCE / self.width, _LEAST_ACCURACY))
        if interval.value >= _ENOUGH_ACCURACY:  # of a handful of images even all right may be luck
            return False
        return bool(interval.value < bound or interval.low <= 1 / self.width)

    def best(self, alternatives: Iterator[_Alternative]) -> str:
        """The alternative with the most hits, where chance does not explain them; else nothing."""
        best, best_right = None, self.right
        for alternative in alternatives:
            right = self._hits(alternative.spec)
            if right.sum() > best_right.sum():
                best, best_right = alternative, right
        gain = paired_drop(best_right, self.right)
        if best is None or gain.value < _LEAST_GAIN_POINTS or gain.low <= 0.0 or self.near_chance(best_right):
            return ""
        return f"with {best.text} it is {best_right.mean():.1%}"

    def _hits(self, spec: ModelSpec) -> Flags:
        scores = self._scores
        if int(self._labels.max()) + spec.output.first_class >= self.width:
            return np.zeros_like(self.right)
        if spec.input != self._spec.input:
            scores = class_scores(next(iter(self._run(spec)[1].values())))
        return top_k(scores, self._labels, spec.output.first_class, 1)


def _singles(spec: ModelSpec) -> Iterator[_Alternative]:
    """Each change alone, the likeliest first."""
    yield from _first_classes(spec)
    yield from _colors(spec)
    yield from _ranges(spec)


def _pairs(spec: ModelSpec) -> Iterator[_Alternative]:
    for first in (*_first_classes(spec), *_colors(spec)):
        for second in (*_colors(first.spec), *_ranges(first.spec)):
            if second.spec != spec:
                yield _Alternative(f"{first.text} and {second.text}", second.spec)


def _first_classes(spec: ModelSpec) -> Iterator[_Alternative]:
    other = 1 - spec.output.first_class
    changed = replace(spec, output=replace(spec.output, first_class=other))
    yield _Alternative(f"output.first_class = {other}", changed)


def _colors(spec: ModelSpec) -> Iterator[_Alternative]:
    if spec.input.color in _OTHER_COLOR:
        color = _OTHER_COLOR[spec.input.color]
        changed = replace(spec.input, color=color)
        yield _Alternative(f'input.color = "{color.value}"', replace(spec, input=changed))


def _ranges(spec: ModelSpec) -> Iterator[_Alternative]:
    known = {(spec.input.mean, spec.input.std)}
    candidates: list[tuple[tuple[float, ...], tuple[float, ...]]] = [((), ())]
    for name in _SPECS_OF_OTHER_RANGES:
        other: InputSpec = NAMED_SPECS[name].input
        turned = -1 if (other.color is Color.BGR) != (spec.input.color is Color.BGR) else 1
        candidates.append((other.mean[::turned], other.std[::turned]))
    for mean, std in candidates:
        if spec.input.color is Color.GRAY:
            mean, std = _grey(mean), _grey(std)
        if (mean, std) not in known:
            known.add((mean, std))
            text = f"input.mean = {list(mean) or [0.0]}, input.std = {list(std) or [1.0]}"
            yield _Alternative(text, replace(spec, input=replace(spec.input, mean=mean, std=std)))


def _grey(values: tuple[float, ...]) -> tuple[float, ...]:
    return (round(sum(values) / len(values), 3),) if values else ()
