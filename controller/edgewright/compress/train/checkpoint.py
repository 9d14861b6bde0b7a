"""The state of a training on disk: one .npz of plain arrays and JSON, whole or absent, and the best network so far."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.graph.files import atomic_file
from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode

VERSION = 1


class CheckpointFolder:
    """`state.npz` and the network it calls the best, `best-STEP.onnx`. Nothing in it is ever executed on reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*.part"):
            leftover.unlink(missing_ok=True)

    def best_path(self, step: int) -> Path:
        return self.folder / f"best-{step}.onnx"

    def save(self, arrays: Mapping[str, Array], facts: Mapping[str, Any], best_step: int) -> None:
        """Writes the state, then removes networks that it no longer refers to. Raises DISK_FULL."""
        names = list(arrays)
        text = json.dumps({"version": VERSION, "names": names, "facts": dict(facts)})
        members: dict[str, Any] = {f"a{place}": arrays[name] for place, name in enumerate(names)}
        with atomic_file(self._state) as temporary, temporary.open("wb") as stream:
            np.savez(stream, json=np.frombuffer(text.encode(), np.uint8), **members)
        for path in self.folder.glob("best-*.onnx"):
            if path != self.best_path(best_step):
                path.unlink(missing_ok=True)

    def load(self) -> tuple[dict[str, Array], dict[str, Any]] | None:
        """(arrays, facts) of the last save, None where there is none.

        Raises OPTION_INVALID where the file is damaged or of another version.
        """
        if not self._state.is_file():
            return None
        try:
            with self._state.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                header = json.loads(stored["json"].tobytes())
                if header["version"] != VERSION:
                    raise ValueError(f"its version is {header['version']}, this program's is {VERSION}")
                arrays = {name: stored[f"a{place}"] for place, name in enumerate(header["names"])}
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"the checkpoint {self._state} cannot be read: {error}",
                f"delete the folder {self.folder.name} to start over",
            ) from error
        return arrays, header["facts"]

    @property
    def _state(self) -> Path:
        return self.folder / "state.npz"


def refuse_other(saved: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path) -> None:
    """Raises OPTION_INVALID, naming what differs, unless the checkpoint is of the same training."""
    different = [name for name in wanted if saved.get(name) != wanted[name]]
    if different:
        listed = ", ".join(f"{name} (was {saved.get(name)!r}, is {wanted[name]!r})" for name in different[:3])
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID,
            f"the checkpoint in {folder} belongs to another training: {listed}",
            "give the same models and options to go on, or another checkpoint folder to start over",
        )
