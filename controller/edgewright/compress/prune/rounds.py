"""Pruning in rounds: importance, widths, surgery, proof, repair, judgement; saved after each, best kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import ceil, gcd, isfinite
from pathlib import Path
from statistics import median
from typing import Any

from edgewright.compress.goal import Goal
from edgewright.compress.judge import Bench, Fidelity, Judgement
from edgewright.compress.prune.costs import cost_models
from edgewright.compress.prune.oracle import check_pruning, pruning_feeds
from edgewright.compress.prune.reconstruct import ReconstructOptions, reconstruct
from edgewright.compress.prune.scores import ChannelScores, channel_scores, least_important, predicted_losses
from edgewright.compress.prune.sensitivity import Curve, corrections, measure_sensitivity
from edgewright.compress.prune.solver import Choice, CostModel, Solution, solve
from edgewright.compress.prune.surgery import PrunedModel, prune
from edgewright.core.plain import from_plain, to_plain
from edgewright.core.values import ProgressCallback, ProgressEvent, no_progress
from edgewright.graph.channels.analysis import ChannelAnalysis, analyse
from edgewright.graph.files import atomic_file
from edgewright.graph.model_file import load_model
from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode

MEASURES = ("macs", "size", "parameters")
# Within this share of a size goal the file counts as met.
SIZE_TOLERANCE = 0.005
_BYTES = 4
_STATE = "rounds.json"
# Calibration batches that importance and repair look at.
_BATCHES = 16
# Of the time for all rounds, what sensitivity may take.
_SENSITIVITY_SHARE = 0.2
# However short the time, one round takes no more than this share of the original.
_LARGEST_ROUND = 0.2
# A round that loses too much is tried again with half as much, down to this share.
_SMALLEST_ROUND = 0.02
_TIME_IS_UP = "the time for pruning ended"

Fresh = Callable[[], Iterator[Array]]
# (network, where to, number of the round, seconds that are left): trains it a little.
Repair = Callable[[Path, Path, int, float], None]


@dataclass(frozen=True)
class RoundOptions:
    """The goal (`measure` down to `ratio` of the baseline's) and how to get there; see recipe.Prune.

    `slack_points` is how far a round may exceed the bound of `goal`, for later training to win back. With `must`
    the goal counts more than the way: when time is up, one last round goes all that is left.
    """

    measure: str
    ratio: float
    importance: str = "fisher"
    round_share: float = 0.06
    alignment: int = 8
    least_kept: float = 0.25
    sensitivity: bool = True
    least_squares: bool = True
    slack_points: float = 2.0
    must: bool = False
    keep: tuple[str, ...] = ()
    input_size: tuple[int, int] | None = None
    seed: int = 0
    threads: int = 0


@dataclass(frozen=True)
class Round:
    """A network on the way. Number 0 is the baseline. `share` is the goal's measure as a share of the baseline's,
    `refitted` how many layers least squares improved and `refit_error` their mean relative error before and after.
    """

    number: int
    file: str
    share: float
    size_bytes: int
    parameters: int
    macs: int
    judgement: Judgement
    removed: Mapping[str, int] = field(default_factory=dict)
    refitted: int = 0
    refit_error: tuple[float, float] = (0.0, 0.0)
    seconds: float = 0.0


@dataclass(frozen=True)
class Rounds:
    """All rounds in order, why they ended, and whether the last one reached the goal."""

    rounds: tuple[Round, ...]
    stopped_because: str
    reached: bool
    importance: str
    curves: tuple[Curve, ...] = ()
    notes: tuple[str, ...] = ()


class PruningRounds:
    """Rounds over `baseline` in `folder`, which keeps them: the same again goes on where it was killed.

    `calibration` gives float32 batches without labels, `repair` trains a little after each round (None: not at all),
    `goal` is the bound that no round may break by more than the slack.
    """

    def __init__(
        self,
        baseline: Path,
        folder: Path,
        calibration: Fresh,
        bench: Bench,
        goal: Goal,
        options: RoundOptions,
        repair: Repair | None = None,
        progress: ProgressCallback = no_progress,
    ) -> None:
        if options.measure not in MEASURES:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID, f"unknown measure {options.measure!r}", f"choose from {', '.join(MEASURES)}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        self._baseline, self._folder, self._calibration = baseline, folder, calibration
        self._bench, self._goal, self._options = bench, goal, options
        self._repair, self._progress = repair, progress
        self._rounds: list[Round] = []
        self._curves: tuple[Curve, ...] = ()
        self._sizes: dict[str, int] = {}
        self._factors: dict[str, float] = {}
        self._largest = 1.0
        self._notes: list[str] = []
        self._importance = options.importance
        self._stopped = ""

    def run(self, deadline: float = float("inf"), clock: Callable[[], float] = time.monotonic) -> Rounds:
        """Goes on until the goal is reached, the bound breaks, nothing more can go, or `deadline` (of `clock`).

        Raises COMPRESSION_FAILED where a cut cannot be proven, OPTION_INVALID for unknown groups in `keep`.
        """
        began = clock()
        self._load()
        if not self._rounds:
            self._start(began + _SENSITIVITY_SHARE * (deadline - began), clock)
        slowest, options = 0.0, self._options
        while not self._stopped:
            left = deadline - clock()
            # The first round is always tried: without it nothing would be learned.
            if left < slowest or (left <= 0 and len(self._rounds) > 1):
                if options.must:
                    self._one_round(1.0, deadline, clock)
                self._stopped = self._stopped or _TIME_IS_UP
                break
            before = clock()
            self._one_round(self._step_share(left, slowest), deadline, clock)
            slowest = max(slowest, clock() - before)
        self._save()
        last = self._rounds[-1]
        return Rounds(
            tuple(self._rounds),
            self._stopped,
            self._reached(last.share),
            self._importance,
            self._curves,
            tuple(dict.fromkeys(self._notes)),
        )

    def path(self, item: Round) -> Path:
        """The file of a round."""
        return self._baseline if item.number == 0 else self._folder / item.file

    def _start(self, deadline: float, clock: Callable[[], float]) -> None:
        model = load_model(self._baseline)
        analysis = analyse(model, self._options.input_size)
        known = {group.id for group in analysis.groups}
        unknown = sorted(set(self._options.keep) - known)
        if unknown:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"keep names groups that the network does not have: {', '.join(unknown[:5])}",
                f"its groups are {', '.join(sorted(known)[:20])}",
            )
        self._sizes = {group.id: group.size for group in analysis.groups}
        parameters, macs = (cost.total({}) for cost in cost_models(model, analysis))
        self._progress(ProgressEvent("judging the baseline"))
        judgement = self._bench.judge_file(self._baseline)
        size = self._baseline.stat().st_size
        self._rounds.append(Round(0, "", 1.0, size, round(parameters), round(macs), judgement))
        if not analysis.groups:
            self._stopped = "no channel of this network can be removed"
            return
        if self._options.sensitivity:
            scores = self._scores(self._baseline, analysis)
            self._curves = measure_sensitivity(
                self._baseline,
                analysis,
                scores.values,
                self._bench,
                self._folder,
                deadline=deadline,
                input_size=self._options.input_size,
                progress=self._progress,
                clock=clock,
            )
            self._factors = corrections(self._curves, scores.values)
        self._save()

    def _step_share(self, left: float, slowest: float) -> float:
        """What one round takes away; more than asked where the time would not do for so many rounds."""
        options = self._options
        usual = min(options.round_share, self._largest)
        if slowest <= 0 or not isfinite(left):
            return usual
        needed = (self._rounds[-1].share - options.ratio) / max(int(left / slowest), 1)
        return max(usual, min(needed, _LARGEST_ROUND, self._largest))

    def _one_round(self, step: float, deadline: float, clock: Callable[[], float]) -> None:
        began = clock()
        options, last = self._options, self._rounds[-1]
        number, source = last.number + 1, self.path(last)
        model = load_model(source)
        analysis = analyse(model, options.input_size)
        scores = self._scores(source, analysis)
        share = max(options.ratio, last.share - step)
        self._progress(ProgressEvent(f"pruning round {number}", round(100 * (1 - last.share)), _percent(options.ratio)))
        cut = self._folder / f"cut_{number}.onnx"
        solution, made = self._cut(source, cut, analysis, cost_models(model, analysis), scores, share)
        if made is None:
            self._stopped = self._nothing_left(last)
            return
        removal = _removal(scores.values, solution.removed)
        check_pruning(source, removal, cut, pruning_feeds(model, options.input_size), analysis, options.input_size)
        repaired = self._folder / f"round_{number}.onnx"
        errors = []
        if options.least_squares:
            refits = reconstruct(
                source,
                cut,
                removal,
                analysis,
                repaired,
                lambda: islice(self._calibration(), _BATCHES),
                ReconstructOptions(seed=options.seed, threads=options.threads),
                self._progress,
            )
            errors = [(refit.before, refit.after) for refit in refits if refit.after < refit.before]
            self._keep_better(cut, repaired)
        else:
            cut.replace(repaired)
        cut.unlink(missing_ok=True)
        if self._repair is not None:
            self._repair(repaired, repaired, number, deadline - clock())
        judgement = self._bench.judge_file(repaired, self._progress, f"judging round {number}")
        count = max(len(errors), 1)
        mean = (sum(before for before, _ in errors) / count, sum(after for _, after in errors) / count)
        item = Round(
            number,
            repaired.name,
            self._share(made),
            made.size_bytes,
            made.parameters,
            made.macs,
            judgement,
            solution.removed,
            len(errors),
            mean,
            clock() - began,
        )
        self._rounds.append(item)
        if self._broken(judgement):
            if last.share - item.share > _SMALLEST_ROUND and step > _SMALLEST_ROUND:
                # A smaller bite may still do.
                self._largest = min(step, last.share - item.share) / 2
                self._rounds.pop()
            else:
                self._stopped = f"round {number} lost too much: {self._goal.describe(judgement)}"
        elif self._reached(item.share):
            self._stopped = "the goal is reached"
        elif not solution.met:
            self._stopped = self._nothing_left(item)
        self._save()

    def _keep_better(self, cut: Path, repaired: Path) -> None:
        """Layer by layer nothing got worse, but the whole can: then the cut without repair stays."""
        plain, fitted = self._bench.judge_file(cut, limit=64), self._bench.judge_file(repaired, limit=64)
        if self._goal.loss(plain) < self._goal.loss(fitted):
            cut.replace(repaired)

    def _scores(self, path: Path, analysis: ChannelAnalysis) -> ChannelScores:
        self._progress(ProgressEvent(f"importance of channels ({self._options.importance})"))
        found = channel_scores(
            path,
            analysis,
            self._importance,
            self._calibration,
            self._bench.judge.classification,
            _BATCHES,
            self._options.seed,
            self._options.threads,
        )
        self._importance = found.used
        if found.note:
            self._notes.append(found.note)
        return found

    def _cut(
        self,
        source: Path,
        destination: Path,
        analysis: ChannelAnalysis,
        models: tuple[CostModel, CostModel],
        scores: ChannelScores,
        share: float,
    ) -> tuple[Solution, PrunedModel | None]:
        """Solves for `share` of the baseline's measure and cuts; a size goal is closed on the written file."""
        options, base = self._options, self._rounds[0]
        choices = self._choices(analysis, scores)
        parameters, macs = models
        if options.measure == "macs":
            solution = solve(choices, macs, share * base.macs)
            return solution, self._written(source, destination, analysis, scores, solution)
        if options.measure == "parameters":
            solution = solve(choices, parameters, share * base.parameters)
            return solution, self._written(source, destination, analysis, scores, solution)
        final = share <= options.ratio
        wanted = share * base.size_bytes
        target = parameters.total({}) - (self._rounds[-1].size_bytes - wanted) / _BYTES
        made: PrunedModel | None = None
        for _ in range(4):
            # A part of the tolerance: the rest is for what is not weights.
            solution = solve(choices, parameters, max(target, 0.0), SIZE_TOLERANCE / 4 if final else None)
            made = self._written(source, destination, analysis, scores, solution)
            if made is None or not final or not solution.met:
                break
            gap = made.size_bytes - wanted
            if -SIZE_TOLERANCE * wanted <= gap <= SIZE_TOLERANCE * wanted:
                break
            target -= gap / _BYTES
        return solution, made

    def _choices(self, analysis: ChannelAnalysis, scores: ChannelScores) -> list[Choice]:
        choices = []
        for group in analysis.groups:
            if group.id in self._options.keep:
                continue
            factor = self._factors.get(group.id, self._usual_factor)
            losses = [factor * float(loss) for loss in predicted_losses(scores.values[group.id])]
            step = self._options.alignment // gcd(self._options.alignment, group.width)
            least = ceil(self._options.least_kept * self._sizes.get(group.id, group.size))
            choices.append(Choice(group.id, group.size, losses, step, max(least, min(step, group.size))))
        return choices

    @property
    def _usual_factor(self) -> float:
        return float(median(self._factors.values())) if self._factors else 1.0

    def _written(
        self,
        source: Path,
        destination: Path,
        analysis: ChannelAnalysis,
        scores: ChannelScores,
        solution: Solution,
    ) -> PrunedModel | None:
        if not solution.removed:
            return None
        removal = _removal(scores.values, solution.removed)
        return prune(source, removal, destination, analysis, self._options.input_size)

    def _share(self, made: PrunedModel) -> float:
        base = self._rounds[0]
        if self._options.measure == "macs":
            return made.macs / base.macs
        if self._options.measure == "parameters":
            return made.parameters / base.parameters
        return made.size_bytes / base.size_bytes

    def _reached(self, share: float) -> bool:
        slack = SIZE_TOLERANCE * self._options.ratio if self._options.measure == "size" else 1e-9
        return share <= self._options.ratio + slack

    def _broken(self, judgement: Judgement) -> bool:
        """Beyond the bound by more than what training may win back."""
        goal, slack = self._goal, self._options.slack_points
        drop = goal.drop_points(judgement)
        if drop is None and judgement.fidelity.expected_drop is not None:
            drop = 100.0 * judgement.fidelity.expected_drop
        if drop is not None:
            return drop > goal.allowed_points + slack
        return judgement.fidelity.sqnr_db < goal.minimum_sqnr_db - slack

    def _nothing_left(self, last: Round) -> str:
        return (
            f"nothing more can go: the nearest possible is {last.share:.3f} of the original's {self._options.measure} "
            f"with {self._options.least_kept:g} of each group kept and widths in steps of {self._options.alignment}"
        )

    def _save(self) -> None:
        facts = {
            "options": to_plain(self._options),
            "rounds": to_plain(self._rounds),
            "curves": to_plain(self._curves),
            "sizes": self._sizes,
            "factors": self._factors,
            "largest": self._largest,
            "importance": self._importance,
            "notes": self._notes,
            "stopped": self._stopped if self._stopped != _TIME_IS_UP else "",
        }
        with atomic_file(self._folder / _STATE) as temporary:
            temporary.write_text(json.dumps(facts))

    def _load(self) -> None:
        path = self._folder / _STATE
        if not path.is_file():
            return
        facts: dict[str, Any] = json.loads(path.read_text())
        if facts["options"] != to_plain(self._options):
            return
        rounds = [_round(item) for item in facts["rounds"]]
        if all(self.path(item).is_file() for item in rounds):
            self._rounds = rounds
            self._curves = tuple(from_plain(Curve, item) for item in facts["curves"])
            self._sizes, self._factors = dict(facts["sizes"]), dict(facts["factors"])
            self._importance, self._largest = facts["importance"], facts["largest"]
            self._notes, self._stopped = list(facts["notes"]), facts["stopped"]


def _round(plain: Mapping[str, Any]) -> Round:
    judgement = Judgement(plain["judgement"]["metric"], Fidelity(**plain["judgement"]["fidelity"]))
    values = {**plain, "judgement": judgement, "refit_error": tuple(plain["refit_error"])}
    return Round(**values)


def _removal(scores: Mapping[str, Array], removed: Mapping[str, int]) -> dict[str, list[int]]:
    return {name: least_important(scores[name], count) for name, count in removed.items()}


def _percent(ratio: float) -> int:
    return max(1, round(100 * (1 - ratio)))
