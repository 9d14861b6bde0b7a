"""Moving artifacts: chunk size, hashes of files, and the messages of a push in their order."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO, Iterator

from edgewright_contract import agent_pb2 as pb
from edgewright_contract.limits import check_artifact_size, check_sha256

# 256 KiB to 1 MiB were equally fast on loopback; 4 MiB is refused by default limits.
CHUNK_BYTES = 512 * 1024


def validate_sha256(value: str) -> str:
    """Return `value` if it is 64 lower-case hexadecimal digits, else raise REQUEST_INVALID."""
    return check_sha256(value)


def sha256_of_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def update_from_file(digest: hashlib._Hash, stream: BinaryIO, limit: int | None = None) -> int:
    """Feed up to `limit` bytes of `stream` (None: all of it) into `digest`; return how many there were."""
    total = 0
    while limit is None or total < limit:
        data = stream.read(CHUNK_BYTES if limit is None else min(CHUNK_BYTES, limit - total))
        if not data:
            break
        digest.update(data)
        total += len(data)
    return total


def sha256_of_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        update_from_file(digest, stream)
    return digest.hexdigest()


def chunks_of(stream: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    """At most `size_bytes` bytes of `stream`, in pieces of CHUNK_BYTES."""
    left = size_bytes
    while left > 0:
        data = stream.read(min(CHUNK_BYTES, left))
        if not data:
            return
        left -= len(data)
        yield data


def push_header(sha256: str, size_bytes: int, offset: int) -> pb.PushHeader:
    return pb.PushHeader(sha256=validate_sha256(sha256), size_bytes=check_artifact_size(size_bytes), offset=offset)


def push_requests(path: Path, sha256: str, size_bytes: int, offset: int = 0) -> Iterator[pb.PushArtifactRequest]:
    """The messages of one PushArtifact call: the header, then the bytes of `path` from `offset` on."""
    yield pb.PushArtifactRequest(header=push_header(sha256, size_bytes, offset))
    with path.open("rb") as stream:
        stream.seek(offset)
        for data in chunks_of(stream, size_bytes - offset):
            yield pb.PushArtifactRequest(data=data)


def fetch_responses(path: Path, sha256: str, offset: int = 0) -> Iterator[pb.FetchArtifactResponse]:
    """The messages of one FetchArtifact answer: the header, then the bytes of `path` from `offset` on."""
    with path.open("rb") as stream:
        size_bytes = stream.seek(0, 2)
        stream.seek(offset)
        yield pb.FetchArtifactResponse(header=push_header(sha256, size_bytes, offset))
        for data in chunks_of(stream, size_bytes - offset):
            yield pb.FetchArtifactResponse(data=data)
