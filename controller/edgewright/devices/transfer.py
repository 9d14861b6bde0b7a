"""Moving files between controller and agent: chunked, resumed by offset, verified by sha256."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgewright.core.values import ProgressCallback, ProgressEvent
from edgewright.devices.client import AgentClient
from edgewright_contract import agent_pb2 as pb
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.transfer import push_requests

# The slowest link that is still served: 64 KiB/s, and a minute on top.
SLOWEST_BYTES_PER_SECOND = 64 * 1024
RETRIES = 6
_TRANSIENT = {ErrorCode.DEVICE_UNREACHABLE, ErrorCode.DEVICE_TIMEOUT, ErrorCode.ARTIFACT_OFFSET}


def push_file(
    client: AgentClient,
    path: Path,
    sha256: str,
    text: str,
    progress: ProgressCallback,
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Brings the file at `path` to the agent and returns the bytes sent: 0 when the agent had it.

    A broken link is retried from the offset that the agent reports, up to RETRIES times.
    Raises what the agent refuses (DISK_FULL, ARTIFACT_CORRUPT, ...), or DEVICE_UNREACHABLE when the link stays broken.
    """
    size = path.stat().st_size
    sent = 0
    for attempt in range(RETRIES + 1):
        try:
            state = client.query_artifact(sha256)
            if state.complete:
                progress(ProgressEvent(text, size, size))
                return sent
            counter = _Counter(sent)
            try:
                requests = push_requests(path, sha256, size, state.received_bytes)
                messages = _counted(requests, size, state.received_bytes, text, progress, counter)
                client.push_messages(messages, 60 + size / SLOWEST_BYTES_PER_SECOND)
            finally:
                sent = counter.sent
            return sent
        except EdgewrightError as failure:
            if failure.code not in _TRANSIENT or attempt == RETRIES:
                raise
            wait(min(0.25 * 2**attempt, 2.0))
    raise AssertionError("the loop returns or raises")


class _Counter:
    """Bytes handed to the transport so far, over all attempts."""

    def __init__(self, sent: int) -> None:
        self.sent = sent


def _counted(
    messages: Iterator[pb.PushArtifactRequest],
    size: int,
    offset: int,
    text: str,
    progress: ProgressCallback,
    counter: _Counter,
) -> Iterator[pb.PushArtifactRequest]:
    position = offset
    for message in messages:
        yield message
        position += len(message.data)
        counter.sent += len(message.data)
        progress(ProgressEvent(text, position, size))


def fetch_file(client: AgentClient, sha256: str, destination: Path) -> int:
    """Fetches an artifact to `destination` (written only when size and sha256 match); returns its size."""
    partial = destination.with_name(f".{destination.name}.part")
    digest = hashlib.sha256()
    expected = -1
    try:
        with partial.open("wb") as file:
            for message in client.fetch_messages(sha256, 0, 600):
                if message.WhichOneof("part") == "header":
                    expected = message.header.size_bytes
                else:
                    digest.update(message.data)
                    file.write(message.data)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if size != expected or digest.hexdigest() != sha256:
            raise EdgewrightError(
                ErrorCode.ARTIFACT_CORRUPT,
                f"artifact {sha256[:12]} arrived with {size} of {expected} bytes or a wrong hash",
                "run the command again; if it repeats, check the device's disk",
            )
        partial.replace(destination)
        return size
    finally:
        partial.unlink(missing_ok=True)
