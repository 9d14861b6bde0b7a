"""Content-addressed files: whole or absent."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from store_examples import a_dataset, a_model

from edgewright.store.artifacts import Artifacts
from edgewright.store.store import Store
from edgewright_contract.errors import EdgewrightError, ErrorCode


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def test_a_file_lies_under_its_sha256(artifacts: Artifacts, tmp_path: Path) -> None:
    """The place is artifacts/ab/<sha256>, as sha256sum would say it, and the source stays."""
    source = tmp_path / "model.onnx"
    source.write_bytes(os.urandom(3_000_000))

    sha256, size_bytes = artifacts.put_file(source)

    assert sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert size_bytes == 3_000_000
    assert artifacts.path_of(sha256) == tmp_path / "artifacts" / sha256[:2] / sha256
    assert artifacts.verify(sha256).read_bytes() == source.read_bytes()


def test_the_same_bytes_are_one_file(artifacts: Artifacts, tmp_path: Path) -> None:
    """Bytes and file with the same content share a name; an empty file is a file."""
    (tmp_path / "x").write_bytes(b"abc")

    assert artifacts.put_bytes(b"abc") == artifacts.put_file(tmp_path / "x")
    assert artifacts.put_bytes(b"")[1] == 0
    assert artifacts.path_of(hashlib.sha256().hexdigest()).is_file()
    assert len(list(artifacts.digests())) == 2


@pytest.mark.parametrize("sha256", ["0" * 64, "xyz", "../../etc/passwd", "A" * 64])
def test_an_unknown_artifact_is_named(artifacts: Artifacts, sha256: str) -> None:
    """What is not there, or is no sha256, is ARTIFACT_UNKNOWN."""
    with pytest.raises(EdgewrightError) as caught:
        artifacts.path_of(sha256)
    assert caught.value.code is ErrorCode.ARTIFACT_UNKNOWN


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"x" + data[1:], lambda data: data[:-1]])
def test_a_damaged_artifact_is_found_and_healed(artifacts: Artifacts, damage: Callable[[bytes], bytes]) -> None:
    """Changed bytes are ARTIFACT_CORRUPT on reading; putting the right ones again mends it."""
    sha256, _ = artifacts.put_bytes(b"payload")
    path = artifacts.path_of(sha256)
    path.write_bytes(damage(b"payload"))

    for read in (artifacts.verify, artifacts.read_bytes):
        with pytest.raises(EdgewrightError) as caught:
            read(sha256)
        assert caught.value.code is ErrorCode.ARTIFACT_CORRUPT

    artifacts.put_bytes(b"payload")
    assert artifacts.read_bytes(sha256) == b"payload"


def test_a_missing_source_is_named(artifacts: Artifacts, tmp_path: Path) -> None:
    """A source that is not there is FILE_NOT_FOUND and leaves nothing."""
    with pytest.raises(EdgewrightError) as caught:
        artifacts.put_file(tmp_path / "absent.onnx")
    assert caught.value.code is ErrorCode.FILE_NOT_FOUND
    assert list(artifacts.digests()) == []


@pytest.mark.parametrize("failing", ["fsync", "write"])
def test_a_full_disk_leaves_nothing(
    artifacts: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """ENOSPC at any point is DISK_FULL, and neither a name nor a part is left."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr("edgewright.store.artifacts._copy_bytes", full)

    with pytest.raises(EdgewrightError) as caught:
        artifacts.put_bytes(b"payload")

    assert caught.value.code is ErrorCode.DISK_FULL
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []


def test_a_sweep_keeps_what_is_referenced_and_what_is_young(store: Store) -> None:
    """Only old files that no record names are deleted; parts of killed commands among them."""
    kept, _ = store.artifacts.put_bytes(b"model")
    store.models.add(a_model(artifact=kept))
    store.datasets.add(a_dataset())
    orphan, _ = store.artifacts.put_bytes(b"orphan")
    part = store.home / "artifacts" / "left.part"
    part.write_bytes(b"half")

    assert store.sweep() == (0, 0)
    assert store.sweep(older_than_seconds=-1) == (2, 10)

    assert store.artifacts.read_bytes(kept) == b"model"
    assert store.datasets.get("im") == a_dataset()
    assert not store.artifacts.contains(orphan)
    assert not part.exists()
