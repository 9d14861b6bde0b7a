"""The learning rate that suits a network, found by trying a few."""

from __future__ import annotations

import math

from edgewright.compress.train.batches import Batches, BatchStream
from edgewright.compress.train.distiller import Distiller
from edgewright.compress.train.optimiser import Optimiser
from edgewright.compress.train.options import TrainOptions
from edgewright.compress.train.plan import Plan
from edgewright.compress.train.student import Student, restore, snapshot

# Of the student's own rate.
FACTORS = (0.1, 0.3, 1.0, 3.0)
_MOST_STEPS, _LEAST_STEPS = 40, 6
# Of all steps, or of the budget, that trying may cost.
_SHARE = 0.12
# Losses that differ by less are about equal.
_ABOUT = 1.05


def choose_rate(student: Student, distiller: Distiller, batches: Batches, options: TrainOptions, plan: Plan) -> float:
    """The factor whose loss is least at the end of a few steps, each tried from the start and on the same batches; of
    those that are about as good the largest, for the cosine has still to come.

    Where there is no time to try, a third of the student's own rate. The student is left as it was.
    """
    before = snapshot(student)
    steps = _MOST_STEPS
    if plan.total is not None:
        steps = min(steps, int(_SHARE * plan.total / len(FACTORS)))
    losses: dict[float, float] = {}
    for factor in FACTORS:
        began = plan.seconds
        stream = BatchStream(batches, options.seed)
        optimiser = Optimiser(student, options.max_gradient_norm)
        if factor == FACTORS[0] and options.budget_seconds is not None:
            # The first step tells how long the others will take.
            distiller.backward(stream.take())
            pace = max(plan.seconds - began, 1e-6)
            steps = min(steps, int(_SHARE * (options.budget_seconds - plan.seconds) / (pace * len(FACTORS))))
            stream = BatchStream(batches, options.seed)
        if steps < _LEAST_STEPS:
            optimiser.clear()
            return FACTORS[1]
        losses[factor] = _final_loss(student, distiller, stream, optimiser, factor, steps)
        restore(student, before)
        optimiser.clear()
    least = min(losses.values())
    return max((factor for factor in FACTORS if losses[factor] <= _ABOUT * least < math.inf), default=FACTORS[0])


def _final_loss(
    student: Student, distiller: Distiller, stream: BatchStream, optimiser: Optimiser, factor: float, steps: int
) -> float:
    """Mean loss of the last third of `steps` steps, after a short warm-up; infinite when one is not finite."""
    losses = []
    for step in range(steps):
        optimiser.clear()
        loss = distiller.backward(stream.take())
        if not math.isfinite(loss) or not optimiser.step(factor * min(1.0, (step + 1) / 4)):
            return math.inf
        student.project()
        losses.append(loss)
    last = losses[-max(steps // 3, 1) :]
    return sum(last) / len(last)
