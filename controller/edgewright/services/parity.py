"""Parity: is what was timed still the same network? Golden outputs of a candidate against the baseline's."""

from __future__ import annotations

import math
from typing import Any

from edgewright.core.values import Task
from edgewright.core.verdict import Parity

# Below these a candidate is another network, not a compressed one; ordinary INT8 reaches 15 dB and more.
LEAST_SQNR_DB = 3.0
LEAST_AGREEMENT = 0.5


def compare(baseline: dict[str, Any], candidate: dict[str, Any], task: str) -> Parity:
    """Closeness on the same device; not `ok` for other shapes, values that are not finite, or outputs gone astray."""
    import numpy as np

    from edgewright.tasks.fidelity import fidelity

    if [value.shape for value in baseline.values()] != [value.shape for value in candidate.values()]:
        return Parity(None, None, None, False, "its outputs have other shapes than the baseline's")
    if not all(np.isfinite(value).all() for value in candidate.values() if value.dtype.kind == "f"):
        return Parity(None, None, None, False, "its outputs hold NaN or infinity")
    close = fidelity(baseline, candidate, classification=task == Task.CLASSIFICATION)
    agrees = close.agreement is None or close.agreement >= LEAST_AGREEMENT
    ok = close.sqnr_db >= LEAST_SQNR_DB and agrees
    same = "" if close.agreement is None else f", same answer on {close.agreement:.0%} of golden inputs"
    near = f"within {close.sqnr_db:.1f} dB of" if math.isfinite(close.sqnr_db) else "equal to"
    text = f"outputs {near} the baseline's{same}"
    return Parity(close.agreement, close.sqnr_db, close.cosine, ok, text)
