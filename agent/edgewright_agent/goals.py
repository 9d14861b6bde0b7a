"""Is a variant good enough to become active? Latency and closeness to the baseline, on this very device.

The 90th percentile is judged as MLPerf's early stopping does: a goal counts as met only when a network that just
misses it would hardly (1 in 1000 at each look, ten looks at most) have shown so few slow inferences.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from edgewright_agent.measure.schedule import MAX_BLOCK_SAMPLES, samples_per_block
from edgewright_agent.measure.session import check_runtime, start_worker, write_outputs
from edgewright_agent.measure.values import LocalCandidate, LocalInputs, WorkerSettings
from edgewright_agent.worker.client import WorkerProcess
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import DeployChecks, DeployGoals

LOOKS = 10
LOOK_SECONDS = 0.5
LEAST_PER_LOOK = 7  # ten looks then have the 66 samples that a claim about the 90th percentile needs
SLOW_SHARE = 0.1
DOUBT = 0.001
WARMUP_SECONDS = 0.5
# Below these a candidate is another network, not a compressed one; ordinary INT8 reaches 15 dB and more.
LEAST_SQNR_DB = 3.0
LEAST_AGREEMENT = 0.5


@dataclass(frozen=True)
class LocalGoals:
    """Goals with their files on this device: golden inputs, and the baseline's outputs (.npz) for them."""

    goals: DeployGoals
    inputs: LocalInputs
    expected: Path


def run_checks(
    candidate: LocalCandidate,
    local: LocalGoals,
    worker: WorkerSettings,
    workspace: Path,
    cancelled: Callable[[], bool],
) -> DeployChecks:
    """Run `candidate` in a worker on the golden inputs; DEPLOY_GOAL_MISSED with every figure that falls short.

    Raises also what run_smoke raises, SPEC_MISMATCH, ARTIFACT_CORRUPT.
    """
    check_runtime(candidate)
    goals = local.goals
    outputs = workspace / "outputs.npz"
    misses: list[str] = []
    process, _ = start_worker(candidate, 0, local.inputs, worker, cancelled)
    with process:
        samples: list[int] = []
        if goals.max_latency_ms is not None:
            samples, miss = _time(process, goals.max_latency_ms, worker)
            misses += [miss] if miss else []
        write_outputs(process, local.inputs, outputs, worker, _ignore)
        found = process.call(
            "parity",
            worker.call_timeout_s,
            expected=str(local.expected),
            outputs=str(outputs),
            classes=goals.classes,
            labels=list(goals.labels),
        )
        process.close()
    misses += _parity_misses(found, goals)
    if misses:
        raise EdgewrightError(
            ErrorCode.DEPLOY_GOAL_MISSED,
            f"{candidate.candidate.label} was not activated: {'; '.join(misses)}",
            "the slot is unchanged; choose another variant, or another goal",
        )
    ordered = sorted(samples)
    return DeployChecks(
        samples=len(samples),
        p50_ns=int(statistics.median(ordered)) if ordered else 0,
        p90_ns=_percentile_90(ordered),
        count=found["count"],
        sqnr_db=math.inf if found["sqnr_db"] is None else found["sqnr_db"],
        agreement=found["same"] / found["count"] if goals.classes else None,
        drop=_drop(found) if goals.classes else None,
    )


def _ignore(_: object) -> None:
    """Progress of a deployment has nobody to see it."""


def _time(process: WorkerProcess, limit_ms: float, worker: WorkerSettings) -> tuple[list[int], str]:
    """Samples (ns), and what is wrong with them, if anything."""

    def measure(count: int, seconds: float = 0.0) -> list[int]:
        timed = process.call("measure", worker.call_timeout_s, count=count, max_seconds=seconds)
        return [int(sample) for sample in timed["samples_ns"]]

    per_look = max(LEAST_PER_LOOK, samples_per_block(measure(MAX_BLOCK_SAMPLES, WARMUP_SECONDS), LOOK_SECONDS))
    samples: list[int] = []
    for _ in range(LOOKS):
        samples += measure(per_look)
        slow = sum(sample > limit_ms * 1e6 for sample in samples)
        if met(len(samples), slow):
            return samples, ""
        if missed(len(samples), slow):
            break
    reached = _percentile_90(sorted(samples)) / 1e6
    if reached > limit_ms:
        return samples, f"90 % of its inferences take up to {reached:.4g} ms, the goal is {limit_ms:.4g} ms"
    return samples, (
        f"90 % of its inferences take up to {reached:.4g} ms, too near the goal of {limit_ms:.4g} ms to be relied upon"
    )


def _percentile_90(ordered: list[int]) -> int:
    """The smallest sample that at least 90 % do not exceed."""
    return ordered[math.ceil(0.9 * len(ordered)) - 1] if ordered else 0


def met(count: int, slow: int) -> bool:
    """Whether a network with a tenth of slow inferences would hardly show `slow` or fewer in `count`."""
    return _binomial(count, range(slow + 1)) <= DOUBT


def missed(count: int, slow: int) -> bool:
    """Whether a network with a tenth of slow inferences would hardly show `slow` or more in `count`."""
    return _binomial(count, range(slow, count + 1)) <= DOUBT


def _binomial(count: int, values: range) -> float:
    """P(X in values) of X ~ Binomial(count, SLOW_SHARE)."""
    lost, kept = math.log(SLOW_SHARE), math.log1p(-SLOW_SHARE)
    whole = math.lgamma(count + 1)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * lost + (count - k) * kept)
        for k in values
    )


def _drop(found: dict[str, Any]) -> float:
    """Percentage points of right answers lost; without labels: of answers that are no longer the baseline's."""
    lost = found["count"] - found["same"] if found["right"] is None else found["right_before"] - found["right"]
    return 100.0 * float(lost) / float(found["count"])


def _parity_misses(found: dict[str, Any], goals: DeployGoals) -> list[str]:
    if not found["same_shapes"]:
        return [f"its outputs have the shapes {found['text']}"]
    if not found["finite"]:
        return ["its outputs hold NaN or infinity"]
    misses = []
    if found["sqnr_db"] is not None and found["sqnr_db"] < LEAST_SQNR_DB:
        misses.append(f"its outputs are {found['sqnr_db']:.1f} dB from the baseline's, {LEAST_SQNR_DB:g} are the least")
    if goals.classes and found["same"] < LEAST_AGREEMENT * found["count"]:
        misses.append(f"it gives the baseline's answer for {found['same']} of {found['count']} golden inputs only")
    if goals.max_drop is not None and _drop(found) > goals.max_drop:
        of_what = "the baseline's answers" if found["right"] is None else "right answers"
        misses.append(
            f"it loses {_drop(found):.2f} points of {of_what} on {found['count']} images, the goal is"
            f" {goals.max_drop:g} at most"
        )
    return misses
