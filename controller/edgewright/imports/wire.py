"""The protobuf wire format, just enough to tell an ONNX file from others without parsing it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

# Field numbers of onnx.ModelProto and their wire types (0 varint, 2 length-delimited).
_MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_GRAPH, _IR_VERSION, _OPSETS = 7, 1, 8
# Field numbers of onnx.GraphProto.
_GRAPH_FIELDS = {1: 2, 2: 2, 5: 2, 10: 2, 11: 2, 12: 2, 13: 2, 14: 2, 15: 2, 16: 2}


def is_onnx_message(path: Path) -> bool:
    """Whether the file starts like onnx.ModelProto: only its fields, with a version and a graph among them.

    A file cut short inside its graph still counts, so that it can be reported as damaged rather than unknown.
    """
    size = path.stat().st_size
    seen: set[int] = set()
    with path.open("rb") as stream:
        while stream.tell() < size:
            field = _field(stream)
            if field is None or _MODEL_FIELDS.get(field[0]) != field[1]:
                return _GRAPH in seen and _IR_VERSION in seen
            number, kind = field
            seen.add(number)
            value = _varint(stream)
            if value is None:
                return False
            if number == _IR_VERSION and not 1 <= value <= 1000:
                return False
            if kind == 2:
                if number == _GRAPH and not _starts_like_graph(stream, value):
                    return False
                if stream.tell() + value > size:
                    return _GRAPH in seen
                stream.seek(value, 1)
    return _GRAPH in seen and (_IR_VERSION in seen or _OPSETS in seen)


def _starts_like_graph(stream: BinaryIO, length: int) -> bool:
    start = stream.tell()
    field = _field(stream) if length else None
    stream.seek(start)
    return length == 0 or field is None or _GRAPH_FIELDS.get(field[0]) == field[1]


def _field(stream: BinaryIO) -> tuple[int, int] | None:
    key = _varint(stream)
    return None if key is None else (key >> 3, key & 7)


def _varint(stream: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None
