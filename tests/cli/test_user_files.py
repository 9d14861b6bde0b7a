"""Files written where a person asked for them are whole or absent."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from edgewright.services.user_files import user_file
from edgewright_contract.errors import EdgewrightError, ErrorCode


def write_half(destination: Path, failure: BaseException) -> None:
    """Half a file, then the failure."""
    with user_file(destination) as temporary:
        temporary.write_text("half")
        raise failure


def test_a_finished_file_replaces_the_old_one(tmp_path: Path) -> None:
    """What the body wrote stands under the name, and nothing else in the folder."""
    (tmp_path / "out").write_text("old")

    with user_file(tmp_path / "out") as temporary:
        temporary.write_text("new")

    assert (tmp_path / "out").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ErrorCode.DISK_FULL),
        (OSError(errno.EIO, "Input/output error"), ErrorCode.FILE_NOT_FOUND),
    ],
)
def test_a_failing_disk_leaves_the_old_file(tmp_path: Path, failure: OSError, code: ErrorCode) -> None:
    """A full disk and a broken one have codes of their own; the file from before is untouched."""
    (tmp_path / "out").write_text("old")

    with pytest.raises(EdgewrightError) as caught:
        write_half(tmp_path / "out", failure)

    assert caught.value.code is code
    assert (tmp_path / "out").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_interrupt_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C half way leaves no partial file."""
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "out", KeyboardInterrupt())

    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_refused_and_not_made(tmp_path: Path) -> None:
    """A place that is not there is named, and stays absent."""
    with pytest.raises(EdgewrightError) as caught, user_file(tmp_path / "missing" / "out"):
        pytest.fail("the body must not run")

    assert caught.value.code is ErrorCode.FILE_NOT_FOUND
    assert "missing" in caught.value.message
    assert not list(tmp_path.iterdir())
