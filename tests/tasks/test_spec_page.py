"""docs/specs.md in step with the code."""

from __future__ import annotations

import re
from pathlib import Path

from edgewright.core.spec import NAMED_SPECS, parse_spec
from edgewright.core.spec_fields import INPUT_FIELDS, OUTPUT_FIELDS

PAGE = (Path(__file__).parents[2] / "docs" / "specs.md").read_text(encoding="utf-8")


def test_every_ready_spec_is_listed() -> None:
    """The table has one row a ready spec."""
    table = PAGE.split("## Ready specs")[1].split("## ")[0]

    assert re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE) == list(NAMED_SPECS)


def test_the_shown_file_has_every_key_and_is_valid() -> None:
    """The spec on the page can be copied as it is."""
    shown = PAGE.split("```toml\n")[1].split("```")[0]

    assert parse_spec(shown, "page").input.size == (224, 224)
    keys = re.findall(r"^([a-z_]+) =", shown, re.MULTILINE)
    assert keys == [*INPUT_FIELDS, *OUTPUT_FIELDS]
