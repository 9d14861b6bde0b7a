"""Files in pieces, and files that are written at once or not at all."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright_contract import transfer
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.files import remove_temporaries, write_atomic

SIZES = st.integers(0, 3 * transfer.CHUNK_BYTES + 3)


@pytest.fixture(scope="module")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("transfer") / "file"
    path.write_bytes(os.urandom(3 * transfer.CHUNK_BYTES + 3))
    return path


@given(offset=SIZES)
def test_push_messages_are_header_then_bytes(big_file: Path, offset: int) -> None:
    """One header, then exactly the bytes from the offset on, in pieces of at most 512 KiB."""
    data = big_file.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()

    header, *pieces = transfer.push_requests(big_file, sha256, len(data), offset)

    assert (header.header.sha256, header.header.size_bytes, header.header.offset) == (sha256, len(data), offset)
    assert b"".join(piece.data for piece in pieces) == data[offset:]
    assert all(0 < len(piece.data) <= 512 * 1024 for piece in pieces)


def test_fetch_messages_are_header_then_bytes(big_file: Path) -> None:
    """An answer has the same form as a push."""
    data = big_file.read_bytes()
    sha256 = transfer.sha256_of_file(big_file)

    header, *pieces = transfer.fetch_responses(big_file, sha256, 5)

    assert (header.header.size_bytes, header.header.offset) == (len(data), 5)
    assert b"".join(piece.data for piece in pieces) == data[5:]


def test_a_file_that_grows_sends_what_was_declared(tmp_path: Path) -> None:
    """A file appended to while it is pushed does not break the declared size."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * 100)

    pieces = list(transfer.push_requests(path, "0" * 64, 60))[1:]

    assert b"".join(piece.data for piece in pieces) == b"x" * 60


@given(st.binary(max_size=2000), st.integers(0, 2500))
def test_hash_of_a_part(tmp_path_factory: pytest.TempPathFactory, data: bytes, limit: int) -> None:
    """Hashing up to a limit is hashing the front."""
    path = tmp_path_factory.mktemp("part") / "part"
    path.write_bytes(data)
    digest = hashlib.sha256()

    with path.open("rb") as stream:
        count = transfer.update_from_file(digest, stream, limit)

    assert count == min(len(data), limit)
    assert digest.hexdigest() == transfer.sha256_of_bytes(data[:limit])


def test_sha256_is_checked() -> None:
    """Anything but 64 lower-case hexadecimal digits is REQUEST_INVALID."""
    with pytest.raises(EdgewrightError) as caught:
        transfer.validate_sha256("../../etc/passwd")

    assert caught.value.code is ErrorCode.REQUEST_INVALID


def test_atomic_write_replaces_and_sets_the_mode(tmp_path: Path) -> None:
    """The new content is there, with the mode asked for, and nothing else."""
    path = tmp_path / "file"
    path.write_text("old")

    write_atomic(path, b"new", mode=0o640)

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_failed_atomic_write_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fails at the last step, the old content stays and no temporary file does."""
    path = tmp_path / "file"
    path.write_text("old")

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        write_atomic(path, b"new")

    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_leftovers_of_a_killed_writer_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process left of an atomic write is removed; everything else stays."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / ".hidden").write_text("mine")
    monkeypatch.setattr("os.fsync", killed)
    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "file", b"new")
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 2

    remove_temporaries(tmp_path)

    assert [entry.name for entry in tmp_path.iterdir()] == [".hidden"]
