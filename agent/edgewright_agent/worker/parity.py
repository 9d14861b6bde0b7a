"""How close a network's outputs are to the baseline's, computed where the outputs are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright_contract.errors import EdgewrightError, ErrorCode

if TYPE_CHECKING:
    from edgewright_agent.runtimes.base import Array


def compare(expected: Path, outputs: Path, classes: bool, labels: list[int]) -> dict[str, Any]:
    """Both files are .npz: one array an output, samples along axis 0; matched by name, else by position.

    Gives `count` of samples, `same_shapes`, `finite`, `sqnr_db` = 10 log10(sum e^2 / sum (e - o)^2) over all outputs
    (None: equal; -999 at least), and with `classes`: `same`, the samples with the baseline's answer, `right` and
    `right_before`, those with the answer of `labels` (None without labels). Raises ARTIFACT_CORRUPT.
    """
    wanted, found = _arrays(expected), _arrays(outputs)
    ordered = [found[name] for name in wanted] if set(wanted) == set(found) else list(found.values())
    result: dict[str, Any] = {"same_shapes": [x.shape for x in wanted.values()] == [y.shape for y in ordered]}
    if not result["same_shapes"] or not ordered:
        shapes = [x.shape for x in wanted.values()], [y.shape for y in ordered]
        return {"same_shapes": False, "text": f"{shapes[1]} instead of the baseline's {shapes[0]}"}
    pairs = list(zip(wanted.values(), ordered))
    result["count"] = len(ordered[0])
    result["finite"] = all(bool(np.isfinite(y).all()) for y in ordered if y.dtype.kind == "f")
    result["sqnr_db"] = _sqnr_db(pairs) if result["finite"] else None
    if classes:
        before, now = (one.reshape(len(one), -1).argmax(axis=1) for one in pairs[0])
        result["same"] = int((before == now).sum())
        result["right"] = result["right_before"] = None
        if labels:
            if len(labels) != len(now):
                raise EdgewrightError(
                    ErrorCode.REQUEST_INVALID, f"{len(labels)} labels came with {len(now)} golden samples"
                )
            right = np.asarray(labels)
            result["right"], result["right_before"] = int((now == right).sum()), int((before == right).sum())
    return result


def _sqnr_db(pairs: list[tuple[Array, Array]]) -> float | None:
    signal = noise = 0.0
    for one, other in pairs:
        x, difference = one.astype(np.float64), one.astype(np.float64) - other.astype(np.float64)
        signal += float(np.vdot(x, x))
        noise += float(np.vdot(difference, difference))
    if noise == 0.0:
        return None
    return max(-999.0, 10.0 * math.log10(signal / noise)) if signal else -999.0


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, KeyError, EOFError, AttributeError, NotImplementedError) as error:
        raise EdgewrightError(
            ErrorCode.ARTIFACT_CORRUPT, f"the expected outputs are no readable .npz: {error}", "push them again"
        ) from error
