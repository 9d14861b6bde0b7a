"""Files are whole or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewright.graph.files import atomic_file
from edgewright_contract.errors import EdgewrightError, ErrorCode


def test_file_takes_its_name_when_the_body_ends(tmp_path: Path) -> None:
    """What was written to the temporary path is found under the final name, and nothing else is left."""
    with atomic_file(tmp_path / "a" / "model.onnx") as temporary:
        temporary.write_bytes(b"whole")

    assert (tmp_path / "a" / "model.onnx").read_bytes() == b"whole"
    assert [item.name for item in (tmp_path / "a").iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_interruption_leaves_the_old_file(tmp_path: Path, interruption: type[BaseException]) -> None:
    """Ctrl-C or a failure in the middle leaves the earlier file as it was and no temporary one."""
    target = tmp_path / "model.onnx"
    target.write_bytes(b"old")

    def write_half() -> None:
        with atomic_file(target) as temporary:
            temporary.write_bytes(b"hal")
            raise interruption

    with pytest.raises(interruption):
        write_half()

    assert target.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["model.onnx"]


def test_full_disk_is_said(tmp_path: Path) -> None:
    """ENOSPC becomes DISK_FULL and leaves nothing behind."""
    import errno

    with pytest.raises(EdgewrightError) as caught, atomic_file(tmp_path / "model.onnx"):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert caught.value.code is ErrorCode.DISK_FULL
    assert list(tmp_path.iterdir()) == []
