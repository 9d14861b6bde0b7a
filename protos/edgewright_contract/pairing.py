"""The one-time pairing code, and the certificates both sides derive from it.

A code is Crockford base32 (no I, L, O, U; case and dashes do not matter) of
- 10 bytes: the front of the agent certificate's sha256: the controller knows whom it talks to,
- 11 bytes: a secret: the agent knows that the controller was shown this code,
- 1 byte: CRC-8: a slip of the finger is called that, and not "refused".

Nothing unauthenticated is ever served. From the secret both sides derive one EC P-256 key (HKDF-SHA256,
RFC 5869); the agent trusts a root certificate of that key while its pairing window is open; the controller
shows a client certificate signed by it. The mutual TLS handshake itself proves the secret, and neither side
sends it. (The client's certificate is not the root itself: verifiers take a self-signed one only when it is
byte for byte the one they know, and two independent signatures differ.)
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewright_contract import certificates
from edgewright_contract.errors import EdgewrightError, ErrorCode

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

FINGERPRINT_BYTES, SECRET_BYTES = 10, 11
CODE_CHARACTERS = 36
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CONFUSED = {"O": "0", "I": "1", "L": "1"}
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class PairingCode:
    """What a code says: the front of the agent certificate's fingerprint (hexadecimal) and the secret."""

    fingerprint_prefix: str
    secret: bytes

    def matches(self, cert_pem: bytes) -> bool:
        """Whether this is the certificate of the agent that printed the code."""
        return certificates.fingerprint(cert_pem).startswith(self.fingerprint_prefix)


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def _crc8(data: bytes) -> int:
    """CRC-8 with polynomial x^8 + x^2 + x + 1: finds every single wrong character."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = ((value << 1) ^ 0x07) & 0xFF if value & 0x80 else value << 1
    return value


def encode(cert_fingerprint: str, secret: bytes) -> str:
    """The code as people see it: nine groups of four."""
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a secret has {SECRET_BYTES} bytes, not {len(secret)}")
    body = bytes.fromhex(cert_fingerprint)[:FINGERPRINT_BYTES] + secret
    payload = body + bytes([_crc8(body)])
    spare_bits = CODE_CHARACTERS * 5 - len(payload) * 8
    number = int.from_bytes(payload, "big") << spare_bits
    text = "".join(ALPHABET[(number >> shift) & 31] for shift in range((CODE_CHARACTERS - 1) * 5, -1, -5))
    return "-".join(text[i : i + 4] for i in range(0, CODE_CHARACTERS, 4))


def _refuse(reason: str) -> EdgewrightError:
    return EdgewrightError(
        ErrorCode.PAIRING_CODE_INVALID,
        f"this is not a pairing code: {reason}",
        "copy the code again, or print a new one with `edgewright-agent pair` on the device",
    )


def parse(text: str) -> PairingCode:
    """Read a code as a person typed it: any case, spaces and dashes anywhere, O for 0, I or L for 1.

    Raises PAIRING_CODE_INVALID, saying what is wrong: a character, the length, or the checksum.
    """
    symbols = []
    for character in text:
        if character.isspace() or character in "-\u2010\u2011\u2012\u2013\u2014_":
            continue
        symbol = character.upper() if character.isascii() else character
        symbol = _CONFUSED.get(symbol, symbol)
        if symbol not in ALPHABET:
            raise _refuse(f"it has the character {character!r}; allowed are digits and letters but U")
        symbols.append(symbol)
    if len(symbols) != CODE_CHARACTERS:
        raise _refuse(f"it has {len(symbols)} characters, a code has {CODE_CHARACTERS}")
    number = 0
    for symbol in symbols:
        number = number * 32 + ALPHABET.index(symbol)
    size = FINGERPRINT_BYTES + SECRET_BYTES + 1
    spare_bits = CODE_CHARACTERS * 5 - size * 8
    payload = (number >> spare_bits).to_bytes(size, "big")
    if number & ((1 << spare_bits) - 1) or _crc8(payload[:-1]) != payload[-1]:
        raise _refuse("its checksum does not fit, a character is wrong or two are swapped")
    return PairingCode(payload[:FINGERPRINT_BYTES].hex(), payload[FINGERPRINT_BYTES:-1])


def _derive(secret: bytes) -> tuple[ec.EllipticCurvePrivateKey, x509.Name, x509.Name]:
    """The key of a secret, the name of its root and the name of its client."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    # 48 bytes reduced modulo the order: the bias is below 2^-128 (FIPS 186-5, A.2.1).
    material = HKDF(hashes.SHA256(), 48, b"edgewright pairing", b"client key").derive(secret)
    number = int.from_bytes(material, "big") % (_P256_ORDER - 1) + 1
    key = ec.derive_private_key(number, ec.SECP256R1())
    root_name = certificates.distinguished_name("edgewright pairing root", key)
    return key, root_name, certificates.distinguished_name("edgewright pairing", key)


def pairing_identity(secret: bytes) -> tuple[bytes, bytes]:
    """(key PEM, certificate PEM) with which the controller shows that it knows the secret."""
    key, root_name, name = _derive(secret)
    leaf = certificates.sign(name, key, root_name, key, is_root=False)
    return certificates.private_key_pem(key), certificates.certificate_pem(leaf)


def pairing_root(secret: bytes) -> bytes:
    """The certificate (PEM) the agent trusts while its window is open; it has the key of pairing_identity."""
    key, root_name, _ = _derive(secret)
    root = certificates.sign(root_name, key, root_name, key, is_root=True)
    return certificates.certificate_pem(root)
