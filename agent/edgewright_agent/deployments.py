"""Slots: which artifact is active under a name, and which ones were before it."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Callable, Iterator

from edgewright_agent.artifacts import ArtifactStore, disk_errors
from edgewright_agent.lease import DeviceLease
from edgewright_agent.measure.values import LocalCandidate, LocalInputs, WorkerSettings
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.files import write_atomic
from edgewright_contract.limits import check_candidate, check_goals, check_name, check_sha256
from edgewright_contract.values import Candidate, DeployChecks, DeployGoals, Deployment, Loaded, SlotChange

SLOTS_MAX = 64
HISTORY_MAX = 20
DEPLOY, ROLLBACK = "deploy", "rollback"

SmokeRun = Callable[[LocalCandidate, WorkerSettings, Callable[[], bool]], Loaded]


class SlotTable:
    """A JSON file, replaced as a whole: after a power cut either the old deployment is active or the new.

    Two neighbours in a slot's history never name the same artifact, so the last but one is what a rollback
    activates. An agent without rollbacks reads the same file and leaves the history out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._slots = self._load()

    def list(self) -> tuple[Deployment, ...]:
        with self._lock:
            return tuple(self._slots[name] for name in sorted(self._slots))

    def get(self, slot: str) -> Deployment:
        """Raises SLOT_UNKNOWN."""
        with self._lock:
            return self._get(slot)

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
            history = self._slots[slot].history if slot in self._slots else ()
            if history and history[-1].sha256 == candidate.sha256:
                history = history[:-1]
            change = SlotChange(
                how=DEPLOY,
                label=candidate.label,
                sha256=candidate.sha256,
                runtime=candidate.runtime,
                threads=candidate.threads,
                format=candidate.format,
                at_unix_ns=time.time_ns(),
            )
            return self._activate(slot, (*history, change))

    def roll_back(self, slot: str, active_sha256: str) -> Deployment:
        """Make the one before the active one active again; done twice, it goes forth again.

        `active_sha256` is what the caller saw active ("": whatever it is); where it is the one before already, a
        lost answer made the caller ask again, and nothing changes. Raises SLOT_UNKNOWN, ROLLBACK_UNAVAILABLE,
        DEVICE_BUSY where somebody else changed the slot in between.
        """
        with self._lock:
            now = self._get(slot)
            if active_sha256 and active_sha256 != now.sha256:
                if now.history[-1].how == ROLLBACK and active_sha256 == now.previous_sha256:
                    return now
                raise EdgewrightError(
                    ErrorCode.DEVICE_BUSY,
                    f"slot {slot} was changed in between: {now.label} ({now.sha256[:12]}) is active now",
                    "look at the slot, then roll back again if that is still what you want",
                )
            if not now.previous_sha256:
                raise EdgewrightError(
                    ErrorCode.ROLLBACK_UNAVAILABLE,
                    f"slot {slot} held nothing before {now.label}",
                    "push the variant you want",
                )
            change = replace(now.history[-2], how=ROLLBACK, at_unix_ns=time.time_ns())
            return self._activate(slot, (*now.history, change))

    # ---- inside, with the lock held ----

    def _get(self, slot: str) -> Deployment:
        found = self._slots.get(slot)
        if found is None:
            known = ", ".join(sorted(self._slots)) or "none"
            raise EdgewrightError(
                ErrorCode.SLOT_UNKNOWN, f"there is no slot {slot!r} on this device; it has: {known}", "name one of them"
            )
        return found

    def _activate(self, slot: str, history: tuple[SlotChange, ...]) -> Deployment:
        deployment = _deployment(slot, history[-HISTORY_MAX:])
        slots = {**self._slots, slot: deployment}
        document = {
            "version": 1,
            "slots": [_without_history(one) for one in slots.values()],
            "history": {one.slot: [asdict(change) for change in one.history] for one in slots.values()},
        }
        with disk_errors(f"slot {slot}"):
            write_atomic(self._path, json.dumps(document, indent=1).encode("utf-8"))
        self._slots = slots
        return deployment

    def _load(self) -> dict[str, Deployment]:
        try:
            document = json.loads(self._path.read_text("utf-8"))
            slots = {}
            for one in document["slots"]:
                active = Deployment(**one)
                changes = document.get("history", {}).get(active.slot, ())
                history = tuple(SlotChange(**change) for change in changes)
                if not history or history[-1].sha256 != active.sha256:
                    history = (_change_of(active),)  # written by an agent that knows no history
                slots[active.slot] = _deployment(active.slot, history)
            return slots
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise EdgewrightError(
                ErrorCode.AGENT_STATE_UNUSABLE,
                f"{self._path} is damaged: {error}",
                "remove the file and deploy again",
            ) from error


def _deployment(slot: str, history: tuple[SlotChange, ...]) -> Deployment:
    active = history[-1]
    return Deployment(
        slot=slot,
        sha256=active.sha256,
        label=active.label,
        previous_sha256=history[-2].sha256 if len(history) > 1 else "",
        runtime=active.runtime,
        threads=active.threads,
        format=active.format,
        deployed_unix_ns=active.at_unix_ns,
        history=history,
    )


def _without_history(deployment: Deployment) -> dict[str, Any]:
    plain = asdict(deployment)
    del plain["history"]
    return plain


def _change_of(active: Deployment) -> SlotChange:
    return SlotChange(
        how=DEPLOY,
        label=active.label,
        sha256=active.sha256,
        runtime=active.runtime,
        threads=active.threads,
        format=active.format,
        at_unix_ns=active.deployed_unix_ns,
    )


class Deployer:
    """Staged: the artifact is verified, loaded and run once in a worker; only then the slot switches."""

    def __init__(
        self,
        store: ArtifactStore,
        slots: SlotTable,
        lease: DeviceLease,
        worker: WorkerSettings,
        smoke_run: SmokeRun,
        workspaces: Path,
    ) -> None:
        self._store = store
        self._slots = slots
        self._lease = lease
        self._worker = worker
        self._smoke_run = smoke_run
        self._workspaces = workspaces

    def deploy(self, slot: str, candidate: Candidate, alive: Callable[[], bool]) -> tuple[Deployment, Loaded]:
        """Verify, load, run once, switch."""
        with self._staged(slot, candidate, (), alive) as local:
            loaded = self._smoke_run(local, self._worker, lambda: not alive())
            return self._switch(slot, candidate, alive), loaded

    def deploy_checked(
        self, slot: str, candidate: Candidate, goals: DeployGoals, alive: Callable[[], bool]
    ) -> tuple[Deployment, DeployChecks]:
        """Verify, load, run, compare with the baseline, time, switch. Raises DEPLOY_GOAL_MISSED, leaving the slot."""
        from edgewright_agent.goals import LocalGoals, run_checks

        check_goals(goals)
        needed = (goals.golden.sha256, goals.expected_sha256)
        with self._staged(slot, candidate, needed, alive) as local, self._workspace() as workspace:
            inputs = LocalInputs(self._store.path(goals.golden.sha256), goals.golden.normalization)
            local_goals = LocalGoals(goals, inputs, self._store.path(goals.expected_sha256))
            checks = run_checks(local, local_goals, self._worker, workspace, lambda: not alive())
            return self._switch(slot, candidate, alive), checks

    def rollback(self, slot: str, active_sha256: str) -> Deployment:
        """Activate what the slot held before, its bytes checked; nothing is loaded, so it is done at once."""
        check_name(slot, "slot")
        if active_sha256:
            check_sha256(active_sha256)
        now = self._slots.get(slot)
        if now.previous_sha256:
            with self._store.using(now.previous_sha256):
                self._store.path(now.previous_sha256)
                return self._slots.roll_back(slot, active_sha256 or now.sha256)
        return self._slots.roll_back(slot, active_sha256)

    @contextmanager
    def _staged(
        self, slot: str, candidate: Candidate, needed: tuple[str, ...], alive: Callable[[], bool]
    ) -> Iterator[LocalCandidate]:
        """The checked candidate with its files kept and the device held."""
        check_name(slot, "slot")
        check_candidate(candidate)
        everything = (candidate.sha256, *needed)
        with self._store.using(*everything):
            for sha256 in everything:
                self._store.require(sha256)
            with self._lease.held(f"deployment to slot {slot}", alive):
                yield LocalCandidate(candidate, self._store.path(candidate.sha256))

    @contextmanager
    def _workspace(self) -> Iterator[Path]:
        with disk_errors("a deployment's workspace"):
            folder = Path(tempfile.mkdtemp(prefix="deploy-", dir=str(self._workspaces)))
        try:
            yield folder
        finally:
            shutil.rmtree(str(folder), ignore_errors=True)

    def _switch(self, slot: str, candidate: Candidate, alive: Callable[[], bool]) -> Deployment:
        if not alive():
            raise EdgewrightError(ErrorCode.CANCELLED, f"the deployment to slot {slot} was given up")
        return self._slots.switch(slot, candidate)
