"""Whether a measured number can be believed, and why not.

The thresholds are data (`RULES`); docs/measurement.md explains each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """VALID: believe it. INDICATIVE: roughly so, do not publish. INVALID: do not use."""

    VALID = "valid"
    INDICATIVE = "indicative"
    INVALID = "invalid"


class ReasonCode(StrEnum):
    """Stable names of what may be said about a number."""

    UNSTABLE = "unstable"
    WARM_UP_NOT_OVER = "warm_up_not_over"
    SLOWED_DOWN = "slowed_down"
    FREQUENCY_CHANGED = "frequency_changed"
    THROTTLED = "throttled"
    BACKGROUND_LOAD = "background_load"
    PREEMPTED = "preempted"
    MIGRATED = "migrated"
    LEVEL_CHANGED = "level_changed"
    POWER_MODE_CHANGED = "power_mode_changed"
    SWAPPED = "swapped"
    CLOCK_TROUBLE = "clock_trouble"
    TOO_FEW_SAMPLES = "too_few_samples"
    SINGLE_PROCESS = "single_process"
    PRECISION_NOT_REACHED = "precision_not_reached"
    OVERHEAD_TOO_LARGE = "overhead_too_large"
    TIMER_TOO_COARSE = "timer_too_coarse"
    INCOMPLETE = "incomplete"
    PARITY_FAILED = "parity_failed"
    PARITY_UNCHECKED = "parity_unchecked"
    SENSOR_UNAVAILABLE = "sensor_unavailable"
    NO_SIGNIFICANT_DIFFERENCE = "no_significant_difference"


@dataclass(frozen=True)
class Reason:
    """One thing to know. `worst` is the best verdict that a number with this reason may have."""

    code: ReasonCode
    text: str
    worst: Verdict


@dataclass(frozen=True)
class Parity:
    """How golden outputs compare with the baseline's on the same device; not `ok`: it is another network."""

    agreement: float | None  # share of golden inputs with the same top answer, 0 .. 1
    sqnr_db: float | None
    cosine: float | None
    ok: bool
    text: str


@dataclass(frozen=True)
class Evidence:
    """What the rules look at, for one candidate; None: not known. Shares are of 1, drift is signed."""

    samples: int
    samples_needed: int
    processes: int
    percentile_name: str
    half_width: float | None  # of the asked percentile's interval, relative
    precision: float  # asked, relative
    spread: float | None = None  # 10 % .. 90 % of window medians, relative to their median
    drift: float | None = None  # last third of a process over its first, minus 1
    frequency_change: float | None = None  # (highest - lowest) / highest
    frequency_fall: float | None = None  # the lowest tenth of readings below the highest, relative
    temperature_rise: float | None = None  # lowest to highest, degrees C
    temperature: float | None = None  # highest, degrees C
    other_load: float | None = None  # share of the machine that others used
    preemptions: float | None = None  # involuntary switches per second of CPU time
    masks: int = 1  # different CPU sets seen
    waiting: float | None = None  # share of the time in which the network had no CPU
    change: float | None = None  # of the pace from some moment on, signed
    change_at: float | None = None  # where in the run, share
    two_speeds: float | None = None  # how many times slower the slower group of blocks ran
    power_modes: int = 1  # different power modes or governors seen
    swap_growth: float | None = None  # bytes
    clock_faults: int = 0
    overhead: float | None = None  # of the harness, relative to p50
    timer_share: float | None = None  # of the clock's step, relative to p50
    complete: bool = True
    parity: Parity | None = None
    unavailable: tuple[str, ...] = ()  # "name: reason"
    speedup_undecided: bool = False


@dataclass(frozen=True)
class Rule:
    """A figure at or above `indicative` or `invalid` earns the reason; None: that verdict is never given.

    `text` is formatted with the figure as `v` and the evidence as `e`.
    """

    code: ReasonCode
    measure: Callable[[Evidence], float | None]
    indicative: float | None
    invalid: float | None
    text: str


def _throttle(evidence: Evidence) -> float | None:
    """The fall in frequency, where heat explains it: 5 degrees warmer, or 80 and above."""
    if evidence.frequency_fall is None or evidence.temperature is None:
        return None
    hot = (evidence.temperature_rise or 0.0) >= 5 or evidence.temperature >= 80
    return evidence.frequency_fall if hot else None


def _missing_samples(evidence: Evidence) -> float | None:
    return evidence.samples_needed / evidence.samples if evidence.samples else float("inf")


def _unexplained_speeds(evidence: Evidence) -> float | None:
    """Two speeds, unless the clock's own changes explain them."""
    return None if evidence.frequency_change is not None and evidence.frequency_change >= 0.1 else evidence.two_speeds


_MORE_THAN_ASKED = 1.0 + 1e-9  # of a ratio whose 1 is exactly what was asked

RULES: Sequence[Rule] = (
    Rule(
        ReasonCode.UNSTABLE,
        lambda e: e.spread,
        0.10,
        0.50,
        "windows differ: the middle 80% of their medians spread over {v:.1%}",
    ),
    Rule(
        ReasonCode.WARM_UP_NOT_OVER,
        lambda e: None if e.drift is None else -e.drift,
        0.05,
        0.25,
        "still getting faster: the last third of a process ran {v:.1%} below its first",
    ),
    Rule(
        ReasonCode.SLOWED_DOWN,
        lambda e: e.drift,
        0.05,
        0.25,
        "getting slower: the last third of a process ran {v:.1%} above its first",
    ),
    Rule(
        ReasonCode.FREQUENCY_CHANGED,
        lambda e: e.frequency_change,
        0.10,
        None,
        "the CPU's clock varied by {v:.1%}",
    ),
    Rule(
        ReasonCode.THROTTLED,
        _throttle,
        0.10,
        0.30,
        "the clock fell by {v:.1%} while the chip reached {e.temperature:.0f} degrees C",
    ),
    Rule(
        ReasonCode.BACKGROUND_LOAD,
        lambda e: e.other_load,
        0.15,
        0.60,
        "other programs used {v:.1%} of the machine",
    ),
    Rule(
        ReasonCode.PREEMPTED,
        lambda e: e.preemptions,
        20.0,
        500.0,
        "the system took the CPU away {v:.0f} times a second",
    ),
    Rule(
        ReasonCode.BACKGROUND_LOAD,
        lambda e: e.waiting,
        0.05,
        0.50,
        "the network waited for the CPU {v:.1%} of the time: other programs had it",
    ),
    Rule(
        ReasonCode.LEVEL_CHANGED,
        lambda e: None if e.change is None else abs(e.change),
        0.08,
        0.50,
        "from {e.change_at:.0%} of the run on, the network ran {e.change:+.1%} slower (below 0: faster)",
    ),
    Rule(
        ReasonCode.MIGRATED,
        _unexplained_speeds,
        1.15,
        None,
        "blocks ran at two speeds, {v:.2f}x apart, to and fro: as when moved between fast and slow cores",
    ),
    Rule(
        ReasonCode.POWER_MODE_CHANGED,
        lambda e: float(e.power_modes),
        2.0,
        None,
        "{v:.0f} different power modes or governors during the run",
    ),
    Rule(
        ReasonCode.SWAPPED,
        lambda e: None if e.swap_growth is None else e.swap_growth / 1e6,
        16.0,
        None,
        "memory ran out: {v:.0f} MB were moved to swap during the run",
    ),
    Rule(
        ReasonCode.CLOCK_TROUBLE,
        lambda e: float(e.clock_faults),
        None,
        1.0,
        "the clock stood still or went back {v:.0f} times",
    ),
    Rule(
        ReasonCode.MIGRATED,
        lambda e: float(e.masks),
        2.0,
        None,
        "processes were allowed {v:.0f} different sets of CPUs",
    ),
    Rule(
        ReasonCode.TOO_FEW_SAMPLES,
        _missing_samples,
        _MORE_THAN_ASKED,
        6.0,
        "{e.samples} samples: {e.percentile_name} needs {e.samples_needed}",
    ),
    Rule(
        ReasonCode.SINGLE_PROCESS,
        lambda e: 1.0 / e.processes if e.processes else None,
        1.0,
        None,
        "one process only: differences between processes are not seen",
    ),
    Rule(
        ReasonCode.PRECISION_NOT_REACHED,
        lambda e: None if e.half_width is None else e.half_width / e.precision,
        _MORE_THAN_ASKED,
        None,
        "{e.percentile_name} is known within {e.half_width:.1%}, asked was {e.precision:.1%}",
    ),
    Rule(
        ReasonCode.OVERHEAD_TOO_LARGE,
        lambda e: e.overhead,
        0.01,
        0.05,
        "the harness itself takes {v:.1%} of the median",
    ),
    Rule(
        ReasonCode.TIMER_TOO_COARSE,
        lambda e: e.timer_share,
        0.01,
        0.05,
        "one step of the clock is {v:.1%} of the median",
    ),
    Rule(
        ReasonCode.INCOMPLETE,
        lambda e: None if e.complete else 1.0,
        1.0,
        None,
        "the run ended before its plan was done",
    ),
    Rule(
        ReasonCode.PARITY_FAILED,
        lambda e: None if e.parity is None or e.parity.ok else 1.0,
        None,
        1.0,
        "answers differ from the baseline's: {e.parity.text}",
    ),
    Rule(
        ReasonCode.PARITY_UNCHECKED,
        lambda e: 1.0 if e.parity is None else None,
        1.0,
        None,
        "answers were not compared with the baseline's",
    ),
)


def judge(evidence: Evidence) -> tuple[Verdict, tuple[Reason, ...]]:
    """The verdict on a number and every reason for it, gravest first."""
    reasons = _gravest_of_each([reason for rule in RULES if (reason := _apply(rule, evidence)) is not None])
    reasons.sort(key=lambda reason: -_GRAVITY[reason.worst])
    verdict = reasons[0].worst if reasons else Verdict.VALID
    return verdict, (*reasons, *_information(evidence))


_GRAVITY = {Verdict.VALID: 0, Verdict.INDICATIVE: 1, Verdict.INVALID: 2}


def _gravest_of_each(reasons: Sequence[Reason]) -> list[Reason]:
    """One reason a code: two rules that name the same cause are not two causes."""
    kept: dict[ReasonCode, Reason] = {}
    for reason in reasons:
        other = kept.get(reason.code)
        if other is None or _GRAVITY[reason.worst] > _GRAVITY[other.worst]:
            kept[reason.code] = reason
    return list(kept.values())


def _apply(rule: Rule, evidence: Evidence) -> Reason | None:
    value = rule.measure(evidence)
    if value is None:
        return None
    if rule.invalid is not None and value >= rule.invalid:
        return Reason(rule.code, rule.text.format(v=value, e=evidence), Verdict.INVALID)
    if rule.indicative is not None and value >= rule.indicative:
        return Reason(rule.code, rule.text.format(v=value, e=evidence), Verdict.INDICATIVE)
    return None


def _information(evidence: Evidence) -> list[Reason]:
    """What is worth saying and takes nothing from the number."""
    said = [
        Reason(ReasonCode.SENSOR_UNAVAILABLE, f"not watched: {text}", Verdict.VALID) for text in evidence.unavailable
    ]
    if evidence.speedup_undecided:
        text = "no significant difference from the baseline: the interval of the speed-up holds 1"
        said.append(Reason(ReasonCode.NO_SIGNIFICANT_DIFFERENCE, text, Verdict.VALID))
    return said
