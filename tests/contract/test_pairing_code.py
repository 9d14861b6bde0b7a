"""The one-time code: what a person may do to it, and what both sides derive from it."""

from __future__ import annotations

import ssl
import string
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from edgewright_contract import certificates, pairing
from edgewright_contract.errors import EdgewrightError, ErrorCode

FINGERPRINTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
SECRETS = st.binary(min_size=pairing.SECRET_BYTES, max_size=pairing.SECRET_BYTES)


def refusal(text: str) -> EdgewrightError:
    with pytest.raises(EdgewrightError) as caught:
        pairing.parse(text)
    assert caught.value.code is ErrorCode.PAIRING_CODE_INVALID
    return caught.value


@given(FINGERPRINTS, SECRETS)
def test_code_round_trip(fingerprint: str, secret: bytes) -> None:
    """A code gives back the secret and the front of the fingerprint."""
    code = pairing.parse(pairing.encode(fingerprint, secret))

    assert code == pairing.PairingCode(fingerprint[:20], secret)


@given(FINGERPRINTS, SECRETS, st.randoms(use_true_random=False))
def test_code_is_read_as_people_type(fingerprint: str, secret: bytes, random: Random) -> None:
    """Case, spaces, dashes, O for 0 and I or L for 1 change nothing."""
    text = pairing.encode(fingerprint, secret)
    typed = "".join(
        random.choice({"0": "0Oo", "1": "1IiLl", "-": ["", " ", "-", " - ", "\n", "\u2013"]}.get(c, c + c.lower()))
        for c in text
    )

    assert pairing.parse(typed) == pairing.parse(text)


@given(FINGERPRINTS, SECRETS, st.integers(0, 35), st.sampled_from(pairing.ALPHABET))
def test_one_wrong_character_is_always_found(fingerprint: str, secret: bytes, place: int, symbol: str) -> None:
    """CRC-8 finds every error of up to eight neighbouring bits, so every single wrong character."""
    text = pairing.encode(fingerprint, secret).replace("-", "")
    wrong = text[:place] + symbol + text[place + 1 :]

    if wrong == text:
        assert pairing.parse(wrong) == pairing.parse(text)
    else:
        assert "checksum" in refusal(wrong).message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "0 characters"),
        ("ABCD-EFGH", "8 characters"),
        ("0" * 37, "37 characters"),
        ("U" * 36, "'U'"),
        ("ABCD-EFG!", "'!'"),
        ("ÄBCD", "'Ä'"),
        ("0" * 35 + "1", "checksum"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    """A refusal names the character, the length or the checksum."""
    assert says in refusal(text).message


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the reader fail in another way than its own."""
    code = ErrorCode.PAIRING_CODE_INVALID
    try:
        pairing.parse(text)
    except EdgewrightError as error:
        code = error.code
    assert code is ErrorCode.PAIRING_CODE_INVALID


def test_alphabet_is_crockfords() -> None:
    """Digits and letters without I, L, O and U."""
    assert "".join(c for c in string.digits + string.ascii_uppercase if c not in "ILOU") == pairing.ALPHABET


def test_matches_only_the_agent_that_made_it() -> None:
    """A code belongs to one certificate."""
    _, mine = certificates.create_identity("a")
    _, other = certificates.create_identity("a")
    code = pairing.parse(pairing.encode(certificates.fingerprint(mine), pairing.new_secret()))

    assert code.matches(mine)
    assert not code.matches(other)


def test_both_sides_derive_one_key() -> None:
    """The controller's certificate has the public key of the root the agent trusts, and is signed by it."""
    secret = pairing.new_secret()
    root = x509.load_pem_x509_certificate(pairing.pairing_root(secret))
    leaf = x509.load_pem_x509_certificate(pairing.pairing_identity(secret)[1])

    leaf.verify_directly_issued_by(root)
    assert leaf.public_key() == root.public_key()
    assert leaf.subject != leaf.issuer


@pytest.mark.parametrize("right_secret", [True, False])
def test_openssl_accepts_the_secret_and_nothing_else(right_secret: bool, tmp_path: Path) -> None:
    """A TLS server that trusts the root lets in who knows the secret (Python's ssl as the judge)."""
    secret = pairing.new_secret()
    client_secret = secret if right_secret else pairing.new_secret()
    server_key, server_cert = certificates.create_identity("agent")
    for name, data in {"sk": server_key, "sc": server_cert, "root": pairing.pairing_root(secret)}.items():
        (tmp_path / name).write_bytes(data)
    for name, data in zip(("ck", "cc"), pairing.pairing_identity(client_secret), strict=True):
        (tmp_path / name).write_bytes(data)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "sc", tmp_path / "sk")
    server.load_verify_locations(tmp_path / "root")
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=str(tmp_path / "sc"))
    client.load_cert_chain(tmp_path / "cc", tmp_path / "ck")

    assert _handshake(server, client) is right_secret


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    """Whether both ends finish, over memory buffers."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname=certificates.TLS_NAME),
    ]
    done = [False, False]
    for _ in range(10):
        for i, end in enumerate(ends):
            try:
                if not done[i]:
                    end.do_handshake()
                    done[i] = True
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return all(done)


def test_secrets_differ() -> None:
    """Every code is a new one."""
    assert len({pairing.new_secret() for _ in range(100)}) == 100
