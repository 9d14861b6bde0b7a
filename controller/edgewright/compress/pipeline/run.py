"""A recipe run from the first step to a judged file, within its time, over kills."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgewright.compress.goal import GoalResult
from edgewright.compress.judge import Judgement

# The step modules register themselves.
from edgewright.compress.pipeline import final_steps, float_steps  # noqa: F401
from edgewright.compress.pipeline.pruning import NO_BOUND, goal_of, prune_in_rounds, rounds_facts
from edgewright.compress.pipeline.registry import RUNNERS
from edgewright.compress.pipeline.work import DEFAULT_BUDGET_SECONDS, Stage, Stopwatch, Work
from edgewright.compress.prune.rounds import SIZE_TOLERANCE, PruningRounds, Round, Rounds
from edgewright.core.plain import to_plain
from edgewright.core.recipe import Distill, Prune, Qat, Quantize, Recipe, Step, name_of
from edgewright.core.values import ProgressEvent
from edgewright.graph.cost import count_macs, count_parameters
from edgewright.graph.files import atomic_file
from edgewright.graph.measured_shapes import known_shapes
from edgewright.graph.model_file import load_model
from edgewright.graph.shapes import concrete_shapes

# What the rounds of pruning may take of the budget, and a first try of the steps after them of what is left then.
_PRUNE_SHARE = 0.4
_FIRST_TRY = 0.7
# How the time of the steps after pruning is shared out.
_WEIGHTS: dict[type[Step], float] = {Distill: 6.0, Quantize: 1.0, Qat: 2.0}
# A try that would get less time than this is not begun.
_LEAST_SECONDS = 5.0
_SAVE_SECONDS = 5.0
# Seconds where nothing takes long by itself.
_UNBOUNDED = 1e9


@dataclass(frozen=True)
class MadeVariant:
    """The written file, its judgement against the baseline, every goal with what was reached, and the facts."""

    path: Path
    judgement: Judgement
    goals: tuple[GoalResult, ...]
    facts: dict[str, Any]

    @property
    def met(self) -> bool:
        return all(goal.met for goal in self.goals)


@dataclass(frozen=True)
class _Try:
    """The steps after pruning, run from one round. `number` is the round's, 0 for the unpruned network."""

    number: int
    stage: Stage
    judgement: Judgement


class RecipeRun:
    """Runs `recipe` on `work` in `folder`, which keeps what is done: the same again goes on where it was killed."""

    def __init__(self, recipe: Recipe, work: Work, folder: Path, budget_seconds: float | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._recipe, self._folder = recipe, folder
        self._watch = Stopwatch(folder)
        self._budget = budget_seconds or DEFAULT_BUDGET_SECONDS
        self._bounded = budget_seconds is not None or recipe.trains
        # What the last try took besides training: the next one needs it too.
        self._untimed = 0.0
        self._work = replace(work, progress=self._noting(work))

    def finish(self, destination: Path) -> MadeVariant:
        """Runs all steps and writes the best file within the bound to `destination`; where none keeps it, the one
        that loses least.

        Raises what the steps raise; then nothing is written.
        """
        steps = list(self._recipe.steps)
        place = next((index for index, step in enumerate(steps) if isinstance(step, Prune)), None)
        start = Stage(self._work.baseline, self._work.baseline)
        if place is None:
            best = self._attempt(steps, start, 0, self._left)
            rounds = None
        else:
            for index, step in enumerate(steps[:place]):
                start = self._step(step, start, self._folder / f"before_{index}", self._left)
            prune = steps[place]
            assert isinstance(prune, Prune)
            rounds, engine = self._prune(prune, start)
            best = self._search(steps[place + 1 :], start, rounds, engine)
        return self._made(best, rounds, destination)

    @property
    def _left(self) -> float:
        return max(self._budget - self._watch.seconds, 0.0) if self._bounded else _UNBOUNDED

    def _noting(self, work: Work) -> Any:
        """Progress that also writes the time down now and then."""

        def note(event: ProgressEvent) -> None:
            self._watch.save(_SAVE_SECONDS)
            work.progress(event)

        return note

    def _prune(self, step: Prune, start: Stage) -> tuple[Rounds, PruningRounds]:
        distill = next((item for item in self._recipe.steps if isinstance(item, Distill)), Distill())
        deadline = self._watch.deadline(_PRUNE_SHARE * self._budget)
        result = prune_in_rounds(
            step, distill, start.path, self._work, self._folder / "rounds", deadline, self._watch.clock
        )
        self._watch.save()
        return result

    def _search(self, steps: Sequence[Step], start: Stage, rounds: Rounds, engine: PruningRounds) -> _Try:
        """The deepest round whose result keeps the bound: what fails sets the upper end, what holds the lower one."""
        tried: list[_Try] = []
        low, high, number = 0, len(rounds.rounds), len(rounds.rounds) - 1
        while True:
            item = rounds.rounds[number]
            stage = start if number == 0 else start.then(engine.path(item), is_float=True, notes=rounds.notes)
            share = 1.0 if number == 0 else _FIRST_TRY
            tried.append(self._attempt(list(steps), stage, number, share * self._left))
            if self._work.goal.met(tried[-1].judgement):
                low = number
            else:
                high = number
            late = self._left < _LEAST_SECONDS + self._untimed
            if high - low <= 1 or number == 0 or (late and low > 0):
                break
            number = 0 if self._left < _LEAST_SECONDS + 2 * self._untimed else self._next(rounds, tried, low, high)
        kept = [item for item in tried if self._work.goal.met(item.judgement)]
        if kept:
            return max(kept, key=lambda item: item.number)
        if all(item.number for item in tried):
            tried.append(self._attempt(list(steps), start, 0, self._left))
        return min(tried, key=self._badness)

    def _next(self, rounds: Rounds, tried: Sequence[_Try], low: int, high: int) -> int:
        """The deepest round between that should hold if the steps win back as much as they did so far; else the
        middle one.
        """
        goal = self._work.goal
        gains = []
        for item in tried:
            before, after = (
                goal.drop_points(judgement) for judgement in (rounds.rounds[item.number].judgement, item.judgement)
            )
            if before is not None and after is not None:
                gains.append(before - after)
        for number in range(high - 1, low, -1):
            drop = goal.drop_points(rounds.rounds[number].judgement)
            if gains and drop is not None and drop - min(gains) <= goal.allowed_points:
                return number
        return (low + high) // 2

    def _badness(self, item: _Try) -> tuple[bool, float, float]:
        goal = self._work.goal
        return not goal.met(item.judgement), goal.drop_points(item.judgement) or 0.0, goal.loss(item.judgement)

    def _attempt(self, steps: list[Step], stage: Stage, number: int, seconds: float) -> _Try:
        total = sum(_WEIGHTS.get(type(step), 0.0) for step in steps) or 1.0
        seconds = max(seconds - self._untimed, 0.0)
        began = self._watch.seconds
        trained = 0.0
        for index, step in enumerate(steps):
            share = _WEIGHTS.get(type(step), 0.0) / total
            before = self._watch.seconds
            stage = self._step(
                step, stage, self._folder / f"try_{number}_{index}_{name_of(step)}", max(share * seconds, 1.0)
            )
            if isinstance(step, (Distill, Qat)):
                trained += self._watch.seconds - before
        judgement = self._work.bench.judge_file(stage.path, self._work.progress, "judging the result")
        self._untimed = self._watch.seconds - began - trained
        return _Try(number, stage, judgement)

    def _step(self, step: Step, stage: Stage, folder: Path, seconds: float) -> Stage:
        """Runs one step, or takes what it made before a kill."""
        folder.mkdir(parents=True, exist_ok=True)
        done = folder / "done.json"
        if done.is_file():
            return _stage(json.loads(done.read_text()))
        result = RUNNERS[type(step)](step, stage, self._work, folder, seconds)
        with atomic_file(done) as temporary:
            temporary.write_text(json.dumps(to_plain(_plain(result))))
        self._watch.save()
        return result

    def _made(self, best: _Try, rounds: Rounds | None, destination: Path) -> MadeVariant:
        work, stage = self._work, best.stage
        with atomic_file(destination) as temporary:
            shutil.copyfile(stage.path, temporary)
        size = destination.stat().st_size
        parameters, macs = _costs(stage.float_path, work)
        goals = [work.goal.result(best.judgement)]
        reasons = list(stage.reasons)
        facts = dict(stage.facts)
        if rounds is not None:
            chosen = rounds.rounds[best.number]
            prune = next(step for step in self._recipe.steps if isinstance(step, Prune))
            goals.append(_prune_goal(prune, rounds, parameters, macs, size))
            reasons.insert(0, _pruning_reason(rounds, chosen))
            facts.update(rounds_facts(rounds, chosen))
        # Under a bound the rest is what is aimed at; without one it is what was asked for.
        bounded = work.bound_points < NO_BOUND
        held = "the bound holds" if goals[0].met else "the bound is missed"
        drop = work.goal.drop_points(best.judgement)
        metric = None
        if best.judgement.metric is not None and work.goal.baseline is not None:
            metric = {
                "name": work.judge.metric_name,
                "baseline": work.goal.baseline,
                "value": best.judgement.metric,
            }
        facts.update(
            size_bytes=size,
            parameters=parameters,
            macs=macs,
            fidelity=to_plain(best.judgement.fidelity),
            metric=metric,
            drop=drop,
            goals=[{**to_plain(goal), "aim": place > 0 and bounded} for place, goal in enumerate(goals)],
            notes=list(stage.notes),
            tuning_samples=work.bench.samples,
            stopped_because="; ".join([f"{held}: {work.goal.describe(best.judgement)}", *reasons]),
            seconds=round(self._watch.seconds, 1),
        )
        facts.setdefault("float_layers", [])
        return MadeVariant(destination, best.judgement, tuple(goals), facts)


def _prune_goal(step: Prune, rounds: Rounds, parameters: int, macs: int, size: int) -> GoalResult:
    """What pruning was asked for and what the variant has."""
    measure, asked = goal_of(step)
    base = rounds.rounds[0]
    reached = {
        "macs": macs / base.macs if base.macs else 1.0,
        "parameters": parameters / base.parameters if base.parameters else 1.0,
        "size": size / base.size_bytes,
    }[measure]
    met = abs(reached - asked) <= SIZE_TOLERANCE * asked if measure == "size" else reached <= asked + 1e-9
    return GoalResult(f"{measure}_ratio", asked, reached, met)


def _pruning_reason(rounds: Rounds, chosen: Round) -> str:
    text = f"pruning: {rounds.stopped_because}"
    last = rounds.rounds[-1].number
    if chosen.number < last:
        text += f"; of {last} rounds the bound let {chosen.number} stand"
    return text


def _costs(path: Path, work: Work) -> tuple[int, int]:
    model = load_model(path)
    shapes = known_shapes(model, concrete_shapes(model, work.input_size))
    return count_parameters(model), count_macs(model, shapes)[0]


def _plain(stage: Stage) -> dict[str, Any]:
    return {
        "path": str(stage.path),
        "float_path": str(stage.float_path),
        "facts": stage.facts,
        "notes": stage.notes,
        "reasons": stage.reasons,
    }


def _stage(plain: dict[str, Any]) -> Stage:
    return Stage(
        Path(plain["path"]),
        Path(plain["float_path"]),
        plain["facts"],
        tuple(plain["notes"]),
        tuple(plain["reasons"]),
    )
