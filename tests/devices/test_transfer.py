"""Files reach an agent whole, once, and through an agent that dies on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgewright.core.values import ProgressEvent, no_progress
from edgewright.devices.address import parse_address
from edgewright.devices.channel import open_secure
from edgewright.devices.client import AgentClient
from edgewright.devices.pairing import pair
from edgewright.devices.transfer import fetch_file, push_file
from edgewright_contract.certificates import create_identity
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.transfer import CHUNK_BYTES, sha256_of_file
from tests.e2e.program import Agent, serving

SIZE = 40 * CHUNK_BYTES + 12345


@dataclass(frozen=True)
class Pairing:
    identity: tuple[bytes, bytes]
    certificate: bytes

    def connect(self, agent: Agent) -> AgentClient:
        address = parse_address(agent.address)
        return AgentClient(lambda: open_secure(address, self.identity, self.certificate), address, self.certificate)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with serving(tmp_path / "state") as running:
        yield running


@pytest.fixture
def pairing(agent: Agent) -> Pairing:
    identity = create_identity("test controller")
    paired = pair(parse_address(agent.address), agent.code(), identity, "test")
    return Pairing(identity, paired.certificate_pem)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "artifact"
    path.write_bytes(np.random.default_rng(1).bytes(SIZE))
    return path


def test_a_file_goes_once_and_comes_back_equal(agent: Agent, pairing: Pairing, file: Path, tmp_path: Path) -> None:
    """The first push sends every byte, the second none; what is fetched is what was sent."""
    sha256 = sha256_of_file(file)
    seen: list[ProgressEvent] = []
    with pairing.connect(agent) as client:
        first = push_file(client, file, sha256, "push", seen.append)
        second = push_file(client, file, sha256, "push", no_progress)
        fetch_file(client, sha256, tmp_path / "back")

    assert (first, second) == (SIZE, 0)
    assert (seen[-1].done, seen[-1].total) == (SIZE, SIZE)
    assert [event.done for event in seen] == sorted(event.done for event in seen)
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


def test_a_push_survives_the_death_of_the_agent(pairing: Pairing, agent: Agent, file: Path) -> None:
    """The agent is killed half way and started again: the push resumes, at most one chunk goes twice."""
    sha256 = sha256_of_file(file)
    with ExitStack() as stack, pairing.connect(agent) as client:
        restarted = threading.Event()

        def restart(_seconds: float) -> None:
            if not restarted.is_set():
                restarted.set()
                stack.enter_context(serving(agent.state, "--port", str(agent.port)))

        def kill_half_way(event: ProgressEvent) -> None:
            if event.done > SIZE // 2 and agent.process.poll() is None:
                agent.kill()

        sent = push_file(client, file, sha256, "push", kill_half_way, restart)
        state = client.query_artifact(sha256)

    assert restarted.is_set()
    assert state.complete
    # What was handed to the transport and not yet on the agent's disk when it died is sent again.
    assert SIZE <= sent < 1.5 * SIZE


def test_a_wrong_hash_is_refused(agent: Agent, pairing: Pairing, file: Path) -> None:
    """Bytes that do not match their name never become an artifact."""
    wrong = "0" * 64
    with pairing.connect(agent) as client:
        with pytest.raises(EdgewrightError) as caught:
            push_file(client, file, wrong, "push", no_progress, lambda _: None)

        assert caught.value.code is ErrorCode.ARTIFACT_CORRUPT
        assert not client.query_artifact(wrong).complete


def test_quota_is_refused_before_the_first_byte(tmp_path: Path, file: Path) -> None:
    """An agent without room says DISK_FULL and takes nothing."""
    with serving(tmp_path / "small", "--quota-bytes", str(SIZE // 2)) as agent:
        identity = create_identity("test controller")
        paired = pair(parse_address(agent.address), agent.code(), identity, "test")
        with Pairing(identity, paired.certificate_pem).connect(agent) as client:
            with pytest.raises(EdgewrightError) as caught:
                push_file(client, file, sha256_of_file(file), "push", no_progress)

            assert caught.value.code is ErrorCode.DISK_FULL
            assert client.query_artifact(sha256_of_file(file)).received_bytes == 0
