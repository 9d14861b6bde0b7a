"""How many steps a training takes, and when it has to stop for its budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from edgewright.compress.train.options import TrainOptions

# Steps whose pace sets the number of steps where only a budget is given.
PACE_STEPS = 5
# Of the budget: planning leaves a little for what is slower than it was at first.
_USED = 0.95


@dataclass
class Plan:
    """`total` steps (None until the pace is known), judged every `every` steps. `fixed`: asked for, not planned."""

    options: TrainOptions
    total: int | None
    clock: Callable[[], float] = time.monotonic
    every: int = 0
    next_judgement: int = 0
    fixed: bool = field(init=False)
    judging_seconds: float = 0.0
    _before: float = 0.0
    _began: float = field(init=False)
    _paces: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fixed = self.total is not None
        self._began = self.clock()
        if self.total is not None:
            self.every = self.next_judgement = max(1, -(-self.total // self.options.evaluations))

    @property
    def seconds(self) -> float:
        """Since the beginning, earlier runs of the same training counted."""
        return self._before + self.clock() - self._began

    def timed(self, seconds: float) -> None:
        """Takes note of how long a step took."""
        self._paces = [*self._paces[-8:], seconds]

    def judged(self, seconds: float) -> None:
        """Takes note of how long a judgement took."""
        self.judging_seconds = seconds if not self.judging_seconds else max(seconds, 0.5 * self.judging_seconds)

    def renew(self, step: int) -> None:
        """Sets the number of steps by the pace, once it is known, and corrects it; towards the end, when the rate is
        low already, only downwards.
        """
        budget = self.options.budget_seconds
        if self.fixed or budget is None or len(self._paces) < PACE_STEPS:
            return
        judgements = self.options.evaluations if self.total is None else max(1, -(-(self.total - step) // self.every))
        left = _USED * budget - self.seconds - judgements * self.judging_seconds
        reachable = step + max(1, int(left / max(median(self._paces), 1e-6)))
        if self.total is not None and step > 0.6 * self.total:
            reachable = min(self.total, reachable)
        self.total = reachable
        self.every = max(1, -(-self.total // self.options.evaluations))
        self.next_judgement = self.next_judgement or self.every

    def judgement_due(self, step: int) -> bool:
        """Whether the network is to be judged after this step; each time only once."""
        if self.total is None or step < self.next_judgement:
            return False
        self.next_judgement = step + self.every
        return True

    def out_of_time(self) -> bool:
        """Whether one more step and the last judgement would end after the budget."""
        budget = self.options.budget_seconds
        ahead = (max(self._paces) if self._paces else 0.0) + self.judging_seconds
        return budget is not None and self.seconds + ahead > budget

    def facts(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "every": self.every,
            "next_judgement": self.next_judgement,
            "fixed": self.fixed,
            "seconds": self.seconds,
            "judging_seconds": self.judging_seconds,
        }

    def load(self, facts: dict[str, Any]) -> None:
        """Goes on from `facts`."""
        self.total, self.fixed = facts["total"], facts["fixed"]
        self.every, self.next_judgement = facts["every"], facts["next_judgement"]
        self._before, self.judging_seconds = facts["seconds"], facts["judging_seconds"]
