"""Signatures over a result's manifest: ECDSA on P-256 with SHA-256, by the keys that also identify the programs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewright_contract.certificates import canonical_certificate, fingerprint
from edgewright_contract.errors import EdgewrightError

ALGORITHM = "ecdsa-p256-sha256"


@dataclass(frozen=True)
class Signer:
    """Who signed: `role` as stated, `fingerprint` of the certificate whose key made the signature."""

    role: str
    fingerprint: str
    valid: bool
    problem: str = ""


def sign(role: str, identity: tuple[bytes, bytes], data: bytes) -> dict[str, str]:
    """A signature of `data` by (key, certificate) PEM, with the certificate that checks it."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = serialization.load_pem_private_key(identity[0], None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return {
        "role": role,
        "algorithm": ALGORITHM,
        "fingerprint": fingerprint(identity[1]),
        "certificate": identity[1].decode("ascii"),
        "signature": base64.b64encode(key.sign(data, ec.ECDSA(hashes.SHA256()))).decode("ascii"),
    }


def check(entry: Mapping[str, Any], data: bytes) -> Signer:
    """Whether `entry` is a signature of `data` by the key of its own certificate; who that is, is for the reader."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    role = str(entry.get("role", ""))
    if entry.get("algorithm") != ALGORITHM:
        return Signer(role, "", False, f"its algorithm is {entry.get('algorithm')!r}; known: {ALGORITHM}")
    try:
        certificate = canonical_certificate(str(entry.get("certificate", "")).encode())
        signature = base64.b64decode(str(entry.get("signature", "")), validate=True)
    except EdgewrightError as failure:
        return Signer(role, "", False, failure.message)
    except binascii.Error:
        return Signer(role, "", False, "the signature is not base64")
    name = fingerprint(certificate)
    key = x509.load_pem_x509_certificate(certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)  # canonical_certificate accepts no other
    try:
        key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return Signer(role, name, False, "the manifest is not what was signed")
    return Signer(role, name, True)
