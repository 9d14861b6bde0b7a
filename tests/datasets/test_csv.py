"""The form csv: tolerant of encodings, strict about labels."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.core.values import Skipped
from edgewright.datasets.csv_file import list_csv
from edgewright.datasets.scan import scan
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.datasets.pictures import png, write_tree


def refusal(folder: Path, text: bytes) -> EdgewrightError:
    (folder / "labels.csv").write_bytes(text)
    with pytest.raises(EdgewrightError) as caught:
        list_csv(folder / "labels.csv")
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        b"file,class_index\na.png,2\nb/c.png,0\n",
        b"\xef\xbb\xbffile,class_index\r\na.png,2\r\nb/c.png,0\r\n",
        b"wnid;class_index;file\nx; 2 ;a.png\ny;0;b/c.png\n\n",
        b'"file"\t"class_index"\n"a.png"\t2\n"b/c.png"\t0',
    ],
)
def test_rows_become_labelled_samples(tmp_path: Path, text: bytes) -> None:
    """A byte order mark, CRLF, other delimiters, further columns and empty lines do not matter."""
    write_tree(tmp_path, {"a.png": png(1), "b/c.png": png(2), "labels.csv": text})

    dataset = scan("d", tmp_path / "labels.csv", None, 0)

    assert [(sample.file, sample.class_index) for sample in dataset.samples] == [("a.png", 2), ("b/c.png", 0)]
    assert dataset.class_names == ("0", "1", "2")


def test_names_of_classes_are_taken_where_given(tmp_path: Path) -> None:
    """A column `name` names classes; the others are named by their number."""
    text = b"file,class_index,name\na.png,2,fish\nb.png,0,bird\n"
    write_tree(tmp_path, {"a.png": png(1), "b.png": png(2), "labels.csv": text})

    assert scan("d", tmp_path / "labels.csv", "csv", 0).class_names == ("bird", "1", "fish")


def test_missing_files_are_listed(tmp_path: Path) -> None:
    """A row without its image is skipped by name; with none left the data set is empty, naming the first ones."""
    text = b"file,class_index\na.png,0\ngone.png,1\n"
    write_tree(tmp_path, {"a.png": png(1), "labels.csv": text})

    assert scan("d", tmp_path / "labels.csv", "csv", 0).skipped == (Skipped("gone.png", "missing"),)

    (tmp_path / "a.png").unlink()
    with pytest.raises(EdgewrightError) as caught:
        scan("d", tmp_path / "labels.csv", "csv", 0)
    assert caught.value.code is ErrorCode.DATASET_EMPTY
    assert "gone.png: missing" in caught.value.message


def test_a_row_given_twice_counts_once(tmp_path: Path) -> None:
    """The same file with the same label is kept once and reported."""
    (tmp_path / "labels.csv").write_bytes(b"file,class_index\na.png,0\na.png,0\n")

    listing = list_csv(tmp_path / "labels.csv")

    assert len(listing.entries) == 1
    assert listing.skipped == (Skipped("a.png", "listed again in line 3"),)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (b"file,class_index\na.png,cat\n", ErrorCode.LABEL_INVALID, ":2: class_index is 'cat'"),
        (b"file,class_index\na.png,0\nb.png,-1\n", ErrorCode.LABEL_INVALID, ":3: class_index is '-1'"),
        (b"file,class_index\na.png,1.5\n", ErrorCode.LABEL_INVALID, "'1.5'"),
        (b"file,class_index\na.png\n", ErrorCode.LABEL_INVALID, ":2: class_index is ''"),
        (b"file,class_index\na.png,99999999999999999999\n", ErrorCode.LABEL_INVALID, "below 1000000"),
        (b"file,class_index\na.png,1\na.png,2\n", ErrorCode.LABEL_INVALID, "but 1 in line 2"),
        (b"file,label\na.png,1\n", ErrorCode.LABEL_INVALID, "no column class_index"),
        (b"path,class_index\na.png,1\n", ErrorCode.DATASET_INVALID, "no column file"),
        (b"file,class_index\n,1\n", ErrorCode.DATASET_INVALID, ":2: the column file is empty"),
        (b"", ErrorCode.DATASET_INVALID, "is empty"),
        (b"\xff\xfe\x00file", ErrorCode.DATASET_INVALID, "not UTF-8"),
    ],
)
def test_wrong_rows_are_refused_with_file_line_and_value(
    tmp_path: Path, text: bytes, code: ErrorCode, words: str
) -> None:
    """A label that is none is refused where it stands."""
    error = refusal(tmp_path, text)

    assert error.code is code
    assert words in error.message
    assert "labels.csv:" in error.message


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
def test_any_bytes_end_in_an_answer_or_a_known_error(tmp_path: Path, body: bytes) -> None:
    """No content of a csv leads to a traceback."""
    path = tmp_path / "labels.csv"
    for content in (body, b"file,class_index\n" + body):
        path.write_bytes(content)
        with contextlib.suppress(EdgewrightError):
            list_csv(path)
