"""The store and the receiver alone: every sequence of pushes, and a disk without room."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright_agent.artifacts import RESERVE_BYTES, ArtifactStore
from edgewright_agent.pushes import PushReceiver
from edgewright_contract.errors import EdgewrightError, ErrorCode


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def push(store: ArtifactStore, data: bytes) -> str:
    PushReceiver(store).receive(sha(data), len(data), 0, [data], "me")
    return sha(data)


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(min_size=1, max_size=300),
    steps=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60), st.booleans(), st.booleans()), max_size=8),
)
def test_any_sequence_of_pushes_ends_right(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, steps: list[tuple[int, int, bool, bool]]
) -> None:
    """Cuts, wrong offsets, damage and restarts in any order: never a wrong artifact, always a way to finish."""
    root = tmp_path_factory.mktemp("store")
    store = ArtifactStore(root)
    receiver = PushReceiver(store)
    for cut, piece, damage, restart in steps:
        if restart:
            store = ArtifactStore(root)
            receiver = PushReceiver(store)
        offset = store.query(sha(data)).received_bytes
        body = bytearray(data[offset:cut])
        if damage and body:
            body[-1] ^= 0xFF
        pieces = [bytes(body[i : i + piece]) for i in range(0, len(body), piece)]
        try:
            receiver.receive(sha(data), len(data), offset, pieces, "me")
        except EdgewrightError as error:
            code = error.code
        else:
            code = None
        assert code in (None, ErrorCode.ARTIFACT_OFFSET, ErrorCode.ARTIFACT_CORRUPT)
        if store.query(sha(data)).complete:
            assert store.path(sha(data)).read_bytes() == data
    for _ in range(2):  # what a damaged piece left behind costs one more push
        state = store.query(sha(data))
        if state.complete:
            break
        try:
            receiver.receive(sha(data), len(data), state.received_bytes, [data[state.received_bytes :]], "me")
        except EdgewrightError as error:
            assert error.code is ErrorCode.ARTIFACT_CORRUPT

    assert store.path(sha(data)).read_bytes() == data


def test_used_artifacts_are_never_removed(tmp_path: Path) -> None:
    """Slots and users keep theirs; the least recently used of the others goes first."""
    slots: set[str] = set()
    store = ArtifactStore(tmp_path, quota_bytes=400, slots_use=lambda: frozenset(slots))
    deployed, busy, old, young = (push(store, bytes([i]) * 100) for i in range(4))
    slots.add(deployed)
    for age, one in enumerate((deployed, busy, old, young)):
        path = store.path(one)
        os.utime(path, (1000 + age, 1000 + age))

    with store.using(busy):
        push(store, b"new" * 33)
        assert [store.query(one).complete for one in (deployed, busy, old, young)] == [True, True, False, True]
        with pytest.raises(EdgewrightError) as caught:
            push(store, b"x" * 250)

    assert caught.value.code is ErrorCode.DISK_FULL
    assert store.query(young).complete, "a refusal removes nothing"
    with pytest.raises(EdgewrightError) as caught:
        store.remove(deployed)
    assert caught.value.code is ErrorCode.ARTIFACT_IN_USE


def test_free_space_is_asked_before_the_first_byte(tmp_path: Path) -> None:
    """A disk with too little room refuses, naming what is missing; the reserve stays free."""
    store = ArtifactStore(tmp_path, free_bytes=lambda _: RESERVE_BYTES + 99)

    push(store, b"x" * 99)
    with pytest.raises(EdgewrightError) as caught:
        push(store, b"y" * 200)  # the 99 bytes could go, which is not enough

    assert caught.value.code is ErrorCode.DISK_FULL
    assert "200" in caught.value.message
    assert not list((tmp_path / "parts").iterdir())


def test_default_quota_is_half_of_the_disk(tmp_path: Path) -> None:
    """Without a quota, artifacts take at most half of what they and the free space make together."""
    disk = 4 * RESERVE_BYTES
    store = ArtifactStore(tmp_path, None, free_bytes=lambda _: disk - 100)

    push(store, b"x" * 100)
    with store.room_for("a" * 64, disk // 2 - 100):
        pass
    with pytest.raises(EdgewrightError) as caught, store.room_for("a" * 64, disk // 2 + 1):
        pass

    assert caught.value.code is ErrorCode.DISK_FULL


def test_promises_count(tmp_path: Path) -> None:
    """Two pushes that fit one by one but not together: the second is refused while the first is under way."""
    store = ArtifactStore(tmp_path, quota_bytes=150)

    with store.room_for("a" * 64, 100), pytest.raises(EdgewrightError) as caught, store.room_for("b" * 64, 100):
        pass

    assert caught.value.code is ErrorCode.DISK_FULL
    with store.room_for("b" * 64, 100):
        pass


def test_push_that_takes_over_keeps_its_room(tmp_path: Path) -> None:
    """The same bytes are not counted twice, and stay promised when the push that gave up ends."""
    store = ArtifactStore(tmp_path, quota_bytes=150)

    with store.room_for("a" * 64, 100):
        with store.room_for("a" * 64, 60):
            pass
        with pytest.raises(EdgewrightError) as caught, store.room_for("b" * 64, 100):
            pass

    assert caught.value.code is ErrorCode.DISK_FULL


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, ErrorCode.DISK_FULL),
        (errno.EDQUOT, ErrorCode.DISK_FULL),
        (errno.EIO, ErrorCode.AGENT_STATE_UNUSABLE),
    ],
)
def test_disk_that_fails_while_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: ErrorCode
) -> None:
    """A disk that fills up, or breaks, during the push is told apart; a full one is left as it was."""
    store = ArtifactStore(tmp_path)
    data = b"z" * 100

    def broken(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(EdgewrightError) as caught:
        push(store, data)

    assert caught.value.code is code
    assert not store.query(sha(data)).complete
    assert store.query(sha(data)).received_bytes == (0 if code is ErrorCode.DISK_FULL else 100)


def test_waiting_push_finds_the_artifact_done(tmp_path: Path) -> None:
    """Another controller's push of the same artifact waits for the first, then has nothing to do."""
    store = ArtifactStore(tmp_path)
    receiver = PushReceiver(store)
    data = b"q" * 1000
    begun, go_on = threading.Event(), threading.Event()
    sizes: list[int] = []

    def slow_pieces() -> object:
        yield data[:500]
        begun.set()
        assert go_on.wait(10)
        yield data[500:]

    first = threading.Thread(target=lambda: sizes.append(receiver.receive(sha(data), 1000, 0, slow_pieces(), "one")))
    first.start()
    assert begun.wait(10)
    second = threading.Thread(target=lambda: sizes.append(receiver.receive(sha(data), 1000, 0, iter([data]), "two")))
    second.start()
    go_on.set()
    first.join(10)
    second.join(10)

    assert sizes == [1000, 1000]
    assert store.path(sha(data)).read_bytes() == data


def test_silent_push_is_taken_over_by_another_peer(tmp_path: Path) -> None:
    """A push that has been silent too long loses its turn, and writes nothing afterwards."""
    store = ArtifactStore(tmp_path)
    receiver = PushReceiver(store, silence_s=0.05)
    data = b"r" * 1000
    begun, go_on = threading.Event(), threading.Event()
    ends: list[ErrorCode] = []

    def stuck_pieces() -> object:
        yield data[:400]
        begun.set()
        assert go_on.wait(10)
        yield b"\0" * 600

    def stuck() -> None:
        try:
            receiver.receive(sha(data), 1000, 0, stuck_pieces(), "one")
        except EdgewrightError as error:
            ends.append(error.code)

    first = threading.Thread(target=stuck)
    first.start()
    assert begun.wait(10)

    assert receiver.receive(sha(data), 1000, 400, iter([data[400:]]), "two") == 1000
    go_on.set()
    first.join(10)

    assert ends == [ErrorCode.CANCELLED]
    assert store.path(sha(data)).read_bytes() == data


def test_adopted_file_is_moved_in(tmp_path: Path) -> None:
    """A worker's output becomes an artifact without a copy left behind."""
    store = ArtifactStore(tmp_path / "store")
    output = tmp_path / "outputs.npz"
    output.write_bytes(b"numbers")

    sha256 = store.adopt(output)

    assert sha256 == sha(b"numbers")
    assert store.path(sha256).read_bytes() == b"numbers"
    assert not output.exists()
