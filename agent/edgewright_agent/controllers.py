"""The controllers this agent trusts: one file each, named by the fingerprint of its certificate."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.files import sync_folder, write_atomic
from edgewright_contract.limits import CONTROLLERS_MAX
from edgewright_contract.values import PairedController

_FILE = re.compile(r"([0-9a-f]{64})\.json")


class ControllerStore:
    """Several processes may use one folder at once: the running agent and the command line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fingerprints(self) -> frozenset[str]:
        matches = (_FILE.fullmatch(path.name) for path in self._folder.iterdir())
        return frozenset(match.group(1) for match in matches if match)

    def list(self) -> tuple[PairedController, ...]:
        """All of them, oldest first. One revoked while we read is left out."""
        found = (self.get(fingerprint) for fingerprint in self.fingerprints())
        return tuple(sorted((one for one in found if one), key=lambda one: (one.paired_unix_ns, one.name)))

    def get(self, fingerprint: str) -> PairedController | None:
        path = self._path(fingerprint)
        try:
            return PairedController(**json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise EdgewrightError(
                ErrorCode.AGENT_STATE_UNUSABLE,
                f"{path} is damaged",
                "remove the file and pair that controller again",
            ) from error

    def add(self, controller: PairedController) -> None:
        known = self.fingerprints()
        if controller.fingerprint not in known and len(known) >= CONTROLLERS_MAX:
            raise EdgewrightError(
                ErrorCode.REQUEST_INVALID,
                f"{len(known)} controllers are paired, which is the most there may be",
                "revoke one with `edgewright-agent controllers revoke`",
            )
        text = json.dumps(asdict(controller), indent=1)
        write_atomic(self._path(controller.fingerprint), text.encode("utf-8"))

    def remove(self, fingerprint: str) -> bool:
        """False where there was none."""
        try:
            self._path(fingerprint).unlink()
        except FileNotFoundError:
            return False
        sync_folder(self._folder)
        return True

    def _path(self, fingerprint: str) -> Path:
        return self._folder / f"{fingerprint}.json"
