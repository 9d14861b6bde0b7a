"""When a quantised network is good enough, and which of two is better. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from edgewright.compress.judge import Judgement


@dataclass(frozen=True)
class GoalResult:
    """What was asked, what was reached, and whether that is enough; units are in the name."""

    goal: str
    asked: float
    reached: float
    met: bool


@dataclass(frozen=True)
class Goal:
    """The bound of a level.

    With labels: at most `bound_points` (of 100) of the metric lost, or one sample where the data are too few
    to tell. Without: the drop that the baseline's own probabilities let expect (`Fidelity.expected_drop`);
    for networks that are no classifiers an SQNR of at least `minimum_sqnr_db`.
    """

    bound_points: float
    minimum_sqnr_db: float
    samples: int
    baseline: float | None

    def drop_points(self, judgement: Judgement) -> float | None:
        """Points of the metric lost against the baseline; negative is a gain; None without labels."""
        if self.baseline is None or judgement.metric is None:
            return None
        return 100.0 * (self.baseline - judgement.metric)

    @property
    def allowed_points(self) -> float:
        """The bound, rounded to whole samples, at least one."""
        if self.baseline is None:
            return self.bound_points
        whole = max(1, floor(self.bound_points / 100.0 * self.samples + 1e-9))
        return max(self.bound_points, 100.0 * whole / self.samples)

    def met(self, judgement: Judgement) -> bool:
        drop = self.drop_points(judgement)
        if drop is not None:
            return drop <= self.allowed_points + 1e-6
        if judgement.fidelity.expected_drop is not None:
            return 100.0 * judgement.fidelity.expected_drop <= self.bound_points
        return judgement.fidelity.sqnr_db >= self.minimum_sqnr_db

    def loss(self, judgement: Judgement) -> float:
        """Smooth, label-free badness for ranking: the divergence of the probabilities, or minus the SQNR."""
        if judgement.fidelity.divergence is not None:
            return judgement.fidelity.divergence
        return -judgement.fidelity.sqnr_db

    def result(self, judgement: Judgement) -> GoalResult:
        """The bound as a record: drop_points (measured), expected_drop_points (no labels) or sqnr_db."""
        drop, met = self.drop_points(judgement), self.met(judgement)
        if drop is not None:
            return GoalResult("drop_points", self.bound_points, drop, met)
        if judgement.fidelity.expected_drop is not None:
            expected = 100.0 * judgement.fidelity.expected_drop
            return GoalResult("expected_drop_points", self.bound_points, expected, met)
        return GoalResult("sqnr_db", self.minimum_sqnr_db, judgement.fidelity.sqnr_db, met)

    def describe(self, judgement: Judgement) -> str:
        """The bound beside what was reached."""
        drop = self.drop_points(judgement)
        if drop is not None:
            return f"{drop:.2f} points lost, at most {self.allowed_points:.2f} allowed"
        if judgement.fidelity.expected_drop is not None:
            lost = 100.0 * judgement.fidelity.expected_drop
            return f"{lost:.2f} points expected to be lost, at most {self.bound_points:.2f} allowed"
        return f"SQNR of {judgement.fidelity.sqnr_db:.1f} dB, at least {self.minimum_sqnr_db:.1f} wanted"
