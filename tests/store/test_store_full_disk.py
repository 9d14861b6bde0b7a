"""A disk that is really full: a file system of a few MB, where this user may mount one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_examples import a_dataset, a_model

from edgewright.store.store import Store
from edgewright_contract.errors import EdgewrightError, ErrorCode

_MEGABYTE = 1_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A 3 MB file system in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _files(folder: Path) -> set[Path]:
    return {path for path in (folder / "artifacts").rglob("*") if path.is_file()}


def test_a_large_artifact_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    """A file larger than the disk is DISK_FULL, leaves no part, and small work goes on."""
    large = tmp_path / "large.onnx"
    large.write_bytes(bytes(8 * _MEGABYTE))
    with Store.open(small_disk / "home") as store:
        kept, _ = store.artifacts.put_bytes(b"kept")
        before = _files(store.home)

        with pytest.raises(EdgewrightError) as caught:
            store.artifacts.put_file(large)

        assert caught.value.code is ErrorCode.DISK_FULL
        assert _files(store.home) == before
        assert store.artifacts.verify(kept)
        store.models.add(a_model())


def test_a_full_disk_refuses_records_whole(small_disk: Path) -> None:
    """With no byte left a record is DISK_FULL and absent; with room again the store works on."""
    filler = small_disk / "filler"
    with Store.open(small_disk / "home") as store:
        store.models.add(a_model("before"))
        with pytest.raises(OSError, match="space"):
            filler.write_bytes(bytes(8 * _MEGABYTE))

        for add in (lambda: store.models.add(a_model("during")), lambda: store.datasets.add(a_dataset())):
            with pytest.raises(EdgewrightError) as caught:
                add()
            assert caught.value.code is ErrorCode.DISK_FULL

        filler.unlink()
        store.models.add(a_model("after"))
    with Store.open(small_disk / "home") as store:
        assert [record.name for record in store.models.list()] == ["after", "before"]
        assert store.datasets.list() == ()


def test_a_full_disk_on_the_first_command(small_disk: Path) -> None:
    """A home on a full disk is DISK_FULL; with room again it opens."""
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="space"):
        filler.write_bytes(bytes(8 * _MEGABYTE))

    with pytest.raises(EdgewrightError) as caught:
        Store.open(small_disk / "home")
    assert caught.value.code is ErrorCode.DISK_FULL

    filler.unlink()
    with Store.open(small_disk / "home") as store:
        assert store.models.list() == ()
