"""Pushing artifacts to a real agent: cut, damaged, lied about, at once, and without room."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from edgewright_contract import agent_pb2 as pb
from edgewright_contract import transfer
from edgewright_contract.errors import EdgewrightError
from tests.agent.harness import Client, Identity, RunningAgent, agent, call, client, expect, pair_with

CHUNK = transfer.CHUNK_BYTES
Paired = tuple[RunningAgent, Client]


def fresh(size: int) -> tuple[bytes, str]:
    data = os.urandom(size)
    return data, transfer.sha256_of_bytes(data)


def files_of(running: RunningAgent) -> list[str]:
    return sorted(path.name for path in (running.state / "artifacts").rglob("*") if path.is_file())


def push_fails(paired: Client, *arguments: object, **options: object) -> EdgewrightError:
    with pytest.raises(EdgewrightError) as caught:
        paired.push_bytes(*arguments, **options)
    return caught.value


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_pushed_bytes_come_back(paired: Paired, size: int) -> None:
    """What was pushed is complete, and is fetched again from any offset."""
    data, sha256 = fresh(size)

    assert paired[1].push_bytes(data) == size

    state = paired[1].query(sha256)
    assert (state.complete, state.received_bytes) == (True, size)
    assert paired[1].fetch(sha256) == data
    assert paired[1].fetch(sha256, size // 2) == data[size // 2 :]


def test_pushing_again_sends_nothing_needed(paired: Paired) -> None:
    """An artifact that is there is answered at once, whatever the offset."""
    data, sha256 = fresh(2 * CHUNK)
    paired[1].push_bytes(data)

    assert paired[1].push_bytes(b"", sha256, len(data), offset=0) == len(data)


def test_resume_after_cuts_at_random_offsets(paired: Paired) -> None:
    """A push cut anywhere, again and again, is resumed where it was and ends right."""
    generator = random.Random(2026)
    for _ in range(6):
        data, sha256 = fresh(generator.randrange(1, 4 * CHUNK))
        cuts = sorted(generator.randrange(0, len(data) + 1) for _ in range(4))
        for cut in cuts:
            offset = paired[1].query(sha256).received_bytes
            if cut < len(data):
                error = push_fails(paired[1], data, offset=offset, end=max(cut, offset))
                expect("artifact_offset", error)
                assert str(max(cut, offset)) in error.message
                assert paired[1].query(sha256).received_bytes == max(cut, offset)
        paired[1].push_bytes(data, offset=paired[1].query(sha256).received_bytes)
        assert paired[1].fetch(sha256) == data


def test_wrong_offset_names_the_right_one(paired: Paired) -> None:
    """A push that starts elsewhere than the device stands is told where to start; nothing is lost."""
    data, sha256 = fresh(3 * CHUNK)
    push_fails(paired[1], data, end=CHUNK + 5)

    for offset in (0, CHUNK, CHUNK + 6, len(data)):
        error = push_fails(paired[1], data, offset=offset)
        expect("artifact_offset", error)
        assert f"{CHUNK + 5} bytes" in error.message

    assert paired[1].push_bytes(data, offset=CHUNK + 5) == len(data)
    assert paired[1].query(sha256).complete


def test_client_that_breaks_off_can_resume(paired: Paired) -> None:
    """A call cancelled in the middle keeps what came, and the same controller goes on at once."""
    data, sha256 = fresh(8 * CHUNK)
    sent = threading.Event()

    def messages() -> object:
        yield pb.PushArtifactRequest(header=pb.PushHeader(sha256=sha256, size_bytes=len(data)))
        yield pb.PushArtifactRequest(data=data[:CHUNK])
        sent.set()
        time.sleep(30)

    future = paired[1].stub.PushArtifact.future(messages(), timeout=60)
    assert sent.wait(10)
    while paired[1].query(sha256).received_bytes < CHUNK:
        time.sleep(0.01)
    future.cancel()

    begin = time.monotonic()
    assert paired[1].push_bytes(data, offset=CHUNK) == len(data)
    assert time.monotonic() - begin < 2


def test_corrupt_bytes_are_dropped(paired: Paired) -> None:
    """One wrong bit anywhere: ARTIFACT_CORRUPT, nothing kept, and a clean push works afterwards."""
    data, sha256 = fresh(2 * CHUNK + 9)
    wrong = bytearray(data)
    wrong[CHUNK] ^= 1

    expect("artifact_corrupt", push_fails(paired[1], bytes(wrong), sha256))

    assert paired[1].query(sha256).received_bytes == 0
    assert not any(sha256 in name for name in files_of(paired[0]))
    assert paired[1].push_bytes(data) == len(data)


def test_too_many_bytes_are_dropped(paired: Paired) -> None:
    """More than was declared is ARTIFACT_CORRUPT, even where the front would be right."""
    data, _ = fresh(CHUNK)
    sha256 = transfer.sha256_of_bytes(data[:-1])

    expect("artifact_corrupt", push_fails(paired[1], data, sha256, CHUNK - 1))

    assert not any(sha256 in name for name in files_of(paired[0]))


@pytest.mark.parametrize(
    ("sha256", "size"),
    [("0" * 63, 1), ("../../../../etc/passwd", 1), ("A" * 64, 1), ("0" * 64, 0), ("0" * 64, 2**63)],
)
def test_bad_headers_are_refused(paired: Paired, sha256: str, size: int) -> None:
    """A name that is no sha256, or a size out of bounds, does not touch the disk."""
    before = files_of(paired[0])

    expect("request_invalid", push_fails(paired[1], b"x", sha256, size))

    assert files_of(paired[0]) == before


@pytest.mark.parametrize("case", ["no header", "two headers", "nothing"])
def test_a_push_has_one_header_first(paired: Paired, case: str) -> None:
    """Messages in another order than the contract's are refused."""
    header = pb.PushArtifactRequest(header=pb.PushHeader(sha256="0" * 64, size_bytes=10))
    data = pb.PushArtifactRequest(data=b"12345")
    messages = {"no header": [data, data], "two headers": [header, data, header], "nothing": []}[case]

    with pytest.raises(EdgewrightError) as caught:
        call(paired[1].stub.PushArtifact, iter(messages))

    expect("request_invalid", caught.value)


def test_oversized_message_is_refused(paired: Paired) -> None:
    """A message beyond 8 MiB is refused by the transport; the agent does not keep it, and lives on."""
    _, sha256 = fresh(100)
    header = pb.PushArtifactRequest(header=pb.PushHeader(sha256=sha256, size_bytes=2**24))
    huge = pb.PushArtifactRequest(data=b"x" * (9 * 2**20))

    with pytest.raises(EdgewrightError) as caught:
        call(paired[1].stub.PushArtifact, iter([header, huge]))

    expect("device_busy", caught.value)
    assert paired[1].query(sha256).received_bytes == 0


def test_unknown_artifacts_are_said(paired: Paired) -> None:
    """Fetching what is not there is ARTIFACT_UNKNOWN; removing it removes nothing."""
    with pytest.raises(EdgewrightError) as caught:
        paired[1].fetch("1" * 64)

    expect("artifact_unknown", caught.value)
    assert not call(paired[1].stub.RemoveArtifact, pb.RemoveArtifactRequest(sha256="1" * 64)).removed


def test_removed_artifact_is_gone(paired: Paired) -> None:
    """Removing frees the file and the name."""
    data, sha256 = fresh(1000)
    paired[1].push_bytes(data)

    assert call(paired[1].stub.RemoveArtifact, pb.RemoveArtifactRequest(sha256=sha256)).removed
    assert not paired[1].query(sha256).complete
    assert sha256 not in files_of(paired[0])


def test_damage_on_the_disk_is_found(paired: Paired) -> None:
    """A stored file that changed is not handed out but removed, and can be pushed again."""
    data, sha256 = fresh(5000)
    paired[1].push_bytes(data)
    path = next((paired[0].state / "artifacts").rglob(sha256))
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    with pytest.raises(EdgewrightError) as caught:
        paired[1].fetch(sha256)

    expect("artifact_corrupt", caught.value)
    assert paired[1].push_bytes(data) == len(data)
    assert paired[1].fetch(sha256) == data


def test_two_controllers_push_one_artifact_at_once(paired: Paired, me: Identity, stranger: Identity) -> None:
    """Both end with success (one of them perhaps after resuming), and the bytes are right."""
    running = paired[0]
    pair_with(running, running.pairing_code(), stranger, "second")
    data, sha256 = fresh(12 * CHUNK)

    def persistent(identity: Identity) -> int:
        with client(running, identity) as own:
            for _ in range(20):
                state = own.query(sha256)
                if state.complete:
                    return len(data)
                with contextlib.suppress(EdgewrightError):
                    return own.push_bytes(data, offset=state.received_bytes)
        raise AssertionError("never got through")

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(persistent, [me, stranger])) == [len(data)] * 2
    assert paired[1].fetch(sha256) == data


def test_one_controller_pushes_one_artifact_twice_at_once(paired: Paired) -> None:
    """The later call takes over; whatever the earlier one is told, the artifact comes out right."""
    data, sha256 = fresh(12 * CHUNK)

    def once(_: int) -> str:
        try:
            paired[1].push_bytes(data, offset=paired[1].query(sha256).received_bytes)
        except EdgewrightError as error:
            return error.code.value
        return "done"

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(once, range(8)))

    assert set(results) <= {"done", "cancelled", "artifact_offset"}
    state = paired[1].query(sha256)
    if not state.complete:
        paired[1].push_bytes(data, offset=state.received_bytes)
    assert paired[1].fetch(sha256) == data


def test_quota_is_kept(state: Path, me: Identity) -> None:
    """What does not fit is refused before a byte is stored; what nobody uses makes room, oldest first."""
    with agent(state, "--quota-bytes", "3000000") as running:
        pair_with(running, running.pairing_code(), me)
        with client(running, me) as paired:
            first, second = fresh(1_200_000), fresh(1_200_000)
            paired.push_bytes(first[0])
            time.sleep(0.02)
            paired.push_bytes(second[0])

            too_big = fresh(3_000_001)
            expect("disk_full", push_fails(paired, too_big[0]))
            assert paired.query(too_big[1]).received_bytes == 0
            assert paired.query(first[1]).complete, "a refused push must not remove anything"

            third = fresh(1_200_000)
            paired.push_bytes(third[0])
            kept = [paired.query(sha256).complete for _, sha256 in (first, second, third)]
            assert kept == [False, True, True]


def test_kill_in_the_middle_of_a_push(state: Path, me: Identity) -> None:
    """After kill -9 the agent comes back with what had arrived, and the push goes on from there."""
    data, sha256 = fresh(20 * CHUNK)
    with agent(state) as first:
        pair_with(first, first.pairing_code(), me)
        with client(first, me) as paired:

            def slowly() -> object:
                yield pb.PushArtifactRequest(header=pb.PushHeader(sha256=sha256, size_bytes=len(data)))
                for begin in range(0, len(data), CHUNK):
                    yield pb.PushArtifactRequest(data=data[begin : begin + CHUNK])
                    time.sleep(0.02)

            future = paired.stub.PushArtifact.future(slowly(), timeout=30)
            while paired.query(sha256).received_bytes < 5 * CHUNK:
                time.sleep(0.005)
            first.kill()
            with pytest.raises(grpc.RpcError):
                future.result()

    with agent(state) as second, client(second, me) as paired:
        held = paired.query(sha256)
        assert not held.complete
        assert 5 * CHUNK <= held.received_bytes < len(data)
        assert held.received_bytes % CHUNK == 0
        assert paired.push_bytes(data, offset=held.received_bytes) == len(data)
        assert paired.fetch(sha256) == data
        assert not list((state / "artifacts" / "parts").iterdir())
