"""A zip file of stored parts, written so that every byte of it can be accounted for. Bytes in, bytes out.

Any unzip program reads it. The same parts give the same bytes (APPNOTE.TXT 4.3: local headers, central directory,
end record; no compression, no dates, no extra fields), so a reader can find a single altered byte anywhere.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION, _UTF8, _STORED, _TIME, _DATE = 20, 0x800, 0, 0, 0x21  # 1 January 1980
_LIMIT = 0xFFFFFFFF  # above, a zip needs 64-bit records


@dataclass(frozen=True)
class Part:
    """One member: its name, where its bytes lie in the file, and the bytes."""

    name: str
    start: int
    data: bytes


@dataclass(frozen=True)
class Damage:
    """Bytes `start` .. `end` (both included, of the whole file) that are not what was written."""

    part: str  # "": the archive's own structure
    start: int
    end: int
    reason: str


def pack(parts: Mapping[str, bytes]) -> bytes:
    """The archive of `parts`, in their order. Raises ValueError above 4 GB."""
    body, directory = bytearray(), bytearray()
    for name, data in parts.items():
        start = len(body)
        body += _local_header(name, data) + data
        directory += _central_entry(name, data, start)
        if len(body) > _LIMIT:
            raise ValueError("more than 4 GB do not fit into one result file")
    end = _END.pack(b"PK\x05\x06", 0, 0, len(parts), len(parts), len(directory), len(body), 0)
    return bytes(body + directory + end)


def unpack(data: bytes) -> tuple[tuple[Part, ...], tuple[Damage, ...]]:
    """The parts found from the front of the file, and what is wrong with it; never raises.

    Reading goes by the local headers, so a file that was cut still shows the parts before the cut.
    """
    parts: list[Part] = []
    damages: list[Damage] = []
    position = 0
    while data[position : position + 4] == b"PK\x03\x04":
        if len(data) < position + _LOCAL.size:
            return tuple(parts), (*damages, Damage("", position, len(data) - 1, "the file ends inside a header"))
        fields = _LOCAL.unpack_from(data, position)
        checksum, size, name_length = fields[6], fields[8], fields[9]
        start = position + _LOCAL.size + name_length + fields[10]
        name = data[position + _LOCAL.size : position + _LOCAL.size + name_length].decode("utf-8", "replace")
        content = data[start : start + size]
        if len(content) < size:
            reason = f"the file ends {size - len(content)} bytes before the end of this part"
            return tuple(parts), (*damages, Damage(name, start, len(data) - 1, reason))
        if zlib.crc32(content) != checksum:
            damages.append(Damage(name, start, start + size - 1, "its checksum differs"))
        parts.append(Part(name, start, content))
        position = start + size
    if not damages:
        damages += _structure(data, parts)
    return tuple(parts), tuple(damages)


def _structure(data: bytes, parts: list[Part]) -> list[Damage]:
    """Whether headers and directory are byte by byte what `pack` writes."""
    expected = pack({part.name: part.data for part in parts})
    if data == expected:
        return []
    first = next((i for i, (a, b) in enumerate(zip(data, expected, strict=False)) if a != b), None)
    if first is None:
        shorter = min(len(data), len(expected))
        reason = "the file is cut" if len(data) < len(expected) else "bytes follow the end of the archive"
        return [Damage("", shorter, max(shorter, len(data) - 1), reason)]
    last = max(i for i, (a, b) in enumerate(zip(data, expected, strict=False)) if a != b)
    return [Damage("", first, last, "a header or the directory of the archive was altered")]


def _local_header(name: str, data: bytes) -> bytes:
    encoded = name.encode()
    return (
        _LOCAL.pack(
            *(b"PK\x03\x04", _VERSION, _UTF8, _STORED, _TIME, _DATE),
            *(zlib.crc32(data), len(data), len(data), len(encoded), 0),
        )
        + encoded
    )


def _central_entry(name: str, data: bytes, start: int) -> bytes:
    encoded = name.encode()
    return (
        _CENTRAL.pack(
            *(b"PK\x01\x02", _VERSION, _VERSION, _UTF8, _STORED, _TIME, _DATE),
            *(zlib.crc32(data), len(data), len(data), len(encoded), 0, 0, 0, 0, 0, start),
        )
        + encoded
    )
