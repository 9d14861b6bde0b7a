"""Widths per channel group that meet a goal at least predicted loss. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

# An exact goal is closed by exchanging so many channels between so many groups, so often.
_EXCHANGED, _EXCHANGED_GROUPS, _EXCHANGES = 5, 12, 3


@dataclass(frozen=True)
class Axis:
    """An axis of a weight: `size` positions, of which each channel of a group takes so many: (group, positions)."""

    size: int
    parts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Cost:
    """`amount` (elements or multiply-accumulates) that shrinks in proportion along each axis."""

    amount: float
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class CostModel:
    """A cost as a function of widths: a product over axes for each weight, and `fixed` beside."""

    costs: tuple[Cost, ...]
    fixed: float = 0.0
    _by_group: dict[str, list[Cost]] = field(default_factory=lambda: defaultdict(list), repr=False, compare=False)

    def __post_init__(self) -> None:
        for cost in self.costs:
            for name in {name for axis in cost.axes for name, _ in axis.parts}:
                self._by_group[name].append(cost)

    def total(self, removed: Mapping[str, int]) -> float:
        """The cost when so many channels of each group are gone."""
        return self.fixed + sum(_amount(cost, removed) for cost in self.costs)

    def change(self, removed: Mapping[str, int], group: str, more: int) -> float:
        """How much cheaper it gets when `more` further channels of `group` go (negative `more`: return)."""
        after = {**removed, group: removed.get(group, 0) + more}
        return sum(_amount(cost, removed) - _amount(cost, after) for cost in self._by_group.get(group, ()))


def _amount(cost: Cost, removed: Mapping[str, int]) -> float:
    amount = cost.amount
    for axis in cost.axes:
        gone = sum(removed.get(name, 0) * positions for name, positions in axis.parts)
        amount *= max(axis.size - gone, 0) / axis.size
    return amount


@dataclass(frozen=True)
class Choice:
    """A group to choose a width for.

    `losses[k]` is the predicted loss when its k least important channels go (0 at k = 0, never falling).
    `step` is the number of channels by which aligned widths differ, `least` how many stay at least.
    """

    group: str
    size: int
    losses: Sequence[float]
    step: int = 8
    least: int = 1

    def down(self, removed: int) -> int:
        """Channels to remove to get to the next smaller aligned width; 0 where there is none."""
        width = self.size - removed
        lower = (ceil(width / self.step) - 1) * self.step
        return width - lower if lower >= max(self.least, 1) else 0

    def up(self, removed: int) -> int:
        """Channels to return to get to the next larger aligned width (at most the full one)."""
        width = self.size - removed
        return min(self.size, (width // self.step + 1) * self.step) - width


@dataclass(frozen=True)
class Solution:
    """`removed` channels per group, the `cost` that is left, the predicted `loss`. `met` says whether the cost is
    at most the target, or, where exactness was asked, within its tolerance.
    """

    removed: dict[str, int]
    cost: float
    loss: float
    met: bool


def solve(choices: Sequence[Choice], model: CostModel, target: float, tolerance: float | None = None) -> Solution:
    """Removes channels until `model`'s cost is at most `target`, always the step with the least loss for the cost
    it saves (the greedy answer to the knapsack), then gives back what was removed beyond need.

    With `tolerance` (a share of `target`) single channels return or go at last, aligned or not, until the cost is
    within it on either side; otherwise widths stay multiples of each group's step. Where the target is out of reach
    the nearest possible is returned, not `met`.
    """
    removed: dict[str, int] = {}
    cost = model.total(removed)
    while cost > target:
        best = _cheapest(choices, model, removed, cost - target)
        if best is None:
            break
        choice, count = best
        cost -= model.change(removed, choice.group, count)
        removed[choice.group] = removed.get(choice.group, 0) + count
    cost = _give_back(choices, model, removed, model.total(removed), target, aligned=True)
    if tolerance is not None:
        cost = _give_back(choices, model, removed, cost, target, aligned=False)
        if cost > target:
            cost = _trim(choices, model, removed, cost, target)
        cost = _close(choices, model, removed, target, tolerance)
    by_group = {choice.group: choice for choice in choices}
    kept = {name: count for name, count in removed.items() if count}
    loss = sum(float(by_group[name].losses[count]) for name, count in kept.items())
    edge = 1e-9 * max(abs(target), 1.0)
    met = cost <= target + edge if tolerance is None else abs(cost - target) <= tolerance * target + edge
    return Solution(kept, cost, loss, met)


def _cheapest(
    choices: Sequence[Choice], model: CostModel, removed: dict[str, int], needed: float
) -> tuple[Choice, int] | None:
    """The removal with the least loss for what it saves, as far as that is `needed`. Several steps at once count too:
    losses are not convex.
    """
    best: tuple[float, Choice, int] | None = None
    for choice in choices:
        gone = removed.get(choice.group, 0)
        count = 0
        for _ in range(3):
            more = choice.down(gone + count)
            if not more:
                break
            count += more
            saved = model.change(removed, choice.group, count)
            if saved <= 0:
                continue
            rate = (choice.losses[gone + count] - choice.losses[gone]) / min(saved, needed)
            if best is None or rate < best[0]:
                best = (rate, choice, count)
    return None if best is None else (best[1], best[2])


def _give_back(
    choices: Sequence[Choice], model: CostModel, removed: dict[str, int], cost: float, target: float, *, aligned: bool
) -> float:
    """Returns channels, those that win most loss back first (single ones: those that cost most), while the target
    holds.
    """
    while True:
        best: tuple[float, str, int, float] | None = None
        for choice in choices:
            gone = removed.get(choice.group, 0)
            count = min(choice.up(gone), gone) if aligned else min(1, gone)
            if not count:
                continue
            price = -model.change(removed, choice.group, -count)
            if price <= 0 or cost + price > target:
                continue
            gain = choice.losses[gone] - choice.losses[gone - count] if aligned else price
            if best is None or gain > best[0]:
                best = (gain, choice.group, count, price)
        if best is None:
            return cost
        removed[best[1]] -= best[2]
        cost += best[3]


def _trim(choices: Sequence[Choice], model: CostModel, removed: dict[str, int], cost: float, target: float) -> float:
    """Single channels beyond the aligned widths, where aligned ones alone do not reach the target."""
    while cost > target:
        best: tuple[float, str, float] | None = None
        for choice in choices:
            gone = removed.get(choice.group, 0)
            if choice.size - gone - 1 < max(choice.least, 1):
                continue
            saved = model.change(removed, choice.group, 1)
            if saved <= 0:
                continue
            rate = (choice.losses[gone + 1] - choice.losses[gone]) / saved
            if best is None or rate < best[0]:
                best = (rate, choice.group, saved)
        if best is None:
            return cost
        removed[best[1]] = removed.get(best[1], 0) + 1
        cost -= best[2]
    return _give_back(choices, model, removed, cost, target, aligned=False)


def _close(
    choices: Sequence[Choice], model: CostModel, removed: dict[str, int], target: float, tolerance: float
) -> float:
    """Exchanges a few channels of two groups at a time, cheap ones first, while that brings the cost nearer."""
    cost = model.total(removed)
    cheap = sorted(choices, key=lambda choice: abs(model.change(removed, choice.group, -1)))[:_EXCHANGED_GROUPS]
    for _ in range(_EXCHANGES):
        gap = abs(cost - target)
        if gap <= tolerance * target:
            break
        best: tuple[float, dict[str, int]] | None = None
        for place, first in enumerate(cheap):
            for one in _moves(first, removed):
                halfway = {**removed, first.group: removed.get(first.group, 0) + one}
                for second in cheap[place + 1 :] or cheap[:1]:
                    for other in _moves(second, halfway):
                        tried = {**halfway, second.group: halfway.get(second.group, 0) + other}
                        missed = abs(model.total(tried) - target)
                        if missed < (gap if best is None else best[0]):
                            best = (missed, tried)
        if best is None:
            break
        removed.update(best[1])
        cost = model.total(removed)
    return cost


def _moves(choice: Choice, removed: Mapping[str, int]) -> list[int]:
    """How many more channels of a group may go (negative: return)."""
    gone = removed.get(choice.group, 0)
    most = choice.size - max(choice.least, 1) - gone
    return [count for count in range(-_EXCHANGED, _EXCHANGED + 1) if -gone <= count <= most]
