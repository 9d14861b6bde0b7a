"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real models and labelled data; tests that need it are skipped, visibly, without it."""
    folder = Path(os.environ.get("EDGEWRIGHT_ASSETS", ROOT.parent / "shared" / "assets"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no assets at {folder}: set EDGEWRIGHT_ASSETS")
    return folder
