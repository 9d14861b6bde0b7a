"""Outputs that an agent computed, brought here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright_contract.errors import EdgewrightError, ErrorCode

if TYPE_CHECKING:
    from edgewright.devices.client import AgentClient


def fetch_outputs(client: AgentClient, sha256: str, scratch: Path) -> dict[str, Any]:
    """Arrays by output name, samples along axis 0. Raises ARTIFACT_CORRUPT for what is no .npz of plain arrays."""
    import numpy as np

    from edgewright.devices.transfer import fetch_file

    path = scratch / f"{sha256}.npz"
    fetch_file(client, sha256, path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, KeyError) as failure:
        raise EdgewrightError(
            ErrorCode.ARTIFACT_CORRUPT,
            f"the outputs of the agent cannot be read: {failure}",
            "run the command again",
        ) from failure
