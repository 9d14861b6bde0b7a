"""Reading the small files of /proc and /sys under any root, absence being an answer with a reason."""

from __future__ import annotations

from pathlib import Path


class Unavailable(Exception):
    """Why a sensor has no value here; becomes a Reading's `unavailable`."""


def read_text(path: Path) -> str:
    """The file's text without surrounding blanks and NULs. Raises Unavailable."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError as error:
        raise Unavailable(f"{error.strerror or error} ({path.name})") from error


def read_number(path: Path) -> float:
    """The one number in the file. Raises Unavailable."""
    text = read_text(path)
    try:
        return float(text)
    except ValueError as error:
        raise Unavailable(f"not a number: {text[:40]!r} ({path.name})") from error


def readable_numbers(paths: list[Path]) -> list[float]:
    """The numbers of those files that give one."""
    numbers = []
    for path in paths:
        try:
            numbers.append(read_number(path))
        except Unavailable:
            continue
    return numbers


def listed(folder: Path, pattern: str) -> list[Path]:
    """Sorted matches of a glob pattern; none where the folder is absent or closed."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def meminfo(root: Path) -> dict[str, int]:
    """/proc/meminfo in bytes. Raises Unavailable."""
    values = {}
    for line in read_text(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()
        if number and number[0].isdigit():
            values[name] = int(number[0]) * (1024 if number[1:] == ["kB"] else 1)
    return values
