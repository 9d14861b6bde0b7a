"""From an agent's raw events to what is told: latencies, speed-ups, verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.core.clustered import clustered_percentile_interval
from edgewright.core.run_events import CandidateRun, MachineRun, candidate_runs, machine_run
from edgewright.core.signs import signs
from edgewright.core.speedup import is_significant, paired_speedup
from edgewright.core.statistics import (
    minimum_samples,
    percentile,
    quantiles,
    relative_half_width,
    supports,
    thirds_drift,
)
from edgewright.core.values import Interval
from edgewright.core.verdict import Evidence, Parity, Reason, Verdict, judge
from edgewright_contract.values import Block, JobEvent

# Of the statistics and verdicts: raised whenever the same samples would be summarised otherwise.
RULES_VERSION = 2

_REPORTED = (50.0, 90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True)
class BenchSettings:
    """What was asked: the percentile's interval within +- `precision_percent` at `confidence`.

    The speed-up has a confidence of its own: few processes make a 99 % interval of it say little.
    """

    percentile: float = 90.0
    precision_percent: float = 2.0
    confidence: float = 0.95
    seed: int = 0
    speedup_confidence: float = 0.95


@dataclass(frozen=True)
class OverheadSummary:
    """The harness around a network that does nothing, and its share of this candidate's median."""

    median_ns: float
    percent_of_p50: float | None
    timer_resolution_ns: int


@dataclass(frozen=True)
class CandidateSummary:
    """One candidate of a run. Latencies are ns; a percentile that the samples do not support is left out."""

    label: str
    samples: int
    processes: int
    latency_ns: Mapping[str, float]  # "p50", "p90", ...
    latency_interval_ns: Mapping[str, Interval]
    mean_ns: float | None
    min_ns: float | None
    load_ns: float | None  # medians over processes
    first_inference_ns: float | None
    spawn_ns: float | None
    speedup: Interval | None  # None: this is the baseline, or too little to say
    significant: bool
    peak_memory_bytes: int | None
    overhead: OverheadSummary | None
    verdict: Verdict
    reasons: tuple[Reason, ...]
    parity: Parity | None
    runtime_version: str
    accelerator: str
    cpus: tuple[int, ...]
    effective_samples: float | None  # of the asked percentile
    distribution_ns: tuple[int, ...]  # at most 512 order statistics


@dataclass(frozen=True)
class BenchmarkSummary:
    """All candidates in the order they first appeared."""

    baseline: str | None
    settings: BenchSettings
    candidates: tuple[CandidateSummary, ...]
    verdict: Verdict  # the gravest


def summarise(
    events: Sequence[JobEvent],
    baseline_label: str | None,
    settings: BenchSettings,
    parity: Mapping[str, Parity],
) -> BenchmarkSummary:
    """Everything computed from a run's events; nothing in them is changed or left out.

    `parity` has one entry a label; the baseline needs none.
    """
    runs = candidate_runs(events)
    machine = machine_run(events)
    baseline = runs.get(baseline_label) if baseline_label is not None else None
    candidates = tuple(_summarise(run, baseline, machine, settings, parity.get(run.label)) for run in runs.values())
    gravest = max((item.verdict for item in candidates), key=list(Verdict).index, default=Verdict.INVALID)
    return BenchmarkSummary(baseline_label, settings, candidates, gravest)


def precision_reached(events: Sequence[JobEvent], label: str, settings: BenchSettings) -> bool:
    """Whether the samples so far pin the asked percentile down as asked: sampling may stop."""
    run = candidate_runs(events).get(label)
    if run is None:
        return False
    samples = run.samples()
    q = settings.percentile / 100
    if not supports(len(samples), q):
        return False
    interval, _ = clustered_percentile_interval(run.processes(), q, settings.confidence)
    return interval is not None and relative_half_width(interval) <= settings.precision_percent / 100


def percentile_name(percent: float) -> str:
    """90 is "p90", 99.9 is "p99.9"."""
    return f"p{percent:g}"


def _summarise(
    run: CandidateRun,
    baseline: CandidateRun | None,
    machine: MachineRun,
    settings: BenchSettings,
    parity: Parity | None,
) -> CandidateSummary:
    samples = run.samples()
    latency, intervals = _latencies(run, settings)
    is_baseline = baseline is not None and run.label == baseline.label
    speedup = None
    if baseline is not None and not is_baseline:
        speedup = paired_speedup(baseline.blocks, run.blocks, settings.speedup_confidence, settings.seed)
    if parity is None and is_baseline:
        parity = Parity(1.0, None, 1.0, True, "this is the baseline")
    p50 = percentile(samples, 0.5) if len(samples) else None
    overhead = _overhead(machine, p50)
    q = settings.percentile / 100
    asked, effective = _asked(run, q, settings.confidence)
    significant = is_significant(speedup)
    own = signs(run.blocks, on_cpu=all(_is_cpu(item.accelerator) for item in run.loads))
    evidence = Evidence(
        samples=len(samples),
        samples_needed=minimum_samples(max(q, 1 - q)),
        processes=len({block.process for block in run.blocks}),
        percentile_name=percentile_name(settings.percentile),
        half_width=_half_width(asked, samples),
        precision=settings.precision_percent / 100,
        spread=_spread(run.blocks),
        drift=_drift(run.blocks),
        frequency_change=machine.frequency_change,
        frequency_fall=machine.frequency_fall,
        temperature_rise=machine.temperature_rise,
        temperature=machine.temperature,
        other_load=machine.other_load,
        preemptions=_preemptions(run.blocks),
        masks=max(1, len({item.cpus for item in run.loads})),
        overhead=None if overhead is None or overhead.percent_of_p50 is None else overhead.percent_of_p50 / 100,
        timer_share=overhead.timer_resolution_ns / p50 if overhead is not None and p50 else None,
        waiting=own.waiting,
        change=own.change,
        change_at=own.change_at,
        two_speeds=own.two_speeds,
        power_modes=machine.power_modes,
        swap_growth=machine.swap_growth,
        clock_faults=own.clock_faults,
        complete=machine.complete,
        parity=parity,
        unavailable=machine.unavailable,
        speedup_undecided=baseline is not None and not is_baseline and not significant,
    )
    verdict, reasons = judge(evidence)
    return CandidateSummary(
        label=run.label,
        samples=len(samples),
        processes=evidence.processes,
        latency_ns=latency,
        latency_interval_ns=intervals,
        mean_ns=float(samples.mean()) if len(samples) else None,
        min_ns=float(samples.min()) if len(samples) else None,
        load_ns=_median([item.load_ns for item in run.loads]),
        first_inference_ns=_median([item.first_inference_ns for item in run.loads]),
        spawn_ns=_median([item.spawn_ns for item in run.loads]),
        speedup=speedup,
        significant=significant,
        peak_memory_bytes=max((item.peak_memory_bytes for item in run.closes), default=None),
        overhead=overhead,
        verdict=verdict,
        reasons=reasons,
        parity=parity,
        runtime_version=run.loads[0].runtime_version if run.loads else "",
        accelerator=run.loads[0].accelerator if run.loads else "",
        cpus=run.loads[0].cpus if run.loads else (),
        effective_samples=effective,
        distribution_ns=quantiles(samples) if len(samples) else (),
    )


def _latencies(run: CandidateRun, settings: BenchSettings) -> tuple[dict[str, float], dict[str, Interval]]:
    latency, intervals = {}, {}
    samples, processes = run.samples(), run.processes()
    for percent in sorted({*_REPORTED, settings.percentile}):
        q = percent / 100
        if not supports(len(samples), q):
            continue
        latency[percentile_name(percent)] = percentile(samples, q)
        interval, _ = clustered_percentile_interval(processes, q, settings.confidence)
        if interval is not None:
            intervals[percentile_name(percent)] = interval
    return latency, intervals


def _asked(run: CandidateRun, q: float, confidence: float) -> tuple[Interval | None, float | None]:
    """The asked percentile's interval and how many independent samples it rests on."""
    return clustered_percentile_interval(run.processes(), q, confidence) if run.blocks else (None, None)


def _half_width(interval: Interval | None, samples: NDArray[np.float64]) -> float | None:
    """Without an interval the percentile may lie anywhere in what was seen."""
    if interval is not None:
        return relative_half_width(interval)
    return float(samples.max() - samples.min()) / 2 / float(np.median(samples)) if len(samples) else None


def _overhead(machine: MachineRun, p50: float | None) -> OverheadSummary | None:
    if machine.overhead is None or not machine.overhead.samples_ns:
        return None
    median = float(np.median(machine.overhead.samples_ns))
    share = 100 * median / p50 if p50 else None
    return OverheadSummary(median, share, machine.overhead.timer_resolution_ns)


def _block_medians(blocks: Sequence[Block]) -> list[float]:
    return [float(np.median(block.samples_ns)) for block in blocks]


def _spread(blocks: Sequence[Block]) -> float | None:
    if len(blocks) < 5:
        return None
    low, middle, high = np.quantile(_block_medians(blocks), [0.1, 0.5, 0.9])
    return float((high - low) / middle) if middle else None


def _drift(blocks: Sequence[Block]) -> float | None:
    """The median over processes: one slow start does not decide."""
    drifts = []
    for process in sorted({block.process for block in blocks}):
        own = sorted((block for block in blocks if block.process == process), key=lambda block: block.index)
        drift = thirds_drift(_block_medians(own))
        if drift is not None:
            drifts.append(drift)
    return _median(drifts)


def _is_cpu(accelerator: str) -> bool:
    """Whether every name that a runtime gives is the CPU's: "CPUExecutionProvider", "cpu", "xnnpack"."""
    names = [name.strip().lower() for name in accelerator.split(",")]
    return all(name in ("", "none", "cpuexecutionprovider", "cpu", "xnnpack") for name in names)


def _preemptions(blocks: Sequence[Block]) -> float | None:
    cpu_seconds = sum(block.cpu_ns for block in blocks) / 1e9
    return sum(block.involuntary_switches for block in blocks) / cpu_seconds if cpu_seconds > 0 else None


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
