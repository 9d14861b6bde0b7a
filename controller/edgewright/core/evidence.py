"""The evidence of a benchmark run: everything its statistics are computed from, as a record and as JSON."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edgewright.core.benchmark import BenchmarkSummary, BenchSettings, summarise
from edgewright.core.names import BASE_VARIANT, SEPARATOR
from edgewright.core.plain import from_plain, to_plain
from edgewright.core.verdict import Parity
from edgewright_contract.values import BenchmarkPlan, Block, Candidate, JobEvent, JobPayload

_KINDS: dict[str, type] = {kind.__name__: kind for kind in typing.get_args(JobPayload)}
_TOLERANCE = 1e-6  # relative; platforms round sums differently


@dataclass(frozen=True)
class RunEvidence:
    """One run. `parity` was computed from golden outputs, which are not part of it; `rules` 0: not recorded."""

    candidates: tuple[Candidate, ...]
    plan: BenchmarkPlan
    settings: BenchSettings
    golden: Mapping[str, Any]
    device: Mapping[str, Any]
    events: tuple[JobEvent, ...]
    baseline: str | None = None
    parity: Mapping[str, Parity] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    rules: int = 0

    def summary(self) -> BenchmarkSummary:
        """All statistics, computed anew from the raw samples by this program's rules."""
        return summarise(self.events, self.baseline, self.settings, self.parity)

    def blocks(self, label: str) -> tuple[Block, ...]:
        """A candidate's timed blocks, warm-up left out."""
        payloads = (event.payload for event in self.events)
        return tuple(p for p in payloads if isinstance(p, Block) and p.label == label and not p.warmup)


def baseline_among(labels: Sequence[str]) -> str | None:
    """The variant that speed-ups of a run refer to."""
    return next((label for label in labels if label.endswith(f"{SEPARATOR}{BASE_VARIANT}")), None)


def evidence_document(evidence: RunEvidence) -> dict[str, Any]:
    """`evidence` as plain JSON types; `read_evidence` takes it back."""
    document = {name: to_plain(getattr(evidence, name)) for name in RunEvidence.__dataclass_fields__}
    return {**document, "events": [event_document(event) for event in evidence.events]}


def event_document(event: JobEvent) -> dict[str, Any]:
    return {"sequence": event.sequence, "kind": type(event.payload).__name__, **to_plain(event.payload)}


def read_evidence(document: Mapping[str, Any]) -> RunEvidence:
    """The record of `evidence_document`, also of one by an earlier version, which lacked the later fields.

    Raises KeyError, TypeError or ValueError where the document is none.
    """
    candidates = from_plain(tuple[Candidate, ...], document["candidates"])
    return RunEvidence(
        candidates=candidates,
        plan=from_plain(BenchmarkPlan, document["plan"]),
        settings=from_plain(BenchSettings, document["settings"]),
        golden=dict(document["golden"]),
        device=dict(document["device"]),
        events=tuple(read_event(item) for item in document["events"]),
        baseline=document.get("baseline", baseline_among([candidate.label for candidate in candidates])),
        parity=from_plain(dict[str, Parity], document.get("parity", {})),
        facts=dict(document.get("facts", {})),
        versions=dict(document.get("versions", {})),
        rules=document.get("rules", 0),
    )


def read_event(item: Mapping[str, Any]) -> JobEvent:
    """One event; a kind that is not known raises KeyError, a sample that is no whole number TypeError."""
    kind = _KINDS[item["kind"]]
    if kind is not Block:
        return JobEvent(item["sequence"], typing.cast(JobPayload, from_plain(kind, item)))
    # Most of a document is samples: they are checked at once, not one by one.
    samples = item["samples_ns"]
    if not isinstance(samples, list) or set(map(type, samples)) - {int}:
        raise TypeError(f"samples of event {item['sequence']} are not whole numbers")
    block = from_plain(Block, {**item, "samples_ns": []})
    return JobEvent(item["sequence"], replace(block, samples_ns=tuple(samples)))


def differences(recorded: Any, computed: Any, path: str = "") -> list[str]:
    """Where two plain documents differ, floats beyond rounding; each with its path and both values."""
    if isinstance(recorded, Mapping) and isinstance(computed, Mapping):
        found = []
        for key in sorted({*recorded, *computed}):
            if key not in recorded or key not in computed:
                found.append(f"{path}.{key} is {'not recorded' if key not in recorded else 'not computed'}".lstrip("."))
            else:
                found += differences(recorded[key], computed[key], f"{path}.{key}".lstrip("."))
        return found
    if isinstance(recorded, list) and isinstance(computed, list) and len(recorded) == len(computed):
        pairs = enumerate(zip(recorded, computed, strict=True))
        return [text for i, (a, b) in pairs for text in differences(a, b, f"{path}[{i}]")]
    if _number(recorded) and _number(computed):
        same = abs(recorded - computed) <= _TOLERANCE * max(abs(recorded), abs(computed))
    else:
        same = recorded == computed
    return [] if same else [f"{path} says {recorded!r}, the samples give {computed!r}"]


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
