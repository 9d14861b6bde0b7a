"""Work that outlives the call that started it: one job at a time, in order; every event kept in its journal."""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator, Protocol

from edgewright_agent.artifacts import disk_errors
from edgewright_agent.journal import Journal
from edgewright_agent.lease import DeviceLease
from edgewright_contract import agent_pb2 as pb
from edgewright_contract.convert import job_event_to_proto
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.files import sync_folder, write_atomic
from edgewright_contract.limits import JOBS_KEPT, QUEUE_MAX, check_request_id
from edgewright_contract.values import Ended, Job, JobEvent, JobPayload

STOP_WAIT_S = 2.0  # how long StopJob waits to report the state after the stop
_FOREVER_S = 1e9
_ID = re.compile(r"(\d{8})-[0-9a-f]{8}")

logger = logging.getLogger(__name__)


class JobControl:
    """The Control a measurement asks; the queue sets it."""

    def __init__(self) -> None:
        self.cancel = threading.Event()
        self.finish = threading.Event()
        self.interrupted = False

    def cancelled(self) -> bool:
        return self.cancel.is_set()

    def wanted(self) -> bool:
        return not self.cancelled()

    def finish_requested(self) -> bool:
        return self.finish.is_set()


class JobRunner(Protocol):
    """Does a job's work in the calling thread; raises EdgewrightError where it fails."""

    def __call__(
        self,
        kind: str,
        request: bytes,
        workspace: Path,
        emit: Callable[[JobPayload], None],
        control: JobControl,
    ) -> None: ...


@dataclass
class _Entry:
    id: str
    kind: str
    request_id: str
    created_unix_ns: int
    request: bytes
    journal: Journal
    state: str = "queued"
    unstored_end: pb.JobEvent | None = None
    control: JobControl = field(default_factory=JobControl)
    resources: ExitStack = field(default_factory=ExitStack)

    @property
    def has_ended(self) -> bool:
        return self.state not in ("queued", "running")


def _interrupted() -> Ended:
    return Ended(
        "failed",
        ErrorCode.JOB_INTERRUPTED.value,
        "the agent stopped before the job had ended",
        "start the job again",
    )


class JobQueue:
    def __init__(
        self, folder: Path, workspaces: Path, lease: DeviceLease, run: JobRunner, keep: int = JOBS_KEPT
    ) -> None:
        self._folder = folder
        self._workspaces = workspaces
        self._lease = lease
        self._run = run
        self._keep = keep
        self._changed = threading.Condition()
        self._closing = False
        self._jobs: dict[str, _Entry] = {}
        self._load()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    # ---- what the servicer calls ----

    def submit(
        self,
        kind: str,
        request_id: str,
        request: bytes,
        resources: Sequence[AbstractContextManager[None]] = (),
    ) -> Job:
        """Queue a job; the same `request_id` with the same request again is the job there is.

        `resources` are entered now and left when the job has ended. Raises QUEUE_FULL, REQUEST_INVALID.
        """
        check_request_id(request_id)
        with self._changed:
            for entry in self._jobs.values():
                if entry.request_id == request_id:
                    if (entry.kind, entry.request) != (kind, request):
                        raise EdgewrightError(
                            ErrorCode.REQUEST_INVALID,
                            f"request_id {request_id} was used for another request",
                            "choose a new random request_id for each new job",
                        )
                    return self._public(entry)
            waiting = sum(entry.state == "queued" for entry in self._jobs.values())
            if waiting >= QUEUE_MAX or self._closing:
                raise EdgewrightError(
                    ErrorCode.QUEUE_FULL, f"{waiting} jobs are waiting already", "wait, or stop one of them"
                )
            entry = self._create(kind, request_id, request)
            for resource in resources:
                entry.resources.enter_context(resource)
            self._jobs[entry.id] = entry
            self._changed.notify_all()
            return self._public(entry)

    def list(self) -> tuple[Job, ...]:
        with self._changed:
            return tuple(self._public(entry) for entry in self._jobs.values())

    def watch(self, job_id: str, after: int, alive: Callable[[], bool]) -> Iterator[pb.JobEvent]:
        """Events numbered above `after`: those there are, then each as it comes; ends after the last one.

        A watcher that has seen more than a power cut left in the journal still gets the last event.
        """
        entry = self._entry(job_id)
        journal, reader = entry.journal, entry.journal.reader()
        while alive():
            with self._changed:
                if journal.count <= after and not entry.has_ended:
                    self._changed.wait(0.5)
                ended, count = entry.has_ended, journal.count
            if ended and after > count:
                after = count - 1
            try:
                for event in reader.read(after):
                    after = event.sequence
                    yield event
            except FileNotFoundError as error:
                raise _unknown(job_id) from error
            if ended and after >= count:
                if entry.unstored_end is not None:
                    yield entry.unstored_end
                return

    def stop(self, job_id: str, keep_result: bool, wait_s: float = STOP_WAIT_S) -> Job:
        """Ask a job to finish with what it has, or cancel it; wait a little for it to end."""
        entry = self._entry(job_id)
        with self._changed:
            if entry.state == "queued" or not keep_result:
                entry.control.cancel.set()
            else:
                entry.control.finish.set()
            if entry.state == "queued":
                self._end(entry, _cancelled())
            self._changed.notify_all()
            until = time.monotonic() + wait_s
            while not entry.has_ended and time.monotonic() < until:
                self._changed.wait(until - time.monotonic())
            return self._public(entry)

    def close(self, wait_s: float = 1.5) -> None:
        """Stop working. What has not ended by then is closed at the next start."""
        with self._changed:
            self._closing = True
            for entry in self._jobs.values():
                if not entry.has_ended:
                    entry.control.interrupted = True
                    entry.control.cancel.set()
                if entry.state == "queued":
                    self._end(entry, _interrupted())
            self._changed.notify_all()
        self._thread.join(wait_s)

    # ---- inside ----

    def _entry(self, job_id: str) -> _Entry:
        with self._changed:
            entry = self._jobs.get(job_id)
        if entry is None:
            raise _unknown(job_id)
        return entry

    def _public(self, entry: _Entry) -> Job:
        queued = [one.id for one in self._jobs.values() if one.state == "queued"]
        position = queued.index(entry.id) + 1 if entry.id in queued else 0
        return Job(entry.id, entry.kind, entry.state, position, entry.created_unix_ns)

    def _create(self, kind: str, request_id: str, request: bytes) -> _Entry:
        number = max((int(job_id[:8]) for job_id in self._jobs), default=0) + 1
        job_id = f"{number:08d}-{secrets.token_hex(4)}"
        created = time.time_ns()
        facts = {
            "kind": kind,
            "request_id": request_id,
            "created_unix_ns": created,
            "request": request.hex(),
        }
        folder = self._folder / job_id
        with disk_errors(f"job {job_id}"):
            folder.mkdir(mode=0o700)
            write_atomic(folder / "job.json", json.dumps(facts).encode("utf-8"))
            sync_folder(self._folder)
        return _Entry(job_id, kind, request_id, created, request, Journal(folder / "events.bin"))

    def _load(self) -> None:
        """Read the jobs of earlier runs; those that had not ended are closed as failed."""
        for folder in sorted(self._folder.iterdir()):
            try:
                facts = json.loads((folder / "job.json").read_text("utf-8"))
                entry = _Entry(
                    id=folder.name,
                    kind=facts["kind"],
                    request_id=facts["request_id"],
                    created_unix_ns=facts["created_unix_ns"],
                    request=bytes.fromhex(facts["request"]),
                    journal=Journal(folder / "events.bin"),
                )
            except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
                logger.warning("removing %s: a power cut left only a part of a job there", folder.name)
                shutil.rmtree(str(folder), ignore_errors=True)
                continue
            if not _ID.fullmatch(folder.name):
                continue
            self._jobs[entry.id] = entry
            if entry.journal.ended is not None:
                entry.state = entry.journal.ended.state
            else:
                self._end(entry, _interrupted())
        self._forget_old()

    def _work(self) -> None:
        while True:
            with self._changed:
                entry = next((one for one in self._jobs.values() if one.state == "queued"), None)
                if entry is None:
                    if self._closing:
                        return
                    self._changed.wait()
                    continue
            try:
                with self._lease.held(f"job {entry.id}", entry.control.wanted, _FOREVER_S):
                    with self._changed:
                        if entry.has_ended:
                            continue
                        entry.state = "running"
                        self._changed.notify_all()
                    ended = self._execute(entry)
            except EdgewrightError:  # cancelled before its turn
                ended = _cancelled()
            with self._changed:
                if not entry.has_ended:
                    self._end(entry, ended)
                self._forget_old()

    def _execute(self, entry: _Entry) -> Ended:
        workspace = self._workspaces / entry.id

        def emit(payload: JobPayload) -> None:
            with disk_errors(f"an event of job {entry.id}"):
                entry.journal.append(payload)
            with self._changed:
                self._changed.notify_all()

        error = None
        try:
            with disk_errors(f"the workspace of job {entry.id}"):
                workspace.mkdir(mode=0o700, exist_ok=True)
            self._run(entry.kind, entry.request, workspace, emit, entry.control)
        except EdgewrightError as caught:
            error = caught
        except Exception:
            logger.exception("job %s failed in a way nobody foresaw", entry.id)
            error = EdgewrightError(ErrorCode.INTERNAL, "the agent failed", "the agent's log has the details")
        finally:
            shutil.rmtree(str(workspace), ignore_errors=True)
        if entry.control.interrupted:
            return _interrupted()
        if entry.control.cancelled():
            return _cancelled()
        if error is not None:
            return Ended("failed", error.code.value, error.message, error.hint)
        return Ended("done")

    def _end(self, entry: _Entry, ended: Ended) -> None:
        try:
            entry.journal.append(ended)
        except OSError:
            logger.exception("the end of job %s could not be stored", entry.id)  # the next start closes it
            entry.unstored_end = job_event_to_proto(JobEvent(entry.journal.count + 1, ended))
        entry.state = ended.state
        entry.resources.close()
        with self._changed:
            self._changed.notify_all()

    def _forget_old(self) -> None:
        ended = [entry for entry in self._jobs.values() if entry.has_ended]
        for entry in ended[: max(0, len(ended) - self._keep)]:
            del self._jobs[entry.id]
            shutil.rmtree(str(self._folder / entry.id), ignore_errors=True)


def _cancelled() -> Ended:
    return Ended("cancelled", ErrorCode.CANCELLED.value, "the job was cancelled")


def _unknown(job_id: str) -> EdgewrightError:
    return EdgewrightError(
        ErrorCode.JOB_UNKNOWN, f"there is no job {job_id[:64]!r} on this device", "list the jobs to see their ids"
    )
