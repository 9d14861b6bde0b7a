"""Jobs on an agent as seen from here: start once, watch through broken links, stop cleanly."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Ended, Job, JobEvent

if TYPE_CHECKING:
    from edgewright.devices.client import AgentClient

RECONNECT_SECONDS = 60.0
_BROKEN_LINK = {ErrorCode.DEVICE_UNREACHABLE, ErrorCode.DEVICE_TIMEOUT}


def follow(
    client: AgentClient,
    job: Job,
    seconds: float,
    on_event: Callable[[JobEvent], bool],
    wait: Callable[[float], None] = time.sleep,
) -> tuple[JobEvent, ...]:
    """All events of a job to its end.

    `on_event` sees each event and returns True to have the job finish early with what it has. A link that breaks is
    tried again for RECONNECT_SECONDS, without losing or repeating an event. Leaving by an exception (Ctrl-C too)
    cancels the job. Raises what the job ended with, when that is not "done".
    """
    events: list[JobEvent] = []
    asked_to_finish = False
    broken_since: float | None = None
    try:
        while True:
            try:
                after = events[-1].sequence if events else 0
                for event in client.watch_job(job.id, after, seconds):
                    broken_since = None
                    events.append(event)
                    if isinstance(event.payload, Ended):
                        _raise_failure(event.payload)
                        return tuple(events)
                    if on_event(event) and not asked_to_finish:
                        client.stop_job(job.id, keep_result=True)
                        asked_to_finish = True
            except EdgewrightError as failure:
                now = time.monotonic()
                broken_since = broken_since or now
                if failure.code not in _BROKEN_LINK or now - broken_since > RECONNECT_SECONDS:
                    raise
            wait(0.5)
    except BaseException:
        if not (events and isinstance(events[-1].payload, Ended)):
            _cancel(client, job)
        raise


def _cancel(client: AgentClient, job: Job) -> None:
    try:
        client.stop_job(job.id, keep_result=False)
    except EdgewrightError:
        return  # the agent is out of reach: its own time limit ends the job


def _raise_failure(ended: Ended) -> None:
    if ended.state == "done":
        return
    try:
        code = ErrorCode(ended.error_code)
    except ValueError:
        code = ErrorCode.WORKER_FAILED  # a newer agent may know codes that we do not
    raise EdgewrightError(code, ended.error_message or f"the job ended as {ended.state}", ended.error_hint)
