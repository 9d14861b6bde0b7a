"""The evidence bundle, `.ewr`: a run's figures and all they rest on, every piece of it hashed. Bytes in, bytes out.

manifest.json    what this is, and of every other part size, sha256 and the sha256 of each 64 KiB
signatures.json  who vouches for the manifest, and what nobody signed
result.json      the figures as they were told
run.json         candidates with their hashes, settings, seeds, versions, parity
device.json      name, key and facts of the device
telemetry.jsonl  sensors during the run
events.jsonl     loads, overhead, memory, end
samples.jsonl    every timed block with its raw samples
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgewright.core.archive import Damage, Part, pack, unpack
from edgewright.core.evidence import RunEvidence, event_document, evidence_document, read_evidence
from edgewright_contract.values import Block, JobPayload, Telemetry

FORMAT, FORMAT_VERSION = "edgewright-result", 1
MANIFEST, SIGNATURES, RESULT = "manifest.json", "signatures.json", "result.json"
_RUN = ("candidates", "plan", "settings", "golden", "baseline", "parity", "versions", "rules")
_STREAMS = ("telemetry.jsonl", "events.jsonl", "samples.jsonl")
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Bundle:
    """What a bundle file holds; `damages` empty: every part has the bytes of its manifest."""

    manifest: Mapping[str, Any]
    manifest_bytes: bytes
    signatures: Mapping[str, Any]
    parts: Mapping[str, Part]
    damages: tuple[Damage, ...]

    def result(self) -> dict[str, Any]:
        return dict(json.loads(self.parts[RESULT].data))

    def evidence(self) -> RunEvidence:
        """Raises KeyError, TypeError or ValueError where a part is not what it should be."""
        events = [json.loads(line) for name in _STREAMS for line in self.parts[name].data.splitlines()]
        events.sort(key=lambda event: event["sequence"])
        device = json.loads(self.parts["device.json"].data)
        document = {**json.loads(self.parts["run.json"].data), **device, "events": events}
        return read_evidence(document)


def bundle_parts(evidence: RunEvidence, result: Mapping[str, Any]) -> dict[str, bytes]:
    """The parts that the manifest covers."""
    document = evidence_document(evidence)
    return {
        RESULT: _json(result),
        "run.json": _json({name: document[name] for name in _RUN}),
        "device.json": _json({"device": document["device"], "facts": document["facts"]}),
        **{name: _lines(evidence, name) for name in _STREAMS},
    }


def manifest_of(parts: Mapping[str, bytes], about: Mapping[str, Any]) -> bytes:
    """manifest.json: the bytes that are signed."""
    described = [
        {"name": name, "size": len(data), "sha256": _sha256(data), "chunks": _chunks(data)}
        for name, data in parts.items()
    ]
    return _json(
        {"format": FORMAT, "version": FORMAT_VERSION, "chunk_bytes": _CHUNK_BYTES, **about, "parts": described}
    )


def bundle_bytes(manifest: bytes, signatures: Mapping[str, Any], parts: Mapping[str, bytes]) -> bytes:
    return pack({MANIFEST: manifest, SIGNATURES: _json(signatures), **parts})


def read_bundle(data: bytes) -> Bundle | None:
    """The bundle in `data`, with every byte range that is not as written; None where it is no bundle at all."""
    found, damages = unpack(data)
    parts = {part.name: part for part in found}
    if MANIFEST not in parts:
        return None
    manifest = _object(parts[MANIFEST].data)
    if manifest.get("format") != FORMAT:
        return None if not damages else Bundle({}, parts[MANIFEST].data, {}, parts, damages)
    signatures = _object(parts[SIGNATURES].data) if SIGNATURES in parts else {}
    known = [damage for damage in damages if damage.part in ("", MANIFEST, SIGNATURES) or damage.part not in parts]
    altered = [damage for item in manifest.get("parts", ()) for damage in _compare(item, parts)]
    listed = {MANIFEST, SIGNATURES, *(item["name"] for item in manifest.get("parts", ()))}
    strangers = [
        Damage(part.name, part.start, part.start + len(part.data) - 1, "the manifest does not list it")
        for part in found
        if part.name not in listed
    ]
    missing = {damage.part for damage in known}
    merged = [*known, *(d for d in altered if d.part not in missing), *strangers]
    return Bundle(manifest, parts[MANIFEST].data, signatures, parts, tuple(merged))


def _compare(item: Mapping[str, Any], parts: Mapping[str, Part]) -> list[Damage]:
    """Where a part differs from its description, to the chunk."""
    name = item["name"]
    part = parts.get(name)
    if part is None:
        return [Damage(name, 0, 0, "it is missing")]
    if _sha256(part.data) == item["sha256"]:
        return []
    found, expected = _chunks(part.data), item["chunks"]
    wrong = [i for i in range(max(len(found), len(expected))) if found[i : i + 1] != expected[i : i + 1]]
    end = part.start + max(1, len(part.data)) - 1
    return [
        Damage(name, part.start + first * _CHUNK_BYTES, min(end, part.start + (last + 1) * _CHUNK_BYTES - 1), "altered")
        for first, last in _runs(wrong)
    ]


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring numbers joined: 1, 2, 5 is (1, 2), (5, 5)."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _lines(evidence: RunEvidence, name: str) -> bytes:
    chosen = (event for event in evidence.events if _stream(event.payload) == name)
    return b"".join(json.dumps(event_document(e), separators=(",", ":")).encode() + b"\n" for e in chosen)


def _stream(payload: JobPayload) -> str:
    if isinstance(payload, Telemetry):
        return _STREAMS[0]
    return _STREAMS[2] if isinstance(payload, Block) else _STREAMS[1]


def _object(data: bytes) -> dict[str, Any]:
    """A JSON object, or nothing where the bytes are none."""
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, allow_nan=False).encode() + b"\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _chunks(data: bytes) -> list[str]:
    return [_sha256(data[start : start + _CHUNK_BYTES]) for start in range(0, len(data), _CHUNK_BYTES)]
