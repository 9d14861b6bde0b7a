"""The judge: says how good a network is, by its metric and by its closeness to the baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgewright.core.values import ProgressCallback, ProgressEvent, no_progress
from edgewright.graph.session import Array, open_session, run

# Baseline outputs up to this size stay in memory; beyond it the baseline runs again beside each candidate.
_CACHED_BYTES = 256 * 2**20


class Judge(Protocol):
    """Tuning data and the metric on it.

    `batches()` starts a fresh pass over network-ready float32 inputs [n, ...]. `classification` says that the
    first output holds one score per class (last axis). `metric(outputs)` takes every output, samples along
    axis 0, and returns 0..1 (1 is best), or None when there are no labels. `metric_name` is its name.
    """

    @property
    def classification(self) -> bool: ...

    @property
    def metric_name(self) -> str: ...

    def batches(self) -> Iterator[Array]: ...

    def metric(self, outputs: Sequence[Array]) -> float | None: ...


@dataclass(frozen=True)
class TuningJudge:
    """A judge made of functions. `score` is None for unlabelled data."""

    fresh_pass: Callable[[], Iterator[Array]]
    classification: bool
    metric_name: str = ""
    score: Callable[[Sequence[Array]], float] | None = None

    def batches(self) -> Iterator[Array]:
        return self.fresh_pass()

    def metric(self, outputs: Sequence[Array]) -> float | None:
        return None if self.score is None else self.score(outputs)


@dataclass(frozen=True)
class Fidelity:
    """Label-free closeness to the baseline.

    `agreement` is the share of samples with the same best class (None: no classification). `sqnr_db` is
    10 log10(sum y^2 / sum (y - y')^2) over all outputs, at most 120. `divergence` is the mean KL divergence
    of the class probabilities in nats (None: no classification): smooth where agreement is coarse.
    `expected_drop` is the share of top-1 that is expected to be lost if the baseline's probabilities p are
    right, the mean of p[baseline's class] - p[candidate's class] (None: no classification): flips of doubtful
    samples hardly count.
    """

    agreement: float | None
    sqnr_db: float
    cosine: float
    divergence: float | None
    expected_drop: float | None
    samples: int


@dataclass(frozen=True)
class Judgement:
    metric: float | None
    fidelity: Fidelity


@dataclass
class Bench:
    """Runs candidates on a judge's data beside the baseline."""

    baseline: Path
    judge: Judge
    threads: int = 0
    _cache: list[list[Array]] | None = field(default=None, init=False)
    _metric: float | None = field(default=None, init=False)
    _seen: int = field(default=0, init=False)

    def baseline_metric(self) -> float | None:
        """The baseline's metric on the tuning data."""
        self._prepare()
        return self._metric

    @property
    def samples(self) -> int:
        """Tuning samples."""
        self._prepare()
        return self._seen

    def judge_file(
        self, path: Path, progress: ProgressCallback = no_progress, text: str = "judging", limit: int = 0
    ) -> Judgement:
        """Metric and fidelity of the network at `path`; `limit` > 0 looks at the first samples only (no
        metric).
        """
        self._prepare()
        session = open_session(path, self.threads)
        name = session.get_inputs()[0].name
        sums = _Sums(self.judge.classification)
        collected: list[list[Array]] = []
        done = 0
        for batch, expected in self._pairs():
            if limit and done >= limit:
                break
            actual = run_rows(session, name, batch)
            sums.add(expected, actual)
            if self.judge.metric_name and not limit:
                collected.append(actual)
            done += len(batch)
            progress(ProgressEvent(text, done, limit or self._seen))
        metric = None
        if collected:
            metric = self.judge.metric([np.concatenate(parts) for parts in zip(*collected, strict=True)])
        return Judgement(metric, sums.fidelity())

    def _pairs(self) -> Iterator[tuple[Array, list[Array]]]:
        if self._cache is not None:
            yield from zip(self.judge.batches(), self._cache, strict=True)
            return
        session = open_session(self.baseline, self.threads)
        name = session.get_inputs()[0].name
        for batch in self.judge.batches():
            yield batch, run_rows(session, name, batch)

    def _prepare(self) -> None:
        if self._seen:
            return
        session = open_session(self.baseline, self.threads)
        name = session.get_inputs()[0].name
        outputs: list[list[Array]] = []
        size = 0
        labelled = bool(self.judge.metric_name)
        for batch in self.judge.batches():
            made = run_rows(session, name, batch)
            self._seen += len(batch)
            size += sum(item.nbytes for item in made)
            if size <= _CACHED_BYTES or labelled:
                outputs.append(made)
            else:
                outputs.clear()
        if size <= _CACHED_BYTES:
            self._cache = outputs
        if labelled and outputs:
            self._metric = self.judge.metric([np.concatenate(parts) for parts in zip(*outputs, strict=True)])


def run_rows(session: Any, name: str, batch: Array) -> list[Array]:
    """All outputs for a batch, also of a network whose batch dimension is fixed to another number."""
    fixed = session.get_inputs()[0].shape[0]
    if not isinstance(fixed, int) or fixed == len(batch):
        return run(session, {name: batch})
    parts: list[list[Array]] = []
    for part in fixed_parts(batch, fixed):
        made = run(session, {name: part})
        rows = min(fixed, len(batch) - fixed * len(parts))
        parts.append([item[:rows] if item.shape[:1] == (fixed,) else item for item in made])
    return [np.concatenate(items) for items in zip(*parts, strict=True)]


def fixed_parts(batch: Array, fixed: int) -> Iterator[Array]:
    """Pieces of exactly `fixed` samples; the last one is filled up with copies of its last sample."""
    for start in range(0, len(batch), fixed):
        part = batch[start : start + fixed]
        missing = fixed - len(part)
        yield np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part


@dataclass
class _Sums:
    """Running sums behind a Fidelity, so that no output has to be kept."""

    classification: bool
    signal: float = 0.0
    noise: float = 0.0
    other: float = 0.0
    product: float = 0.0
    same: int = 0
    divergence: float = 0.0
    expected_drop: float = 0.0
    rows: int = 0
    samples: int = 0

    def add(self, expected: Sequence[Array], actual: Sequence[Array]) -> None:
        for a, b in zip(expected, actual, strict=True):
            if a.dtype.kind != "f":
                continue
            x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
            self.signal += float(x @ x)
            self.other += float(y @ y)
            self.product += float(x @ y)
            self.noise += float((x - y) @ (x - y))
        self.samples += len(expected[0])
        if self.classification:
            a, b = (side[0].reshape(-1, side[0].shape[-1]).astype(np.float64) for side in (expected, actual))
            best_a, best_b = a.argmax(axis=1), b.argmax(axis=1)
            self.same += int((best_a == best_b).sum())
            p, q = probabilities(a), probabilities(b)
            every = np.arange(len(p))
            self.expected_drop += float(np.sum(p[every, best_a] - p[every, best_b]))
            self.divergence += float(np.sum(p * (np.log(p + 1e-12) - np.log(q + 1e-12))))
            self.rows += len(a)

    def fidelity(self) -> Fidelity:
        ratio = self.signal / self.noise if self.noise > 0 else np.inf
        sqnr = float(np.clip(10.0 * np.log10(ratio), -120.0, 120.0)) if ratio > 0 else -120.0
        length = float(np.sqrt(self.signal * self.other))
        cosine = self.product / length if length > 0 else float(self.noise == 0.0)
        if not self.rows:
            return Fidelity(None, sqnr, cosine, None, None, self.samples)
        rows = self.rows
        return Fidelity(self.same / rows, sqnr, cosine, self.divergence / rows, self.expected_drop / rows, self.samples)


def probabilities(scores: Array) -> Array:
    """Class probabilities [rows, classes] of logits; rows that already are probabilities stay as they are."""
    if scores.min() >= 0.0 and np.allclose(scores.sum(axis=1), 1.0, atol=1e-2):
        return scores
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    total: Array = shifted / shifted.sum(axis=1, keepdims=True)
    return total
