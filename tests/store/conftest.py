"""A store in a folder of its own, with a clock that counts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgewright.store.store import Store


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    ticks = itertools.count()
    with Store.open(home, clock=lambda: f"2026-01-01T00:00:{next(ticks):02d}.000Z") as opened:
        yield opened
