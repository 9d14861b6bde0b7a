"""Agents ready to be used; each test file shares one where it leaves no trace that matters to the next test."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgewright_agent.selftest import MODELS
from edgewright_contract import certificates
from tests.agent import harness


@pytest.fixture(scope="session")
def me() -> harness.Identity:
    """A controller's identity."""
    return certificates.create_identity("desk")


@pytest.fixture(scope="session")
def stranger() -> harness.Identity:
    """Another controller's identity."""
    return certificates.create_identity("desk")


@pytest.fixture(scope="module")
def paired(
    tmp_path_factory: pytest.TempPathFactory, me: harness.Identity
) -> Iterator[tuple[harness.RunningAgent, harness.Client]]:
    """An agent and a paired client of it."""
    state = tmp_path_factory.mktemp("paired") / "state"
    with harness.agent(state) as running:
        harness.pair_with(running, running.pairing_code(), me)
        with harness.client(running, me) as client:
            yield running, client


@pytest.fixture(scope="session")
def relu() -> bytes:
    """A real ONNX model: Relu on float32 [1, 4]."""
    return base64.b64decode(MODELS["onnx"])


@pytest.fixture(scope="session")
def samples() -> bytes:
    """A .npy file of eight samples for it."""
    stream = io.BytesIO()
    np.save(stream, np.arange(32, dtype=np.float32).reshape(8, 4) - 16)
    return stream.getvalue()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"
