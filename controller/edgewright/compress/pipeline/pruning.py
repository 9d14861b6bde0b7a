"""The prune step: rounds that a later bound may go back to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgewright.compress.pipeline.float_steps import is_untrainable, micro_batch
from edgewright.compress.pipeline.work import Work
from edgewright.compress.prune.rounds import MEASURES, PruningRounds, Repair, Round, RoundOptions, Rounds
from edgewright.core.plain import to_plain
from edgewright.core.recipe import Distill, Prune
from edgewright.core.values import ProgressEvent
from edgewright_contract.errors import EdgewrightError, ErrorCode

# Of the time that is left for pruning, what training between rounds may take.
_REPAIR_SHARE = 0.7
# A bound of so many points is none: the goal is all that counts.
NO_BOUND = 100.0


def prune_in_rounds(
    step: Prune, distill: Distill, start: Path, work: Work, folder: Path, deadline: float, clock: Callable[[], float]
) -> tuple[Rounds, PruningRounds]:
    """Runs the rounds; training between them is as `distill` says. Raises as PruningRounds."""
    measure, ratio = goal_of(step)
    options = RoundOptions(
        measure=measure,
        ratio=ratio,
        importance=step.importance,
        round_share=step.round_share,
        alignment=step.alignment,
        least_kept=step.least_kept,
        sensitivity=step.sensitivity,
        least_squares=step.reconstruct,
        slack_points=step.slack,
        must=work.bound_points >= NO_BOUND,
        keep=step.keep,
        input_size=work.input_size,
        seed=work.seed,
        threads=work.threads,
    )
    repair = _repair(step, distill, options, work) if step.repair_steps and work.training is not None else None
    rounds = PruningRounds(start, folder, work.images("prune"), work.bench, work.goal, options, repair, work.progress)
    return rounds.run(deadline, clock), rounds


def goal_of(step: Prune) -> tuple[str, float]:
    """("macs", 0.5) and the like."""
    for measure, ratio in zip(MEASURES, (step.macs_ratio, step.size_ratio, step.parameters_ratio), strict=True):
        if ratio is not None:
            return measure, ratio
    raise EdgewrightError(ErrorCode.RECIPE_INVALID, "prune has no goal", "give macs_ratio, for example 0.7")


def _repair(step: Prune, distill: Distill, options: RoundOptions, work: Work) -> Repair:
    from edgewright.compress.train.options import TrainOptions
    from edgewright.compress.train.trainer import train

    planned = max(1, round((1.0 - options.ratio) / options.round_share))
    data = work.examples("prune")
    size = distill.batch or data.usual_batch
    labelled = data.labels is not None and distill.label_weight > 0

    def repair(source: Path, destination: Path, number: int, seconds: float) -> None:
        share = _REPAIR_SHARE * seconds / max(planned - number + 1, 1)
        if share < 1.0:
            return
        try:
            train(
                source,
                work.baseline,
                data.batches(size, distill.shift, distill.flip, labelled),
                work.judge,
                TrainOptions(
                    steps=step.repair_steps,
                    budget_seconds=share if share < 1e6 else None,
                    lr=distill.rate or data.usual_rate,
                    temperature=distill.temperature,
                    alpha=1.0 - distill.label_weight if labelled else None,
                    evaluations=2,
                    micro_batch=micro_batch(data.sides, size),
                    seed=work.seed + number,
                    threads=work.threads,
                ),
                destination,
                work.progress,
            )
        except EdgewrightError as error:
            if not is_untrainable(error):
                raise
            work.progress(ProgressEvent(f"not trained between rounds: {error.message}"))

    return repair


def rounds_facts(rounds: Rounds, chosen: Round) -> dict[str, Any]:
    """What the variant's record keeps of the rounds."""
    return {
        "pruning": {
            "importance": rounds.importance,
            "stopped_because": rounds.stopped_because,
            "chosen_round": chosen.number,
            "rounds": [
                {
                    "round": item.number,
                    "share": item.share,
                    "size_bytes": item.size_bytes,
                    "parameters": item.parameters,
                    "macs": item.macs,
                    "metric": item.judgement.metric,
                    "agreement": item.judgement.fidelity.agreement,
                    "sqnr_db": item.judgement.fidelity.sqnr_db,
                    "removed": dict(item.removed),
                    "seconds": item.seconds,
                }
                for item in rounds.rounds
            ],
            "sensitivity": to_plain(rounds.curves),
        }
    }
