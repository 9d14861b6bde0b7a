"""The page of error codes is complete and true."""

from __future__ import annotations

import re
from pathlib import Path

from edgewright_contract.errors import CATALOGUE, ErrorCode

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
ROW = re.compile(r"^\| `(?P<code>[a-z_0-9]+)` \| (?P<exit>\d+) \| (?P<meaning>.+?) \| (?P<next>.+?) \|$", re.MULTILINE)


def test_every_code_is_in_the_catalogue() -> None:
    """No code lacks an exit status and a gRPC status."""
    assert set(CATALOGUE) == set(ErrorCode)


def test_every_code_has_a_row_with_its_exit_status() -> None:
    """docs/errors.md has one row a code, in step with the catalogue."""
    rows = {match["code"]: int(match["exit"]) for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))}

    assert rows == {code.value: CATALOGUE[code].exit_status for code in ErrorCode}
