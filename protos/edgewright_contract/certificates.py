"""Keys and self-signed certificates: made, stored, named by fingerprint.

A certificate is trusted because its exact bytes are pinned, so it is valid from 1970 (a board without a clock
battery starts there) to 9999, and a clock that jumps never locks anybody out. `cryptography` is imported only
where keys are made: it would double what an idle agent needs.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.files import write_atomic

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

# Every certificate carries this DNS name; clients set `grpc.ssl_target_name_override` to it.
TLS_NAME = "edgewright"
KEY_FILE, CERTIFICATE_FILE = "key.pem", "cert.pem"

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def create_identity(common_name: str) -> tuple[bytes, bytes]:
    """A new EC P-256 key and its self-signed certificate, both PEM."""
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = distinguished_name(common_name, key)
    return private_key_pem(key), certificate_pem(sign(name, key, name, key, is_root=True))


def distinguished_name(common_name: str, key: ec.EllipticCurvePrivateKey) -> x509.Name:
    """A subject that no other key has: verifiers look certificates up by subject."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509.oid import NameOID

    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, hashlib.sha256(public).hexdigest()[:32]),
        ]
    )


def sign(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    is_root: bool,
) -> x509.Certificate:
    """A certificate for `key`'s public half, signed by `issuer_key`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(1970, 1, 1))
        .not_valid_after(datetime.datetime(9999, 12, 31, 23, 59, 59))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(TLS_NAME)]), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def der_of(cert_pem: bytes) -> bytes:
    """The DER bytes of the first certificate of a PEM text; CERTIFICATE_MISMATCH where there is none."""
    text = cert_pem.decode("ascii", "replace")
    begin, end = text.find(_BEGIN), text.find(_END)
    body = "".join(text[begin + len(_BEGIN) : end].split()) if 0 <= begin < end else ""
    try:
        der = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        der = b""
    if not der:
        raise EdgewrightError(ErrorCode.CERTIFICATE_MISMATCH, "this is not a certificate in PEM form")
    return der


def fingerprint(cert_pem: bytes) -> str:
    """The sha256 of the certificate's DER bytes, in lower-case hexadecimal."""
    return hashlib.sha256(der_of(cert_pem)).hexdigest()


def canonical_certificate(cert_pem: bytes) -> bytes:
    """Parse strictly and write again: EC P-256, signed by its own key; else CERTIFICATE_MISMATCH."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec

    reason = "it is not a certificate in PEM form"
    try:
        certificate = x509.load_pem_x509_certificate(cert_pem)
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            reason = "its key is not of the kind EC P-256"
        elif certificate.subject != certificate.issuer or certificate.signature_hash_algorithm is None:
            reason = "it is not self-signed"
        else:
            reason = "it is not signed by its own key"
            algorithm = ec.ECDSA(certificate.signature_hash_algorithm)
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, algorithm)
            return certificate_pem(certificate)
    except (ValueError, InvalidSignature) as error:
        raise EdgewrightError(ErrorCode.CERTIFICATE_MISMATCH, f"certificate refused: {reason}") from error
    raise EdgewrightError(ErrorCode.CERTIFICATE_MISMATCH, f"certificate refused: {reason}")


def _element(der: bytes, offset: int) -> tuple[int, int, int]:
    """Tag, start of content and end of the DER element at `offset`."""
    tag, length, start = der[offset], der[offset + 1], offset + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(der[start : start + count], "big"), start + count
    return tag, start, start + length


def public_key_der(cert_pem: bytes) -> bytes:
    """SubjectPublicKeyInfo of a certificate, by walking the DER (RFC 5280, 4.1), without `cryptography`."""
    der = der_of(cert_pem)
    try:
        _, offset, _ = _element(der, _element(der, 0)[1])  # into Certificate, into TBSCertificate
        if der[offset] == 0xA0:  # [0] version
            offset = _element(der, offset)[2]
        for _ in ("serialNumber", "signature", "issuer", "validity", "subject"):
            offset = _element(der, offset)[2]
        end = _element(der, offset)[2]
    except IndexError as error:
        raise EdgewrightError(ErrorCode.CERTIFICATE_MISMATCH, "the certificate is cut short") from error
    return der[offset:end]


def load(folder: Path) -> tuple[bytes, bytes] | None:
    """The stored (key PEM, certificate PEM), or None where there is none yet."""
    key, certificate = folder / KEY_FILE, folder / CERTIFICATE_FILE
    if not (key.is_file() and certificate.is_file()):
        return None
    return key.read_bytes(), certificate.read_bytes()


def load_or_create(folder: Path, common_name: str = TLS_NAME) -> tuple[bytes, bytes]:
    """The identity stored in `folder` as key.pem (0600) and cert.pem, made at the first call."""
    stored = load(folder)
    if stored is not None:
        return stored
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key_pem, cert_pem = create_identity(common_name)
    # The certificate comes last: an identity without it does not count, and is made anew.
    write_atomic(folder / KEY_FILE, key_pem)
    write_atomic(folder / CERTIFICATE_FILE, cert_pem)
    return key_pem, cert_pem


def fetch_server_certificate(host: str, port: int, timeout_s: float = 5.0) -> bytes:
    """The certificate (PEM) a TLS server presents, trusted or not: the caller compares its fingerprint.

    Works where the server demands a client certificate: TLS 1.3 shows the server's before it asks for ours.
    Raises DEVICE_UNREACHABLE, DEVICE_TIMEOUT, or PROTOCOL_MISMATCH where something else than TLS answers.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    where = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout_s) as raw, context.wrap_socket(raw) as tls:
            der = tls.getpeercert(binary_form=True)
    except socket.timeout as error:
        raise EdgewrightError(ErrorCode.DEVICE_TIMEOUT, f"{where} did not answer within {timeout_s:g} s") from error
    except ssl.SSLError as error:
        raise EdgewrightError(
            ErrorCode.PROTOCOL_MISMATCH,
            f"{where} answers, but not with TLS",
            "check the port; an agent started with --insecure needs no code",
        ) from error
    except OSError as error:
        raise EdgewrightError(
            ErrorCode.DEVICE_UNREACHABLE,
            f"no connection to {where}: {error.strerror or error}",
            "check the address, and that `edgewright-agent serve` runs there",
        ) from error
    if not der:
        raise EdgewrightError(ErrorCode.PROTOCOL_MISMATCH, f"{where} shows no certificate")
    return ssl.DER_cert_to_PEM_cert(der).encode("ascii")
