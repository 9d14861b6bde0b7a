"""Zips that play tricks."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from edgewright.datasets import storage
from edgewright.datasets.scan import scan
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.datasets.pictures import png, two_classes, write_zip


def refusal(path: Path) -> EdgewrightError:
    with pytest.raises(EdgewrightError) as caught:
        scan("d", path, None, 0)
    return caught.value


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "cat/../../evil.png", "c:/evil.png", "cat\\a.png"])
def test_entries_that_point_outside_are_refused(tmp_path: Path, name: str) -> None:
    """A zip with an absolute, climbing or backslashed entry is refused as a whole."""
    error = refusal(write_zip(tmp_path / "set.zip", {**two_classes(), name: png(1)}))

    assert error.code is ErrorCode.DATASET_INVALID
    assert repr(name) in error.message


def test_encrypted_entries_are_refused(tmp_path: Path) -> None:
    """An encrypted zip is named as such."""
    path = write_zip(tmp_path / "set.zip", two_classes())
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)

    error = refusal(path)

    assert error.code is ErrorCode.DATASET_INVALID
    assert "encrypted" in error.message


def test_bombs_are_refused_before_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip that would unpack to a hundred times its size is refused by its table of contents."""
    monkeypatch.setattr(storage, "MIN_BOMB_BYTES", 2**20)
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/a.png", bytes(4 * 2**20))

    error = refusal(path)

    assert error.code is ErrorCode.DATASET_INVALID
    assert "unpack" in error.message


def test_an_entry_larger_than_the_limit_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One oversized entry is skipped with its size."""
    monkeypatch.setattr(storage, "MAX_FILE_BYTES", 5000)
    path = write_zip(tmp_path / "set.zip", {**two_classes(), "cat/big.png": bytes(5001)})

    assert [(item.file, item.reason) for item in scan("d", path, None, 0).skipped] == [
        ("cat/big.png", "5001 bytes; at most 5000 are read")
    ]


def test_links_in_a_zip_are_skipped(tmp_path: Path) -> None:
    """A link inside a zip is not followed."""
    path = write_zip(tmp_path / "set.zip", two_classes())
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo("cat/link.png")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")

    assert [(item.file, item.reason) for item in scan("d", path, None, 0).skipped] == [("cat/link.png", "a link")]


def test_a_damaged_entry_is_skipped(tmp_path: Path) -> None:
    """A checksum that does not fit costs that image only."""
    files = two_classes()
    path = write_zip(tmp_path / "set.zip", files)
    content = path.read_bytes()
    path.write_bytes(content.replace(files["dog/1.png"][-20:], bytes(20), 1))

    dataset = scan("d", path, None, 0)

    assert [item.file for item in dataset.skipped] == ["dog/1.png"]
    assert len(dataset.samples) == 5


def test_a_truncated_zip_is_refused(tmp_path: Path) -> None:
    """Half a zip is no data set."""
    path = write_zip(tmp_path / "set.zip", two_classes())
    path.write_bytes(path.read_bytes()[:-40])

    assert refusal(path).code is ErrorCode.DATASET_INVALID


def test_leftovers_of_other_systems_are_ignored(tmp_path: Path) -> None:
    """The resource folder of a Mac's zip and hidden files are neither classes nor images."""
    files = {**two_classes(), "__MACOSX/cat/._0.png": b"x", ".DS_Store": b"x", "cat/.hidden.png": b"x"}

    dataset = scan("d", write_zip(tmp_path / "set.zip", files), None, 0)

    assert (dataset.class_names, dataset.skipped) == (("cat", "dog"), ())
