"""Scanning: forms, verification, identity."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edgewright.core.values import Dataset, ProgressEvent, Skipped
from edgewright.datasets.scan import duplicates, scan
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.datasets.pictures import png, two_classes, write_tree, write_zip


def read(path: Path, format: str | None = None) -> Dataset:
    return scan("d", path, format, 0)


def refusal(path: Path, format: str | None = None) -> EdgewrightError:
    with pytest.raises(EdgewrightError) as caught:
        read(path, format)
    return caught.value


def test_classes_are_numbered_in_alphabetical_order(tmp_path: Path) -> None:
    """Class folders become classes 0, 1 ... in alphabetical order, each sample with the hash of its bytes."""
    files = two_classes()
    dataset = read(write_tree(tmp_path, files), "imagefolder")

    assert dataset.class_names == ("cat", "dog")
    assert [(sample.file, sample.class_index) for sample in dataset.samples] == [
        (file, 0 if file.startswith("cat") else 1) for file in sorted(files)
    ]
    assert all(sample.sha256 == hashlib.sha256(files[sample.file]).hexdigest() for sample in dataset.samples)
    assert dataset.skipped == ()


@pytest.mark.parametrize("wrapper", ["", "train/", "data/set/train/"])
def test_zip_wrapping_and_place_do_not_change_identity(tmp_path: Path, wrapper: str) -> None:
    """The same images in another folder, zipped or below other folders are the same data set."""
    files = {wrapper + name: content for name, content in two_classes().items()}

    plain = read(write_tree(tmp_path / "plain", two_classes()))
    wrapped = read(write_tree(tmp_path / "wrapped", files))
    zipped = read(write_zip(tmp_path / "set.zip", files))

    assert plain.identity == wrapped.identity == zipped.identity
    assert [sample.class_index for sample in zipped.samples] == [0, 0, 0, 1, 1, 1]


def test_identity_changes_with_a_label_and_with_an_image(tmp_path: Path) -> None:
    """Another label or another image makes another data set."""
    files = two_classes()
    moved = dict(files)
    moved["dog/moved.png"] = moved.pop("cat/0.png")
    changed = {**files, "cat/0.png": png(7)}

    identities = {
        read(write_tree(tmp_path / str(number), tree)).identity for number, tree in enumerate((files, moved, changed))
    }

    assert len(identities) == 3


def test_broken_files_are_skipped_with_their_reason(tmp_path: Path) -> None:
    """Truncated, empty and foreign files are named; the sound ones stay."""
    whole = png(1, size=(60, 60))
    files = {
        **two_classes(),
        "cat/cut.png": whole[: len(whole) // 2],
        "cat/empty.jpg": b"",
        "dog/text.png": b"hello",
        "dog/notes.txt": b"hello",
    }

    dataset = read(write_tree(tmp_path, files))

    assert len(dataset.samples) == 6
    reasons = {item.file: item.reason for item in dataset.skipped}
    assert set(reasons) == {"cat/cut.png", "cat/empty.jpg", "dog/text.png", "dog/notes.txt"}
    assert "truncated" in reasons["cat/cut.png"].lower()
    assert reasons["cat/empty.jpg"] == reasons["dog/text.png"] == "not an image"
    assert reasons["dog/notes.txt"] == "not an image by its name"


def test_an_image_of_too_many_pixels_is_skipped(tmp_path: Path) -> None:
    """A small file that would unpack to gigabytes is refused before its pixels are made."""
    header = bytes.fromhex("89504e470d0a1a0a0000000d49484452")
    side = (40_000).to_bytes(4, "big")
    body = b"IHDR" + side + side + b"\x08\x02\x00\x00\x00"
    import zlib

    bomb = header[:12] + body + zlib.crc32(body).to_bytes(4, "big") + b"\x00\x00\x00\x00IDAT"

    dataset = read(write_tree(tmp_path, {**two_classes(), "cat/bomb.png": bomb}))

    assert [item.file for item in dataset.skipped] == ["cat/bomb.png"]
    assert "pixels" in dataset.skipped[0].reason


def test_an_empty_class_folder_keeps_its_number(tmp_path: Path) -> None:
    """A class without images still counts, as in training, and is reported; a folder of text is no class."""
    write_tree(tmp_path, {**two_classes(), "annotations/list.txt": b"x"})
    (tmp_path / "bird").mkdir()

    dataset = read(tmp_path, "imagefolder")

    assert dataset.class_names == ("bird", "cat", "dog")
    assert {sample.class_index for sample in dataset.samples} == {1, 2}
    assert Skipped("bird/", "a class without any image") in dataset.skipped


def test_duplicates_are_known(tmp_path: Path) -> None:
    """Files of equal bytes are found, whatever their names."""
    dataset = read(write_tree(tmp_path, {**two_classes(), "dog/copy.png": two_classes()["cat/1.png"]}))

    assert [[sample.file for sample in group] for group in duplicates(dataset)] == [["cat/1.png", "dog/copy.png"]]


def test_images_without_labels_are_found_at_any_depth(tmp_path: Path) -> None:
    """The form `images` takes everything below the folder and gives no labels."""
    dataset = read(write_tree(tmp_path, {"a.png": png(1), "deep/er/b.png": png(2)}), "images")

    assert [(sample.file, sample.class_index) for sample in dataset.samples] == [
        ("a.png", None),
        ("deep/er/b.png", None),
    ]
    assert dataset.class_names == ()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (two_classes(1), "imagefolder"),
        ({"a.png": png(1), "b.png": png(2)}, "images"),
        ({"images/a.png": png(1), "notes.json": b"{}"}, "images"),
        ({"x/a.png": png(1), "labels.csv": b"file,class_index\nx/a.png,3\n"}, "csv"),
    ],
)
def test_a_missing_format_is_found_out_and_said(tmp_path: Path, files: dict[str, bytes], expected: str) -> None:
    """Without a format the content decides, and progress says what was decided."""
    events: list[ProgressEvent] = []

    dataset = scan("d", write_tree(tmp_path, files), None, 0, events.append)

    assert dataset.format == expected
    assert events[0].text == f"format not given: read as {expected}"
    assert (events[-1].done, events[-1].total) == (len(dataset.samples), len(dataset.samples))


@pytest.mark.parametrize(
    ("files", "format", "code", "words"),
    [
        ({}, "imagefolder", ErrorCode.DATASET_EMPTY, "no images in"),
        ({"a.txt": b""}, "images", ErrorCode.DATASET_EMPTY, "1 skipped"),
        ({"cat/a.png": b"no", "dog/b.png": b"no"}, None, ErrorCode.DATASET_EMPTY, "not an image"),
        ({"cat/a.png": png(1)}, None, ErrorCode.DATASET_ONE_CLASS, "'cat'"),
        ({"cat/a.png": png(1), "dog/b.png": b"no"}, None, ErrorCode.DATASET_ONE_CLASS, "'cat'"),
        ({"a.png": png(1)}, "imagefolder", ErrorCode.DATASET_INVALID, "no class folders"),
        (
            {"train/cat/a.png": png(1), "test/cat/b.png": png(2)},
            None,
            ErrorCode.DATASET_INVALID,
            "several parts of a data set: test, train",
        ),
        ({"a.png": png(1)}, "coco8", ErrorCode.OPTION_INVALID, "imagefolder, csv, images"),
    ],
)
def test_unusable_folders_are_refused(
    tmp_path: Path, files: dict[str, bytes], format: str | None, code: ErrorCode, words: str
) -> None:
    """What cannot be a data set is refused with its own code, the value and a next step."""
    error = refusal(write_tree(tmp_path, files), format)

    assert (error.code, words in error.message) == (code, True)
    assert error.hint


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    """A path with nothing there has its own code."""
    assert refusal(tmp_path / "none").code is ErrorCode.FILE_NOT_FOUND


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    """Links to folders are read; a link to a folder above does not loop."""
    write_tree(tmp_path / "far", {"1.png": png(1)})
    write_tree(tmp_path / "set", {"dog/2.png": png(2)})
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "far")
    (tmp_path / "set" / "dog" / "up").symlink_to(tmp_path / "set")

    dataset = read(tmp_path / "set", "imagefolder")

    assert [sample.file for sample in dataset.samples] == ["cat/1.png", "dog/2.png"]


def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    """Something that is no regular file is skipped, not waited for."""
    import os

    write_tree(tmp_path, two_classes())
    os.mkfifo(tmp_path / "cat" / "pipe.png")

    assert read(tmp_path).skipped == (Skipped("cat/pipe.png", "not a regular file"),)


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images behind a locked door are not left out silently."""
    import os

    write_tree(tmp_path, two_classes())
    listed = os.scandir

    def locked(path: str) -> object:
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", locked)

    error = refusal(tmp_path)

    assert error.code is ErrorCode.DATASET_INVALID
    assert "dog: Permission denied" in error.message
