"""A job's events in one file, numbered 1, 2, 3 ... : each its length (varint), its CRC-32, then the protobuf message.

The checksum is there for power cuts, which can leave zeros at the end of a file. Readers need no lock: they stop
at the length that was complete when they asked.
"""

from __future__ import annotations

import os
import threading
import zlib
from pathlib import Path
from typing import BinaryIO, Iterator

from google.protobuf.message import DecodeError

from edgewright_contract import agent_pb2 as pb
from edgewright_contract.convert import job_event_to_proto
from edgewright_contract.limits import MESSAGE_BYTES_MAX
from edgewright_contract.values import Ended, JobEvent, JobPayload

_CRC_BYTES = 4


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CRC_BYTES, "little")


def _read_record(stream: BinaryIO) -> bytes | None:
    """The next message's bytes; None at the end of the file or where it is cut or not a record."""
    length = shift = 0
    while True:
        byte = stream.read(1)
        if not byte or shift > 28:
            return None
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            break
    if length > MESSAGE_BYTES_MAX:
        return None
    checksum, data = stream.read(_CRC_BYTES), stream.read(length)
    return data if len(data) == length and checksum == _crc(data) else None


class Journal:
    """Opening one drops what a power cut left behind the last whole event."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._count, self._bytes, self.ended = self._recover()

    @property
    def count(self) -> int:
        """How many events there are; the number of the last one."""
        with self._lock:
            return self._count

    def append(self, payload: JobPayload) -> int:
        """Write one event; return its number. The last one, Ended, is durable when this returns."""
        with self._lock:
            if self.ended is not None:
                raise ValueError("the job has ended; nothing can follow")
            message = job_event_to_proto(JobEvent(self._count + 1, payload))
            data = message.SerializeToString()
            record = _varint(len(data)) + _crc(data) + data
            with self._path.open("r+b" if self._bytes else "wb") as stream:
                stream.seek(self._bytes)  # also over a record that a full disk cut short
                stream.truncate()
                stream.write(record)
                stream.flush()
                if isinstance(payload, Ended):
                    os.fsync(stream.fileno())
            self._bytes += len(record)
            self._count += 1
            if isinstance(payload, Ended):
                self.ended = message.ended
            return self._count

    def reader(self) -> JournalReader:
        return JournalReader(self)

    @property
    def path(self) -> Path:
        return self._path

    def _recover(self) -> tuple[int, int, pb.Ended | None]:
        count = size = 0
        ended = None
        if not self._path.is_file():
            return count, size, ended
        with self._path.open("rb") as stream:
            while ended is None:
                data = _read_record(stream)
                if data is None:
                    break
                try:
                    event = pb.JobEvent.FromString(data)
                except DecodeError:
                    break
                if event.sequence != count + 1 or event.WhichOneof("event") is None:
                    break
                count, size = count + 1, stream.tell()
                ended = event.ended if event.HasField("ended") else None
        return count, size, ended


class JournalReader:
    """Goes through a journal once, also while it grows."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._number = self._offset = 0

    def read(self, after: int) -> Iterator[pb.JobEvent]:
        """The events with numbers above `after` that exist now and were not read before."""
        count = self._journal.count
        if count <= self._number:
            return
        with self._journal.path.open("rb") as stream:
            stream.seek(self._offset)
            while self._number < count:
                data = _read_record(stream)
                if data is None:
                    return
                self._number, self._offset = self._number + 1, stream.tell()
                if self._number > after:
                    yield pb.JobEvent.FromString(data)
