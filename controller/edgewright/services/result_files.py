"""Result files checked without a home folder: bytes, signature, and every figure from its raw samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.core.archive import Damage
from edgewright.core.benchmark import RULES_VERSION
from edgewright.core.evidence import RunEvidence, differences
from edgewright.core.plain import to_plain
from edgewright.core.result_bundle import FORMAT_VERSION, Bundle, read_bundle
from edgewright.services.signatures import Signer, check
from edgewright_contract.certificates import CERTIFICATE_FILE, fingerprint
from edgewright_contract.errors import EdgewrightError, ErrorCode

_SHOWN = 5  # findings in one message


def verify_result_file(path: Path, home: Path, signer: str | None = None) -> dict[str, Any]:
    """What was checked, where all of it holds.

    `signer` is the fingerprint (or its first 8 or more characters) that must have signed; `home` only tells whether
    that was this controller, and may be missing. Raises FILE_NOT_FOUND, RESULT_CORRUPT, RESULT_VERSION.
    """
    bundle = _read(path)
    signers = _check_signatures(path, bundle, signer)
    _check_versions(path, bundle)
    evidence = _evidence(path, bundle)
    result = bundle.result()
    found = differences(result["summary"], to_plain(evidence.summary()))
    if found:
        raise _corrupt(path, "its figures do not follow from its samples", found)
    own = _own_fingerprint(home)
    return {
        "file": str(path),
        "verified": True,
        "run_id": result["run_id"],
        "created": result["created"],
        "device": evidence.device["name"],
        "results": [
            {
                "id": item["id"],
                "variant": item["variant"],
                "verdict": item["verdict"],
                "artifact_sha256": item["artifact_sha256"],
            }
            for item in result["results"]
        ],
        "parts": [{"name": item["name"], "sha256": item["sha256"]} for item in bundle.manifest["parts"]],
        "samples": sum(candidate["samples"] for candidate in result["summary"]["candidates"]),
        "signed_by": [
            {"role": item.role, "fingerprint": item.fingerprint, "this_controller": item.fingerprint == own}
            for item in signers
        ],
        "not_signed": list(bundle.signatures.get("not_signed", [])),
        "taken_as_recorded": list(bundle.manifest.get("taken_as_recorded", [])),
    }


def _read(path: Path) -> Bundle:
    try:
        data = path.read_bytes()
    except OSError as failure:
        raise EdgewrightError(
            ErrorCode.FILE_NOT_FOUND, f"{path}: {failure.strerror or failure}", "check the path and its permissions"
        ) from failure
    try:
        bundle = read_bundle(data)
    except (KeyError, TypeError, AttributeError) as failure:
        raise _corrupt(path, "its manifest is malformed", [f"{type(failure).__name__}: {failure}"]) from failure
    if bundle is None:
        raise EdgewrightError(
            ErrorCode.RESULT_CORRUPT,
            f"{path} ({len(data)} bytes) is no result file: it does not start with a manifest",
            "`edgewright result export ID FILE.ewr` writes one",
        )
    if bundle.damages:
        raise _corrupt(path, "altered or cut", [_said(damage) for damage in bundle.damages])
    return bundle


def _check_signatures(path: Path, bundle: Bundle, wanted: str | None) -> list[Signer]:
    entries = bundle.signatures.get("signatures")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise _corrupt(path, "nobody signed it", [])
    signers = [check(entry, bundle.manifest_bytes) for entry in entries]
    bad = [f"signature of the {item.role or 'unknown signer'}: {item.problem}" for item in signers if not item.valid]
    if bad:
        raise _corrupt(path, "its signature does not hold", bad)
    if wanted is not None:
        prefix = wanted.lower().replace(":", "")
        if len(prefix) < 8:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"--signer {wanted!r} is too short: give 8 or more characters of a fingerprint",
                "a signer's fingerprint is printed by `edgewright result export`",
            )
        if not any(item.fingerprint.startswith(prefix) for item in signers):
            names = [f"signed by {item.fingerprint}" for item in signers]
            raise _corrupt(path, f"not signed by {wanted}", names)
    return signers


def _check_versions(path: Path, bundle: Bundle) -> None:
    version, rules = bundle.manifest.get("version"), bundle.manifest.get("rules")
    if version == FORMAT_VERSION and rules == RULES_VERSION:
        return
    made_by = bundle.manifest.get("versions", {}).get("edgewright", "unknown")
    raise EdgewrightError(
        ErrorCode.RESULT_VERSION,
        f"{path}: bytes and signature are intact, but format {version} and rules {rules} are not this program's"
        f" ({FORMAT_VERSION} and {RULES_VERSION}), so its figures cannot be computed again here",
        f"verify it with edgewright {made_by}, or export the result again",
    )


def _evidence(path: Path, bundle: Bundle) -> RunEvidence:
    try:
        return bundle.evidence()
    except (KeyError, TypeError, ValueError) as failure:
        raise _corrupt(path, "a part cannot be read", [f"{type(failure).__name__}: {failure}"]) from failure


def _corrupt(path: Path, what: str, findings: list[str]) -> EdgewrightError:
    more = [f"and {len(findings) - _SHOWN} more"] if len(findings) > _SHOWN else []
    text = "; ".join([*findings[:_SHOWN], *more])
    return EdgewrightError(
        ErrorCode.RESULT_CORRUPT,
        f"{path}: {what}{': ' if text else ''}{text}",
        "do not use it; ask for the file again, or export it again from the home folder that measured it",
    )


def _said(damage: Damage) -> str:
    where = damage.part or "the archive itself"
    if damage.end == damage.start == 0:
        return f"{where}: {damage.reason}"
    return f"{where}: {damage.reason} (bytes {damage.start} to {damage.end} of the file)"


def _own_fingerprint(home: Path) -> str | None:
    certificate = home / "identity" / CERTIFICATE_FILE
    return fingerprint(certificate.read_bytes()) if certificate.is_file() else None
