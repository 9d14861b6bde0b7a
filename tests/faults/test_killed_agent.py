"""kill -9 at any point of push, deploy, rollback, pair and revoke: the old state or the new, nothing else.

The short form strikes as often as some seconds allow. The long form, with its seed printed:

    EDGEWRIGHT_FAULTS=1000 EDGEWRIGHT_FAULTS_SEED=7 python -m pytest tests/faults -s
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.agent.conftest import relu, samples  # noqa: F401 - fixtures
from tests.agent.test_goals import npz
from tests.faults.board import Board

SHORT_SECONDS = 45.0
POINTS = int(os.environ.get("EDGEWRIGHT_FAULTS", "0"))
SEED = int(os.environ.get("EDGEWRIGHT_FAULTS_SEED", "1"))


@pytest.mark.slow
@pytest.mark.timeout(60 + 20 * POINTS + 240)
def test_killed_at_any_point(tmp_path: Path, relu: bytes, samples: bytes) -> None:  # noqa: F811
    """On restart there is the old state or the new; no orphan, no wrong byte; what was acknowledged is there."""
    values = np.maximum(np.arange(32, dtype=np.float32).reshape(8, 4) - 16, 0)
    board = Board(tmp_path, SEED, relu, samples, npz(y=values))
    board.begin()
    until = time.monotonic() + SHORT_SECONDS
    struck: Counter[str] = Counter()
    violations = []
    for what, wrong in board.strike():
        struck[what.partition(",")[0]] += 1
        if wrong:
            violations.append(f"{what}: {'; '.join(wrong)}")
            print(violations[-1], flush=True)
        if sum(struck.values()) >= POINTS if POINTS else time.monotonic() > until:
            break
    print(f"seed {SEED}: {sum(struck.values())} points, {len(violations)} violations; {dict(struck)}")
    assert not violations, "\n".join(violations)
    assert struck
