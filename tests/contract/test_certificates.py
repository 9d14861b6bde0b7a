"""Identities: made, stored, named, and found again."""

from __future__ import annotations

import hashlib
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from edgewright_contract import certificates
from edgewright_contract.errors import EdgewrightError, ErrorCode


@pytest.fixture(scope="module")
def identity() -> tuple[bytes, bytes]:
    return certificates.create_identity("bench one")


def test_certificate_says_what_it_should(identity: tuple[bytes, bytes]) -> None:
    """EC P-256, self-signed, a root, named edgewright, and valid whatever the clock says."""
    key = serialization.load_pem_private_key(identity[0], None)
    certificate = x509.load_pem_x509_certificate(identity[1])

    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(certificate)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [certificates.TLS_NAME]
    assert (certificate.not_valid_before_utc.year, certificate.not_valid_after_utc.year) == (1970, 9999)


def test_fingerprint_is_sha256_of_der(identity: tuple[bytes, bytes]) -> None:
    """The fingerprint is what OpenSSL prints with -fingerprint -sha256."""
    der = x509.load_pem_x509_certificate(identity[1]).public_bytes(serialization.Encoding.DER)

    assert certificates.fingerprint(identity[1]) == hashlib.sha256(der).hexdigest()


def test_public_key_is_found_in_der(identity: tuple[bytes, bytes]) -> None:
    """The walk through the DER finds what `cryptography` finds."""
    public = x509.load_pem_x509_certificate(identity[1]).public_key()
    expected = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    assert certificates.public_key_der(identity[1]) == expected


@given(st.data())
def test_cut_or_foreign_certificates_are_refused_in_order(identity: tuple[bytes, bytes], data: st.DataObject) -> None:
    """Whatever bytes come, the answer is bytes or CERTIFICATE_MISMATCH."""
    cut = identity[1][: data.draw(st.integers(0, len(identity[1])))] + data.draw(st.binary(max_size=20))
    for read in (certificates.fingerprint, certificates.public_key_der, certificates.canonical_certificate):
        code = ErrorCode.CERTIFICATE_MISMATCH
        try:
            read(cut)
        except EdgewrightError as error:
            code = error.code
        assert code is ErrorCode.CERTIFICATE_MISMATCH


def test_canonical_form_is_stable(identity: tuple[bytes, bytes]) -> None:
    """Text around a certificate and a second one after it fall away."""
    _, other = certificates.create_identity("other")

    assert certificates.canonical_certificate(identity[1]) == identity[1]
    assert certificates.canonical_certificate(b"hello\n" + identity[1] + other) == identity[1]


def test_only_our_kind_of_certificate_is_canonical(identity: tuple[bytes, bytes]) -> None:
    """Another kind of key, or a certificate signed by somebody else, is refused with the reason."""
    key = serialization.load_pem_private_key(identity[0], None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    mine = x509.load_pem_x509_certificate(identity[1])
    stranger = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(mine.subject)
        .serial_number(1)
        .not_valid_before(mine.not_valid_before_utc)
        .not_valid_after(mine.not_valid_after_utc)
    )
    from cryptography.hazmat.primitives.hashes import SHA256

    other_key = ed25519.Ed25519PrivateKey.generate()
    cases = {
        "P-256": builder.issuer_name(mine.subject).public_key(other_key.public_key()).sign(other_key, None),
        "its own key": builder.issuer_name(mine.subject).public_key(key.public_key()).sign(stranger, SHA256()),
        "self-signed": builder.issuer_name(x509.Name([])).public_key(key.public_key()).sign(stranger, SHA256()),
    }
    for says, certificate in cases.items():
        with pytest.raises(EdgewrightError, match=says) as caught:
            certificates.canonical_certificate(certificates.certificate_pem(certificate))
        assert caught.value.code is ErrorCode.CERTIFICATE_MISMATCH


def test_identity_is_made_once_and_private(tmp_path: Path) -> None:
    """The second call finds the first one's files; the key is for its owner's eyes."""
    folder = tmp_path / "new" / "identity"

    first = certificates.load_or_create(folder)

    assert certificates.load_or_create(folder) == first
    assert stat.S_IMODE((folder / certificates.KEY_FILE).stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == [certificates.CERTIFICATE_FILE, certificates.KEY_FILE]


def test_half_an_identity_does_not_count(tmp_path: Path) -> None:
    """A power cut between the two files leads to a new, whole identity."""
    certificates.load_or_create(tmp_path)
    (tmp_path / certificates.CERTIFICATE_FILE).unlink()

    assert certificates.load(tmp_path) is None
    key, certificate = certificates.load_or_create(tmp_path)
    loaded = serialization.load_pem_private_key(key, None)
    assert loaded.public_key() == x509.load_pem_x509_certificate(certificate).public_key()


def test_import_is_light() -> None:
    """Importing the contract's edges loads neither cryptography nor numpy."""
    code = (
        "import sys; from edgewright_contract import certificates, pairing, transfer, limits, convert;"
        "print([m for m in ('cryptography', 'numpy', 'grpc') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_certificate_of_nobody() -> None:
    """A port where nobody listens is DEVICE_UNREACHABLE."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        with pytest.raises(EdgewrightError) as caught:
            certificates.fetch_server_certificate("127.0.0.1", taken.getsockname()[1], 2.0)

    assert caught.value.code is ErrorCode.DEVICE_UNREACHABLE


def test_certificate_of_something_else() -> None:
    """A server that does not speak TLS is PROTOCOL_MISMATCH."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0-hello\r\n")
                connection.recv(1000)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(EdgewrightError) as caught:
            certificates.fetch_server_certificate("127.0.0.1", server.getsockname()[1], 5.0)
        thread.join()

    assert caught.value.code is ErrorCode.PROTOCOL_MISMATCH


def test_certificate_of_a_silent_server() -> None:
    """A server that accepts and says nothing is DEVICE_TIMEOUT."""
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(EdgewrightError) as caught:
        certificates.fetch_server_certificate("127.0.0.1", server.getsockname()[1], 0.2)

    assert caught.value.code is ErrorCode.DEVICE_TIMEOUT
