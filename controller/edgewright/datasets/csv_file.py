"""Form `csv`: a table with the columns `file` and `class_index`, and the class's `name` if it likes."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from edgewright.core.values import Skipped
from edgewright.datasets.listing import Entry, Listing
from edgewright_contract.errors import EdgewrightError, ErrorCode

FILE, CLASS_INDEX, NAME = "file", "class_index", "name"
MAX_CLASSES = 1_000_000
MAX_CSV_BYTES = 512 * 2**20
_DELIMITERS = (",", ";", "\t")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def list_csv(path: Path) -> Listing:
    """The rows of a csv; files are relative to its folder, other columns are ignored.

    A file listed twice with one label counts once. Raises FILE_NOT_FOUND, DATASET_INVALID (not a csv), and
    LABEL_INVALID with file, line and value.
    """
    reader = _reader(path)
    columns = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = columns
    _check_columns(path, columns)
    labels: dict[str, tuple[int, int]] = {}  # file -> class, line
    names: dict[int, str] = {}
    skipped: list[Skipped] = []
    try:
        for row in reader:
            line = reader.line_num
            file = (row.get(FILE) or "").strip()
            if not file:
                raise _invalid(path, line, "the column file is empty")
            label = _label(path, line, row.get(CLASS_INDEX))
            known = labels.setdefault(file, (label, line))
            if known[0] != label:
                raise EdgewrightError(
                    ErrorCode.LABEL_INVALID,
                    f"{path}:{line}: {file} has class_index {label}, but {known[0]} in line {known[1]}",
                    "give each file one label",
                )
            if known[1] != line:
                skipped.append(Skipped(file, f"listed again in line {line}"))
            if (row.get(NAME) or "").strip():
                names.setdefault(label, row[NAME].strip())
    except csv.Error as error:
        raise _invalid(path, reader.line_num, str(error)) from error
    classes = 1 + max((label for label, _ in labels.values()), default=-1)
    class_names = tuple(names.get(index, str(index)) for index in range(classes))
    entries = tuple(Entry(file, label) for file, (label, _) in sorted(labels.items()))
    return Listing("csv", path, entries, class_names, tuple(skipped))


def is_label_csv(path: Path) -> bool:
    """Whether the first line has the two columns needed."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            columns = re.split("[,;\t]", stream.readline(4096).strip())
    except OSError:
        return False
    return {FILE, CLASS_INDEX} <= {column.strip().strip('"') for column in columns}


def _reader(path: Path) -> csv.DictReader[str]:
    try:
        if path.stat().st_size > MAX_CSV_BYTES:
            raise _invalid(path, 1, f"{path.stat().st_size} bytes; at most {MAX_CSV_BYTES} are read")
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise EdgewrightError(
            ErrorCode.FILE_NOT_FOUND, f"no csv file at {path}", "give the path of a file that exists"
        ) from error
    except OSError as error:
        raise _invalid(path, 1, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise _invalid(path, 1, f"not UTF-8 text ({error.reason} at byte {error.start})") from error
    header = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        _ = reader.fieldnames
    except csv.Error as error:
        raise _invalid(path, 1, str(error)) from error
    return reader


def _check_columns(path: Path, columns: list[str]) -> None:
    for column, code in ((FILE, ErrorCode.DATASET_INVALID), (CLASS_INDEX, ErrorCode.LABEL_INVALID)):
        if column not in columns:
            listed = ", ".join(columns)
            shown = f"has the columns {listed[:120]}" if columns else "is empty"
            raise EdgewrightError(
                code,
                f"{path}:1: no column {column}: the first line {shown}",
                "name the columns file and class_index in it; for images without labels use --format images",
            )


def _label(path: Path, line: int, value: str | None) -> int:
    text = (value or "").strip()
    label = int(text) if _INTEGER.fullmatch(text) else -1
    if not 0 <= label < MAX_CLASSES:
        raise EdgewrightError(
            ErrorCode.LABEL_INVALID,
            f"{path}:{line}: class_index is {text[:40]!r}; allowed: whole numbers below {MAX_CLASSES}",
            "class_index is the number of the class in the network's order, from 0",
        )
    return label


def _invalid(path: Path, line: int, reason: str) -> EdgewrightError:
    return EdgewrightError(
        ErrorCode.DATASET_INVALID,
        f"{path}:{line}: {reason}",
        "a csv data set is UTF-8 text with the columns file, class_index",
    )
