"""Use case: stored benchmark results, compared, exported with their evidence, checked for regressions."""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewright.core.benchmark import RULES_VERSION
from edgewright.core.comparison import slower_than_allowed, unpaired_speedup
from edgewright.core.evidence import RunEvidence, read_evidence
from edgewright.core.plain import from_plain, to_plain
from edgewright.core.result_bundle import bundle_bytes, bundle_parts, manifest_of
from edgewright.core.speedup import is_significant, paired_speedup
from edgewright.core.values import Interval
from edgewright.core.verdict import Parity
from edgewright.services.benchmarks import benchmark_document
from edgewright.services.signatures import sign
from edgewright.services.user_files import user_file
from edgewright.services.versions import versions
from edgewright.services.workspace import Workspace
from edgewright.store.records import ResultRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode

NOT_SIGNED = "the device's agent: it sent these events over a connection with its pinned key, but signed nothing itself"
TAKEN = "parity: it was computed from golden outputs, which are not in this file"
COLUMNS = ("id", "created", "variant", "device", "runtime", "threads", "verdict", "samples")
_PERCENTILES = ("p50", "p90", "p95", "p99", "p99.9")


class ResultService:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def list(self, model: str | None, device: str | None, variant: str | None) -> list[dict[str, Any]]:
        """Results that fit, newest first."""
        if model is not None:
            self._workspace.store.models.get(model)
        records = self._workspace.store.benchmarks.list(model=model, device=device, variant=variant)
        return [benchmark_document(record) for record in reversed(records)]

    def show(self, number: int) -> dict[str, Any]:
        """One result with what it rests on: plan, hashes, versions, device."""
        record = self._workspace.store.benchmarks.get(number)
        evidence = self._evidence(record)
        return {
            **benchmark_document(record),
            "asked": to_plain(evidence.settings),
            "plan": to_plain(evidence.plan),
            "baseline": evidence.baseline,
            "golden": dict(evidence.golden),
            "versions": dict(evidence.versions),
            "facts": dict(evidence.facts),
            "rules": evidence.rules,
        }

    def compare(self, first: int, second: int) -> dict[str, Any]:
        """How much faster `second` is than `first`, with an interval, and what else differs between them."""
        a, b = (self._workspace.store.benchmarks.get(number) for number in (first, second))
        return self._comparison(a, b)

    def against_previous(self, number: int, allowed_percent: float) -> dict[str, Any]:
        """A new result against the last one of the same variant, device, runtime and threads from an earlier run."""
        record = self._workspace.store.benchmarks.get(number)
        earlier = [
            other
            for other in self._workspace.store.benchmarks.list(variant=record.variant, device=record.device)
            if other.id < record.id
            and other.run_id != record.run_id
            and all(other.settings.get(key) == record.settings.get(key) for key in ("runtime", "threads"))
        ]
        document: dict[str, Any] = {"id": number, "variant": record.variant, "device": record.device}
        document |= {"allowed_percent": allowed_percent, "comparison": None, "slower": False}
        if not earlier:
            return document
        comparison = self._comparison(earlier[-1], record)
        interval = comparison["speedup"]
        told = None if interval is None else slower_than_allowed(from_plain(Interval, interval), allowed_percent / 100)
        return {**document, "comparison": comparison, "slower": bool(told)}

    def export(self, number: int, destination: Path, force: bool) -> dict[str, Any]:
        """Writes the run of a result: FILE.ewr with all evidence, signed; FILE.csv with the raw samples.

        An older result is migrated: its figures are computed anew from its samples, by today's rules.
        """
        record = self._workspace.store.benchmarks.get(number)
        if destination.suffix not in (".ewr", ".csv"):
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"{destination}: the name of an exported result ends in .ewr (evidence, signed) or .csv (raw samples)",
                f"edgewright result export {number} {destination.name}.ewr",
            )
        evidence = self._evidence(record)
        document: dict[str, Any] = {"id": number, "file": str(destination), "run_id": record.run_id}
        if destination.suffix == ".csv":
            data = _samples_csv(evidence)
        else:
            data, signer = self._bundle(record, evidence)
            document |= {"signed_by": signer, "not_signed": [NOT_SIGNED], "taken_as_recorded": [TAKEN]}
            document["migrated"] = evidence.rules != RULES_VERSION
        write_new(destination, data, force)
        return {**document, "size_bytes": len(data)}

    def export_table(self, documents: Sequence[dict[str, Any]], destination: Path, force: bool) -> None:
        """A list of results as CSV, one row each; times in ns."""
        names = [f"{name}_ns{edge}" for name in _PERCENTILES for edge in ("", "_low", "_high")]
        header = [*COLUMNS, *names, "speedup", "speedup_low", "speedup_high", "peak_memory_bytes", "reasons"]
        rows = []
        for document in documents:
            row: list[Any] = [document[column] for column in COLUMNS]
            for name in _PERCENTILES:
                interval = document["latency_interval_ns"].get(name) or {}
                row += [document["latency_ns"].get(name), interval.get("low"), interval.get("high")]
            speedup = document["speedup"] or {}
            row += [speedup.get(key) for key in ("value", "low", "high")]
            row += [document["peak_memory_bytes"], " ".join(reason["code"] for reason in document["reasons"])]
            rows.append(row)
        write_new(destination, _csv([header, *rows]), force)

    def _comparison(self, a: ResultRecord, b: ResultRecord) -> dict[str, Any]:
        first, second = self._evidence(a), self._evidence(b)
        paired = a.run_id == b.run_id
        blocks = first.blocks(a.variant), second.blocks(b.variant)
        confidence = second.settings.speedup_confidence
        if paired:
            interval = paired_speedup(*blocks, confidence, second.settings.seed)
        else:
            interval = unpaired_speedup(*blocks, confidence)
        return {
            "first": _brief(a),
            "second": _brief(b),
            "method": "paired" if paired else "unpaired",
            "confidence": confidence,
            "speedup": to_plain(interval),
            "significant": is_significant(interval),
            "notes": _notes(a, b, paired),
        }

    def _evidence(self, record: ResultRecord) -> RunEvidence:
        """The raw data of a result; what an earlier version did not keep comes from the stored rows."""
        data = self._workspace.store.artifacts.read_bytes(record.evidence_sha256)
        try:
            evidence = read_evidence(json.loads(zlib.decompress(data)))
        except (zlib.error, KeyError, TypeError, ValueError) as failure:
            raise EdgewrightError(
                ErrorCode.RESULT_CORRUPT,
                f"the raw data of result {record.id} cannot be read: {type(failure).__name__}: {failure}",
                "run the benchmark again",
            ) from failure
        if evidence.rules:
            return evidence
        rows = self._workspace.store.benchmarks.list(run_id=record.run_id)
        parity = {row.variant: from_plain(Parity, row.summary["parity"]) for row in rows if row.summary.get("parity")}
        return replace(evidence, parity={k: v for k, v in parity.items() if k != evidence.baseline})

    def _bundle(self, record: ResultRecord, evidence: RunEvidence) -> tuple[bytes, str]:
        rows = self._workspace.store.benchmarks.list(run_id=record.run_id)
        summary = to_plain(evidence.summary())
        told = {item["label"]: item["verdict"] for item in summary["candidates"]}
        result = {
            "run_id": record.run_id,
            "created": record.created,
            "results": [
                {
                    "id": row.id,
                    "variant": row.variant,
                    "verdict": told[row.variant],
                    "verdict_when_measured": row.verdict,
                    "artifact_sha256": row.artifact_sha256,
                    "settings": row.settings,
                }
                for row in rows
            ],
            "summary": summary,
        }
        parts = bundle_parts(evidence, result)
        about = {
            "run_id": record.run_id,
            "rules": RULES_VERSION,
            "rules_when_measured": evidence.rules,
            "versions": versions(),
            "taken_as_recorded": [TAKEN],
        }
        manifest = manifest_of(parts, about)
        signature = sign("controller", self._workspace.identity, manifest)
        signatures = {"signatures": [signature], "not_signed": [NOT_SIGNED]}
        return bundle_bytes(manifest, signatures, parts), signature["fingerprint"]


def write_new(destination: Path, data: bytes, force: bool) -> None:
    """A file, whole or not at all; an existing one only with `force`."""
    if destination.exists() and not force:
        raise EdgewrightError(ErrorCode.OPTION_INVALID, f"{destination} exists", "choose another name or add --force")
    with user_file(destination) as temporary:
        temporary.write_bytes(data)


def _samples_csv(evidence: RunEvidence) -> bytes:
    header = ["variant", "process", "block", "sample", "latency_ns"]
    rows = [
        (label, block.process, block.index, number, sample)
        for label in (candidate.label for candidate in evidence.candidates)
        for block in evidence.blocks(label)
        for number, sample in enumerate(block.samples_ns)
    ]
    return _csv([header, *rows])


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _brief(record: ResultRecord) -> dict[str, Any]:
    document = benchmark_document(record)
    names = ("id", "variant", "device", "runtime", "threads", "verdict", "latency_ns", "artifact_sha256", "created")
    return {name: document[name] for name in names}


def _notes(a: ResultRecord, b: ResultRecord, paired: bool) -> list[str]:
    """What a reader must know before believing the ratio."""
    notes = []
    if not paired:
        notes.append("measured at different times: what changed on the device meanwhile is part of the ratio")
    if a.device != b.device:
        notes.append(f"different devices: {a.device} and {b.device}")
    for key in ("runtime", "threads"):
        if a.settings.get(key) != b.settings.get(key):
            notes.append(f"different {key}: {a.settings.get(key)} and {b.settings.get(key)}")
    if a.summary.get("runtime_version") != b.summary.get("runtime_version"):
        old, new = a.summary.get("runtime_version"), b.summary.get("runtime_version")
        notes.append(f"different versions of the runtime: {old} and {new}")
    if a.variant == b.variant and a.artifact_sha256 != b.artifact_sha256:
        notes.append(f"{a.variant} is another file now")
    notes += [f"result {record.id} is {record.verdict}" for record in (a, b) if record.verdict != "valid"]
    return notes
