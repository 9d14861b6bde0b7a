"""Who gets in, and who does not: real handshakes with a real agent."""

from __future__ import annotations

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from edgewright_contract import agent_pb2 as pb
from edgewright_contract import agent_pb2_grpc as rpc
from edgewright_contract import certificates, pairing
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.agent.harness import (
    Identity,
    RunningAgent,
    agent,
    call,
    channel,
    client,
    expect,
    pair_with,
    run_agent,
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> RunningAgent:
    with agent(tmp_path_factory.mktemp("pairing") / "state") as started:
        yield started


def refused(running: RunningAgent, identity: Identity | None) -> EdgewrightError:
    with channel(running.port, identity, running.certificate()) as opened:
        with pytest.raises(EdgewrightError) as caught:
            call(rpc.AgentStub(opened).Describe, pb.DescribeRequest())
        return caught.value


def test_first_start_prints_a_code_that_pairs(running: RunningAgent, me: Identity) -> None:
    """The code of the first start lets a controller in, and from then on it may call everything."""
    answer = pair_with(running, running.printed_code(), me, "desk-1")

    with client(running, me) as paired:
        facts = paired.describe()
    assert answer.agent_version == facts.agent_version
    assert facts.cores >= 1
    listed = json.loads(run_agent("controllers", "list", "--state", str(running.state), "--json").stdout)
    ours = certificates.fingerprint(me[1])
    assert [(one["name"], one["fingerprint"]) for one in listed["controllers"]] == [("desk-1", ours)]


def test_code_is_good_once(running: RunningAgent, me: Identity, stranger: Identity) -> None:
    """After one controller has paired with it, a code opens nothing."""
    code = running.pairing_code()
    pair_with(running, code, me)

    with pytest.raises(EdgewrightError) as caught:
        pair_with(running, code, stranger)

    expect("device_unreachable", caught.value)  # TLS refuses; a peer without a key is told nothing
    expect("device_unreachable", refused(running, stranger))


def test_open_connection_of_a_used_code_is_worth_nothing(
    running: RunningAgent, me: Identity, stranger: Identity
) -> None:
    """Two controllers in the handshake with one code: the second is refused by name of the reason."""
    code = pairing.parse(running.pairing_code())
    with channel(running.port, pairing.pairing_identity(code.secret), running.certificate()) as opened:
        stub = rpc.PairingStub(opened)
        call(stub.Pair, pb.PairRequest(controller_name="one", controller_certificate=me[1]))

        with pytest.raises(EdgewrightError) as caught:
            call(stub.Pair, pb.PairRequest(controller_name="two", controller_certificate=stranger[1]))

    expect("device_not_paired", caught.value)


def test_two_at_once_with_one_code(running: RunningAgent, me: Identity, stranger: Identity) -> None:
    """Of two calls at the same instant exactly one pairs."""
    code = pairing.parse(running.pairing_code())
    with channel(running.port, pairing.pairing_identity(code.secret), running.certificate()) as opened:
        stub = rpc.PairingStub(opened)

        def attempt(identity: Identity) -> str:
            try:
                call(stub.Pair, pb.PairRequest(controller_name="x", controller_certificate=identity[1]))
            except EdgewrightError as error:
                return error.code.value
            return "paired"

        with ThreadPoolExecutor(2) as pool:
            results = sorted(pool.map(attempt, [me, stranger]))

    assert results == ["device_not_paired", "paired"]
    run_agent("controllers", "revoke", certificates.fingerprint(stranger[1]), "--state", str(running.state))


def test_new_code_replaces_the_old(running: RunningAgent, stranger: Identity) -> None:
    """Only the latest code counts."""
    old = running.pairing_code()
    running.pairing_code()

    with pytest.raises(EdgewrightError):
        pair_with(running, old, stranger)


def test_guessed_secret_is_refused(running: RunningAgent, stranger: Identity) -> None:
    """The right fingerprint with a wrong secret ends in the handshake."""
    running.pairing_code()
    guessed = pairing.encode(certificates.fingerprint(running.certificate()), pairing.new_secret())

    with pytest.raises(EdgewrightError) as caught:
        pair_with(running, guessed, stranger)

    expect("device_unreachable", caught.value)


def test_code_expires(running: RunningAgent, stranger: Identity) -> None:
    """Past its time a code opens nothing."""
    code = running.pairing_code("--minutes", "0.005")
    time.sleep(0.4)

    with pytest.raises(EdgewrightError):
        pair_with(running, code, stranger)


def test_pairing_certificate_may_only_pair(running: RunningAgent) -> None:
    """Who has the code may pair, and do nothing else with it."""
    code = pairing.parse(running.pairing_code())

    expect("permission_denied", refused(running, pairing.pairing_identity(code.secret)))


def test_paired_controller_may_not_pair_others(running: RunningAgent, me: Identity, stranger: Identity) -> None:
    """A controller's certificate does not stand for a code, even while a window is open."""
    pair_with(running, running.pairing_code(), me)
    running.pairing_code()
    with channel(running.port, me, running.certificate()) as opened, pytest.raises(EdgewrightError) as caught:
        call(
            rpc.PairingStub(opened).Pair,
            pb.PairRequest(controller_name="x", controller_certificate=stranger[1]),
        )

    expect("permission_denied", caught.value)


def test_certificate_signed_by_a_controller_is_nobody(running: RunningAgent, me: Identity, stranger: Identity) -> None:
    """A paired controller cannot hand its trust on by signing another certificate."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509 import load_pem_x509_certificate

    pair_with(running, running.pairing_code(), me)
    issuer_key = serialization.load_pem_private_key(me[0], None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    issuer = load_pem_x509_certificate(me[1]).subject
    key = ec.generate_private_key(ec.SECP256R1())
    name = certificates.distinguished_name("child", key)
    child = certificates.sign(name, key, issuer, issuer_key, is_root=False)
    identity = (certificates.private_key_pem(key), certificates.certificate_pem(child))

    expect("device_not_paired", refused(running, identity))


@pytest.mark.parametrize("shows_certificate", [True, False])
def test_strangers_get_nothing(running: RunningAgent, stranger: Identity, shows_certificate: bool) -> None:
    """A foreign certificate, or none, does not get past the handshake."""
    error = refused(running, stranger if shows_certificate else None)

    expect("device_unreachable", error)


def test_plain_text_gets_nothing(running: RunningAgent) -> None:
    """A client without TLS is not served."""
    with grpc.insecure_channel(f"127.0.0.1:{running.port}") as opened, pytest.raises(EdgewrightError) as caught:
        call(rpc.AgentStub(opened).Describe, pb.DescribeRequest(), timeout_s=5.0)

    assert caught.value.code in (ErrorCode.DEVICE_UNREACHABLE, ErrorCode.DEVICE_TIMEOUT)


def test_garbage_on_the_port_does_no_harm(running: RunningAgent) -> None:
    """Bytes that are no TLS, and connections that end in the middle, leave the agent answering."""
    for garbage in (b"", b"\0" * 5000, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff", os.urandom(3000)):
        with socket.create_connection(("127.0.0.1", running.port), 5) as connection:
            connection.sendall(garbage)

    assert running.certificate()


def test_impostor_is_recognised(running: RunningAgent, me: Identity, tmp_path: Path) -> None:
    """A controller that pinned one agent does not talk to another one at its address."""
    pair_with(running, running.pairing_code(), me)
    _, pinned = certificates.create_identity("the real agent")

    with channel(running.port, me, pinned) as opened, pytest.raises(EdgewrightError) as caught:
        call(rpc.AgentStub(opened).Describe, pb.DescribeRequest())

    expect("device_unreachable", caught.value)


@pytest.mark.parametrize("by", ["itself", "the command line"])
def test_revoked_controller_is_out_at_once(running: RunningAgent, me: Identity, by: str) -> None:
    """A revoked controller's open connection is refused from the next call on, its new ones by the handshake."""
    pair_with(running, running.pairing_code(), me)
    ours = certificates.fingerprint(me[1])
    with client(running, me) as paired:
        paired.describe()
        if by == "itself":
            answer = call(paired.stub.RevokeController, pb.RevokeControllerRequest(fingerprint=ours))
            assert answer.revoked
        else:
            done = run_agent("controllers", "revoke", ours[:8], "--state", str(running.state))
            assert done.returncode == 0, done.stderr

        with pytest.raises(EdgewrightError) as caught:
            paired.describe()

    expect("device_not_paired", caught.value)
    expect("device_unreachable", refused(running, me))


@pytest.mark.parametrize(
    ("name", "certificate", "code"),
    [
        ("../x", b"", "request_invalid"),
        ("x", b"x" * 10_000, "request_invalid"),
        ("x", b"nothing", "certificate_mismatch"),
        ("x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate_mismatch"),
    ],
)
def test_bad_pair_request_pins_nothing(
    running: RunningAgent, me: Identity, name: str, certificate: bytes, code: str
) -> None:
    """What is not a certificate of ours is refused, and the code stays good for a proper request."""
    parsed = pairing.parse(running.pairing_code())
    with channel(running.port, pairing.pairing_identity(parsed.secret), running.certificate()) as opened:
        stub = rpc.PairingStub(opened)
        with pytest.raises(EdgewrightError) as caught:
            call(stub.Pair, pb.PairRequest(controller_name=name, controller_certificate=certificate))
        call(stub.Pair, pb.PairRequest(controller_name="good", controller_certificate=me[1]))

    expect(code, caught.value)


def test_window_closes_after_five_bad_requests(running: RunningAgent, me: Identity) -> None:
    """Somebody who has the code and sends rubbish has so many attempts."""
    parsed = pairing.parse(running.pairing_code())
    with channel(running.port, pairing.pairing_identity(parsed.secret), running.certificate()) as opened:
        stub = rpc.PairingStub(opened)
        codes = []
        for certificate in [b"rubbish"] * 5 + [me[1]]:
            with pytest.raises(EdgewrightError) as caught:
                call(stub.Pair, pb.PairRequest(controller_name="x", controller_certificate=certificate))
            codes.append(caught.value.code.value)

    assert codes == ["certificate_mismatch"] * 5 + ["device_not_paired"]


def test_pairing_survives_a_restart(state: Path, me: Identity) -> None:
    """Both keep what they pinned: the same certificate is shown, the same controller let in, no code printed."""
    with agent(state) as first:
        pair_with(first, first.pairing_code(), me)
        certificate = first.certificate()
        first.kill()

    with agent(state) as second:
        assert second.certificate() == certificate
        assert "--code" not in second.output
        with channel(second.port, me, certificate) as opened:
            call(rpc.AgentStub(opened).Describe, pb.DescribeRequest())


def test_pair_json_says_until_when(running: RunningAgent) -> None:
    """`pair --json` is one document with the code and its end."""
    done = run_agent("pair", "--state", str(running.state), "--json", "--minutes", "2")

    document = json.loads(done.stdout)
    assert set(document) == {"code", "expires_at"}
    pairing.parse(document["code"])
    assert document["expires_at"].endswith("+00:00")


def test_code_stays_used_where_the_agent_was_killed_before_closing(
    state: Path, me: Identity, stranger: Identity
) -> None:
    """Killed between pinning a controller and closing the window: the next start closes it."""
    window = state / "pairing" / "window.json"
    with agent(state) as running:
        code = running.pairing_code()
        before = window.read_bytes()
        pair_with(running, code, me)
        assert not window.exists()
        running.kill()
    window.write_bytes(before)
    with agent(state) as again:
        with pytest.raises(EdgewrightError):
            pair_with(again, code, stranger)
        assert not window.exists()
        with client(again, me) as desk:
            assert desk.describe().cores > 0
