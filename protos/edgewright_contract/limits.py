"""What a peer may ask for: patterns, sizes and counts, each with its check. All raise REQUEST_INVALID."""

from __future__ import annotations

import math
import re
from typing import Iterable, Sequence

from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import FORMATS, BenchmarkPlan, Candidate, DeployGoals, InputSet, Normalization

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+:-]{0,127}")
REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")

MESSAGE_BYTES_MAX = 8 * 1024 * 1024  # of one gRPC message, both ways
CERTIFICATE_BYTES_MAX = 8 * 1024
ARTIFACT_BYTES_MAX = 16 * 1024**3
CANDIDATES_MAX = 32
THREADS_MAX = 256
CHANNELS_MAX = 4096
PROCESSES_MAX = 64
BLOCKS_MAX = 10_000
BLOCK_SECONDS_MAX = 5.0  # keeps one Block event far below MESSAGE_BYTES_MAX
SAMPLING_SECONDS_MAX = 24 * 3600.0
WARMUP_SECONDS_MAX = 600.0
LABELS_MAX = 100_000
LATENCY_MS_MAX = 3_600_000.0
CONTROLLERS_MAX = 64
QUEUE_MAX = 16
JOBS_KEPT = 50
LAYOUTS = ("", "nchw", "nhwc")


def _invalid(what: str, value: object, allowed: str) -> EdgewrightError:
    shown = repr(value)
    if len(shown) > 100:
        shown = shown[:97] + "..."
    return EdgewrightError(ErrorCode.REQUEST_INVALID, f"{what} is {shown}; allowed: {allowed}")


def _check_pattern(what: str, value: str, pattern: re.Pattern[str], allowed: str) -> str:
    if not pattern.fullmatch(value):
        raise _invalid(what, value, allowed)
    return value


def check_name(value: str, what: str = "name") -> str:
    """A slot or controller name: 1 to 64 letters, digits, `.`, `_`, `-`; not a sign at the front."""
    allowed = "1 to 64 letters, digits, '.', '_', '-', the first a letter or digit"
    return _check_pattern(what, value, NAME, allowed)


def check_label(value: str) -> str:
    """A candidate's label, such as `lite0@acc1`."""
    allowed = "1 to 128 letters, digits, '.', '_', '@', '+', ':', '-', the first a letter or digit"
    return _check_pattern("label", value, LABEL, allowed)


def check_request_id(value: str) -> str:
    return _check_pattern(
        "request_id",
        value,
        REQUEST_ID,
        "8 to 64 letters, digits, '.', '_', '-'; a random one for each new request",
    )


def check_sha256(value: str) -> str:
    return _check_pattern("sha256", value, SHA256, "64 lower-case hexadecimal digits")


def _check_int(what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise _invalid(what, value, f"{low} to {high}")


def _check_seconds(what: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise _invalid(what, value, f"{low:g} to {high:g} s")


def check_artifact_size(size_bytes: int) -> int:
    _check_int("size_bytes", size_bytes, 1, ARTIFACT_BYTES_MAX)
    return size_bytes


def check_candidate(candidate: Candidate) -> Candidate:
    check_label(candidate.label)
    check_sha256(candidate.sha256)
    if candidate.format not in FORMATS:
        raise _invalid("format", candidate.format, ", ".join(FORMATS))
    check_name(candidate.runtime, "runtime")
    _check_int("threads", candidate.threads, 1, THREADS_MAX)
    return candidate


def check_candidates(candidates: Sequence[Candidate]) -> None:
    """One to CANDIDATES_MAX candidates with different labels."""
    _check_int("number of candidates", len(candidates), 1, CANDIDATES_MAX)
    for candidate in candidates:
        check_candidate(candidate)
    labels = [candidate.label for candidate in candidates]
    if len(set(labels)) != len(labels):
        raise _invalid("labels", labels, "each label once")


def _check_channels(what: str, values: Iterable[float], zero_allowed: bool) -> int:
    values = tuple(values)
    _check_int(f"number of {what} values", len(values), 0, CHANNELS_MAX)
    for value in values:
        if not math.isfinite(value) or (value == 0 and not zero_allowed):
            raise _invalid(what, value, "finite numbers" if zero_allowed else "finite numbers other than 0")
    return len(values)


def check_normalization(normalization: Normalization) -> None:
    means = _check_channels("mean", normalization.mean, zero_allowed=True)
    stds = _check_channels("std", normalization.std, zero_allowed=False)
    if means > 1 and stds > 1 and means != stds:
        raise _invalid("mean and std", (means, stds), "as many mean as std values, or one of either")
    if normalization.layout not in LAYOUTS:
        raise _invalid("layout", normalization.layout, "'nchw', 'nhwc' or empty")


def check_input_set(inputs: InputSet) -> InputSet:
    check_sha256(inputs.sha256)
    check_normalization(inputs.normalization)
    return inputs


def check_plan(plan: BenchmarkPlan) -> BenchmarkPlan:
    _check_int("processes", plan.processes, 1, PROCESSES_MAX)
    _check_int("blocks", plan.blocks, 1, BLOCKS_MAX)
    _check_seconds("block_seconds", plan.block_seconds, 0.001, BLOCK_SECONDS_MAX)
    _check_seconds("max_seconds", plan.max_seconds, 0.001, SAMPLING_SECONDS_MAX)
    _check_seconds("warmup_seconds", plan.warmup_seconds, 0.0, WARMUP_SECONDS_MAX)
    return plan


def check_goals(goals: DeployGoals) -> DeployGoals:
    check_input_set(goals.golden)
    check_sha256(goals.expected_sha256)
    _check_int("number of labels", len(goals.labels), 0, LABELS_MAX)
    if goals.labels and not goals.classes:
        raise _invalid("labels", len(goals.labels), "none for a network without classes")
    if goals.max_latency_ms is not None and not (0 < goals.max_latency_ms <= LATENCY_MS_MAX):
        raise _invalid("max_latency_ms", goals.max_latency_ms, f"more than 0, {LATENCY_MS_MAX:g} at most")
    if goals.max_drop is not None:
        if not 0 <= goals.max_drop <= 100:
            raise _invalid("max_drop", goals.max_drop, "0 to 100 percentage points")
        if not goals.classes:
            raise _invalid("max_drop", goals.max_drop, "none for a network without classes")
    return goals
