"""Slots: which artifact is active under a name, and which one was before it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Callable

from edgewright_agent.artifacts import ArtifactStore, disk_errors
from edgewright_agent.lease import DeviceLease
from edgewright_agent.measure.values import LocalCandidate, WorkerSettings
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.files import write_atomic
from edgewright_contract.limits import check_candidate, check_name
from edgewright_contract.values import Candidate, Deployment, Loaded

SLOTS_MAX = 64

SmokeRun = Callable[[LocalCandidate, WorkerSettings, Callable[[], bool]], Loaded]


class SlotTable:
    """A JSON file, replaced as a whole: after a power cut either the old deployment is active or the new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._slots = self._load()

    def list(self) -> tuple[Deployment, ...]:
        with self._lock:
            return tuple(self._slots[name] for name in sorted(self._slots))

    def used(self) -> frozenset[str]:
        """The artifacts of all slots, those before the active ones included."""
        both = ((one.sha256, one.previous_sha256) for one in self.list())
        return frozenset(sha256 for pair in both for sha256 in pair if sha256)

    def switch(self, slot: str, candidate: Candidate) -> Deployment:
        """Make `candidate` the active one of `slot`. Deploying the active artifact again keeps the one before."""
        with self._lock:
            if slot not in self._slots and len(self._slots) >= SLOTS_MAX:
                raise EdgewrightError(
                    ErrorCode.REQUEST_INVALID,
                    f"{SLOTS_MAX} slots are in use, which is the most there may be",
                    "deploy to one of them",
                )
            active = self._slots.get(slot)
            previous = ""
            if active is not None:
                same = active.sha256 == candidate.sha256
                previous = active.previous_sha256 if same else active.sha256
            deployment = Deployment(
                slot=slot,
                sha256=candidate.sha256,
                label=candidate.label,
                previous_sha256=previous,
                runtime=candidate.runtime,
                threads=candidate.threads,
                format=candidate.format,
                deployed_unix_ns=time.time_ns(),
            )
            slots = {**self._slots, slot: deployment}
            document = {"version": 1, "slots": [asdict(one) for one in slots.values()]}
            with disk_errors(f"slot {slot}"):
                write_atomic(self._path, json.dumps(document, indent=1).encode("utf-8"))
            self._slots = slots
            return deployment

    def _load(self) -> dict[str, Deployment]:
        try:
            document = json.loads(self._path.read_text("utf-8"))
            return {one["slot"]: Deployment(**one) for one in document["slots"]}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError) as error:
            raise EdgewrightError(
                ErrorCode.AGENT_STATE_UNUSABLE,
                f"{self._path} is damaged: {error}",
                "remove the file and deploy again",
            ) from error


class Deployer:
    """Staged: the artifact is verified, loaded and run once in a worker; only then the slot switches."""

    def __init__(
        self,
        store: ArtifactStore,
        slots: SlotTable,
        lease: DeviceLease,
        worker: WorkerSettings,
        smoke_run: SmokeRun,
    ) -> None:
        self._store = store
        self._slots = slots
        self._lease = lease
        self._worker = worker
        self._smoke_run = smoke_run

    def deploy(self, slot: str, candidate: Candidate, alive: Callable[[], bool]) -> tuple[Deployment, Loaded]:
        check_name(slot, "slot")
        check_candidate(candidate)
        with self._store.using(candidate.sha256):
            self._store.require(candidate.sha256)
            with self._lease.held(f"deployment to slot {slot}", alive):
                path = self._store.path(candidate.sha256)
                loaded = self._smoke_run(LocalCandidate(candidate, path), self._worker, lambda: not alive())
                if not alive():
                    raise EdgewrightError(ErrorCode.CANCELLED, f"the deployment to slot {slot} was given up")
                return self._slots.switch(slot, candidate), loaded
