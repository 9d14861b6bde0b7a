"""Which intermediate tensors of student and teacher are matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch

from edgewright.compress.executor.module import Executor
from edgewright.compress.train.losses import channel_axis
from edgewright.compress.train.teacher import Teacher
from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode

MOST = 4


@dataclass(frozen=True)
class Feature:
    """A tensor of the student and the one of the teacher that it should be like."""

    student: str
    teacher: str


def pick_features(
    executor: Executor,
    pairs: Mapping[str, str],
    teacher_model: onnx.ModelProto,
    probe: Array,
    asked: Sequence[str] | None = None,
    threads: int = 0,
) -> tuple[Feature, ...]:
    """The features to match; `pairs` maps the student's tensors to the teacher's that mean the same, `probe` is one
    input [1, ...].

    Without `asked`: at most four, the last of each spatial size where the whole graph runs through one tensor (block
    ends), else the last of each size; later ones first. With `asked`: the teacher's names, each of which must fit.
    Pairs fit when their shapes are equal but for the channels.

    Raises OPTION_INVALID for asked names that do not exist on both sides or do not fit.
    """
    if asked is not None and not asked:
        return ()
    by_teacher = {teacher: student for student, teacher in pairs.items()}
    if asked is not None and (missing := sorted(set(asked) - set(by_teacher))):
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID,
            f"features {', '.join(missing[:5])} are not tensors of both student and teacher",
            "name outputs of nodes that both graphs have, or leave `features` out to have them picked",
        )
    candidates = {student: teacher for student, teacher in pairs.items() if asked is None or teacher in asked}
    shapes = _shapes(executor, candidates, teacher_model, probe, threads)
    fitting = {name: pair for name, pair in shapes.items() if fits(*pair)}
    if asked is not None:
        wrong = [f"{candidates[name]} {pair}" for name, pair in shapes.items() if name not in fitting]
        if wrong:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"features whose shapes do not fit, student and teacher: {'; '.join(wrong[:3])}",
                "shapes must be equal, or differ in the channels of [n, channels, height, width] alone",
            )
        return tuple(Feature(by_teacher[name], name) for name in asked)
    outputs = set(executor.output_names)
    usable = [
        name for name in _order(executor) if name in fitting and name not in outputs and len(fitting[name][0]) > 2
    ]
    cuts = set(cut_points(executor))
    return tuple(
        Feature(name, candidates[name])
        for name in _last_of_each_size(usable, cuts, {n: p[1] for n, p in fitting.items()})
    )


def cut_points(executor: Executor) -> list[str]:
    """Tensors through which everything that depends on the input flows, in order of computation."""
    active = set(executor.input_names)
    last: dict[str, int] = {}
    for place, step in enumerate(executor.steps):
        if active.intersection(step.inputs):
            active.update(step.outputs)
        last.update((name, place) for name in step.inputs)
    last.update((name, len(executor.steps)) for name in executor.output_names)
    alive = set(executor.input_names)
    found: list[str] = []
    for place, step in enumerate(executor.steps):
        alive.update(name for name in step.outputs if name in active)
        alive = {name for name in alive if last.get(name, -1) > place}
        if len(alive) == 1:
            name = next(iter(alive))
            if not found or found[-1] != name:
                found.append(name)
    return found


def fits(student: tuple[int, ...], teacher: tuple[int, ...]) -> bool:
    """Whether two shapes can be compared: equal, or [n, c, h, w] with other channels."""
    if student == teacher:
        return True
    return len(student) == len(teacher) == 4 and (student[0], *student[2:]) == (teacher[0], *teacher[2:])


def _last_of_each_size(names: Sequence[str], cuts: set[str], shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    chosen: dict[tuple[int, ...], str] = {}
    for name in names:
        shape = shapes[name]
        axis = channel_axis(len(shape), shape)
        key = shape[:axis] + shape[axis + 1 :]
        if key not in chosen or name in cuts or chosen[key] not in cuts:
            chosen[key] = name
    kept = set(chosen.values())
    return [name for name in names if name in kept][-MOST:]


def _order(executor: Executor) -> list[str]:
    return [name for step in executor.steps for name in step.outputs]


def _shapes(
    executor: Executor,
    candidates: Mapping[str, str],
    teacher_model: onnx.ModelProto,
    probe: Array,
    threads: int,
) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Shapes of float tensors on both sides, by the student's name."""
    computed = [name for name in _order(executor) if name in candidates]
    with torch.no_grad():
        _, captured = executor(torch.from_numpy(np.array(probe)), capture=set(computed))
    floats = [name for name in computed if captured[name].is_floating_point()]
    teacher = Teacher(teacher_model, [candidates[name] for name in floats], threads)
    _, features = teacher.answers(probe)
    return {
        name: (tuple(captured[name].shape), tuple(features[candidates[name]].shape))
        for name in floats
        if features[candidates[name]].is_floating_point()
    }
