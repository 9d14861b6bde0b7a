"""The queue alone, with a runner the test steers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgewright_agent.jobs import JobControl, JobQueue
from edgewright_agent.lease import DeviceLease
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import JobPayload, Progress


class Steered:
    """A runner that does what the test says; by default it reports one progress."""

    def __init__(self) -> None:
        self.action: Callable[[Callable[[JobPayload], None], JobControl], None] = lambda emit, _: emit(
            Progress("working")
        )
        self.ran: list[str] = []

    def __call__(
        self,
        kind: str,
        request: bytes,
        workspace: Path,
        emit: Callable[[JobPayload], None],
        control: JobControl,
    ) -> None:
        assert workspace.is_dir()
        self.ran.append(request.decode())
        self.action(emit, control)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("jobs", "workspaces"):
        (tmp_path / name).mkdir()
    return tmp_path / "jobs", tmp_path / "workspaces"


@contextmanager
def queue(folders: tuple[Path, Path], runner: Steered, **options: object) -> Iterator[JobQueue]:
    opened = JobQueue(*folders, options.pop("lease", DeviceLease()), runner, **options)
    try:
        yield opened
    finally:
        opened.close()


def end_of(opened: JobQueue, job_id: str) -> object:
    return list(opened.watch(job_id, 0, lambda: True))[-1].ended


def test_only_the_last_jobs_are_kept(folders: tuple[Path, Path]) -> None:
    """Older ended jobs go, with their files; their numbers are not used again."""
    runner = Steered()
    with queue(folders, runner, keep=3) as opened:
        ids = []
        for number in range(6):
            job = opened.submit("evaluation", f"request-{number}", str(number).encode())
            assert end_of(opened, job.id).state == "done"
            ids.append(job.id)
    with queue(folders, runner, keep=3) as again:
        assert [job.id for job in again.list()] == ids[3:]
        assert again.submit("evaluation", "request-9", b"9").id[:8] == "00000007"

    assert runner.ran[:6] == [str(number) for number in range(6)]


def test_unforeseen_failure_ends_the_job(folders: tuple[Path, Path]) -> None:
    """A defect in a measurement fails its job without its text, and the queue goes on."""
    runner = Steered()

    def broken(emit: object, control: object) -> None:
        raise KeyError("secret")

    runner.action = broken
    with queue(folders, runner) as opened:
        ended = end_of(opened, opened.submit("benchmark", "request-1", b"1").id)
        runner.action = lambda emit, _: None
        assert end_of(opened, opened.submit("benchmark", "request-2", b"2").id).state == "done"

    assert (ended.state, ended.error_code) == ("failed", "internal")
    assert "secret" not in ended.error_message


def test_error_of_a_measurement_is_told(folders: tuple[Path, Path]) -> None:
    """Code, message and hint of an EdgewrightError arrive in the last event."""
    runner = Steered()

    def crashed(emit: object, control: object) -> None:
        raise EdgewrightError(ErrorCode.WORKER_CRASHED, "signal 11", "try another runtime")

    runner.action = crashed
    with queue(folders, runner) as opened:
        ended = end_of(opened, opened.submit("benchmark", "request-1", b"1").id)

    assert (ended.state, ended.error_code) == ("failed", "worker_crashed")
    assert (ended.error_message, ended.error_hint) == ("signal 11", "try another runtime")


def test_full_disk_ends_the_job(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that cannot be written ends the job for its watchers; the next start closes it on disk."""
    runner = Steered()
    begun, go_on = threading.Event(), threading.Event()

    def waits(emit: Callable[[JobPayload], None], control: object) -> None:
        begun.set()
        go_on.wait(10)
        emit(Progress("more"))

    runner.action = waits
    with queue(folders, runner) as opened:
        job = opened.submit("benchmark", "request-1", b"1")
        assert begun.wait(10)

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", full)
            go_on.set()
            while opened.list()[0].state == "running":
                threading.Event().wait(0.01)
        assert opened.list()[0].state == "failed"
        (told,) = opened.watch(job.id, 0, lambda: True)
        assert told.ended.error_code == "disk_full"
    with queue(folders, runner) as again:
        assert end_of(again, job.id).error_code == "job_interrupted"


def test_part_of_a_job_is_cleared_away(folders: tuple[Path, Path]) -> None:
    """A folder that a power cut left without its facts is no job."""
    (folders[0] / "00000001-0123abcd").mkdir()

    with queue(folders, Steered()) as opened:
        assert opened.list() == ()
        opened.submit("benchmark", "request-1", b"1")

    assert len(list(folders[0].iterdir())) == 1


def test_watcher_ahead_of_the_journal_gets_the_end(folders: tuple[Path, Path]) -> None:
    """A power cut may take events a watcher has seen; it still learns how the job ended."""
    with queue(folders, Steered()) as opened:
        job = opened.submit("benchmark", "request-1", b"1")
        end_of(opened, job.id)

        (last,) = opened.watch(job.id, 1000, lambda: True)

    assert last.ended.state == "done"


def test_resources_are_kept_until_the_end(folders: tuple[Path, Path]) -> None:
    """What a job needs is held from the moment it is queued until it has ended, cancelled or not."""
    held: list[str] = []

    @contextmanager
    def resource(name: str) -> Iterator[None]:
        held.append(name)
        yield
        held.remove(name)

    runner = Steered()
    go_on = threading.Event()
    runner.action = lambda emit, _: go_on.wait(10)
    with queue(folders, runner) as opened:
        first = opened.submit("benchmark", "request-1", b"1", [resource("first")])
        second = opened.submit("benchmark", "request-2", b"2", [resource("second")])
        assert held == ["first", "second"]
        opened.stop(second.id, keep_result=False)
        assert held == ["first"]
        go_on.set()
        end_of(opened, first.id)
        assert held == []


def test_device_is_leased_to_one(folders: tuple[Path, Path]) -> None:
    """While somebody else holds the device a job waits, can be cancelled, and others are told who has it."""
    lease = DeviceLease(patience_s=0.05)
    runner = Steered()
    with queue(folders, runner, lease=lease) as opened:
        with lease.held("deployment to slot cam", lambda: True):
            job = opened.submit("benchmark", "request-1", b"1")
            other = opened.submit("benchmark", "request-2", b"2")
            with pytest.raises(EdgewrightError) as caught, lease.held("deployment", lambda: True):
                pass
            assert opened.stop(job.id, keep_result=False).state == "cancelled"
            assert runner.ran == []
        assert end_of(opened, other.id).state == "done"

    assert caught.value.code is ErrorCode.DEVICE_BUSY
    assert "slot cam" in caught.value.message


def test_given_up_wait_is_cancelled() -> None:
    """A caller that hung up does not keep its place."""
    lease = DeviceLease()
    with lease.held("job 1", lambda: True), pytest.raises(EdgewrightError) as caught:  # noqa: SIM117
        with lease.held("deployment", lambda: False):
            pass
    assert caught.value.code is ErrorCode.CANCELLED
    with lease.held("deployment", lambda: True):
        pass
