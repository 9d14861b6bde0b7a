"""Workers' settings, well-behaved and not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgewright_agent.measure.values import WorkerSettings

MISBEHAVING_PYTHON = Path(__file__).with_name("misbehaving_python.py")


@pytest.fixture
def settings() -> WorkerSettings:
    """Workers on this interpreter with generous limits."""
    return WorkerSettings((sys.executable,), 0, 60.0, 60.0, Path("/"))


@pytest.fixture
def misbehaving(settings: WorkerSettings) -> Callable[[str], WorkerSettings]:
    """Settings under which the null network does, whenever it runs, what `behaviour` names."""
    return lambda behaviour: replace(settings, python=(sys.executable, str(MISBEHAVING_PYTHON), behaviour))
