"""ONNX files in and out: one file, weights inside, checked before it is believed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import onnx_ir
from google.protobuf.message import DecodeError, EncodeError

from edgewright.graph.files import atomic_file
from edgewright_contract.errors import EdgewrightError, ErrorCode

# A protobuf message, hence an ONNX file with its weights inside, cannot be larger.
MAX_BYTES = 2**31 - 2**20

_EXPORT_AGAIN = "copy the file again, or export the model again"


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turns what the libraries raise about damaged content into MODEL_CORRUPT."""
    try:
        yield
    except (
        UnicodeDecodeError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
        onnx_ir.serde.SerdeError,
    ) as error:
        reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        raise EdgewrightError(
            ErrorCode.MODEL_CORRUPT, f"{path.name} is damaged: {reason[0][:200]}", _EXPORT_AGAIN
        ) from error


def load_model(path: Path) -> onnx.ModelProto:
    """The model with its weights inside.

    Raises FILE_NOT_FOUND, MODEL_CORRUPT (not a whole ONNX file), MODEL_TOO_LARGE (2 GiB and more),
    MODEL_WEIGHTS_MISSING (external data files absent, too short, or outside the model's folder).
    """
    if not path.is_file():
        raise EdgewrightError(ErrorCode.FILE_NOT_FOUND, f"no model file {path}", "check the path")
    if path.stat().st_size > MAX_BYTES:
        raise _too_large(path, path.stat().st_size)
    try:
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
    except (DecodeError, MemoryError) as error:
        raise EdgewrightError(
            ErrorCode.MODEL_CORRUPT, f"{path.name} is not a whole ONNX file: {error}", _EXPORT_AGAIN
        ) from error
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise EdgewrightError(ErrorCode.MODEL_CORRUPT, f"{path.name} holds no graph", _EXPORT_AGAIN)
    _load_external(model, path)
    return model


def save_model(model: onnx.ModelProto, destination: Path) -> int:
    """Writes `model` whole or not at all; returns the size in bytes."""
    try:
        data = model.SerializeToString()
    except (EncodeError, ValueError) as error:
        raise _too_large(destination, MAX_BYTES + 1) from error
    with atomic_file(destination) as temporary:
        temporary.write_bytes(data)
    return len(data)


def all_tensors(model: onnx.ModelProto) -> list[Any]:
    """Every TensorProto that can hold weights: initializers and constants, those of nested graphs too."""
    found: list[Any] = []
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        found.extend(graph.initializer)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    found.append(attribute.t)
                found.extend(attribute.tensors)
                if attribute.HasField("g"):
                    graphs.append(attribute.g)
                graphs.extend(attribute.graphs)
    return found


def _load_external(model: onnx.ModelProto, path: Path) -> None:
    """Reads external weights into the model; the files must lie in the model's own folder."""
    external = [tensor for tensor in all_tensors(model) if onnx.external_data_helper.uses_external_data(tensor)]
    if not external:
        return
    folder = path.parent.resolve()
    files: dict[str, Path] = {}
    for tensor in external:
        location = onnx.external_data_helper.ExternalDataInfo(tensor).location
        target = (folder / location).resolve() if location else folder
        if not location or Path(location).is_absolute() or not target.is_relative_to(folder):
            raise EdgewrightError(
                ErrorCode.MODEL_WEIGHTS_MISSING,
                f"{path.name} keeps weights in {location!r}, outside its own folder, which is refused",
                "save the model again with its weights in one file, or in a file beside it",
            )
        files[location] = target
    missing = sorted(location for location, target in files.items() if not target.is_file())
    if missing:
        raise EdgewrightError(
            ErrorCode.MODEL_WEIGHTS_MISSING,
            f"{path.name} keeps its weights in {', '.join(missing)}, which cannot be found beside it",
            f"put {'this file' if len(missing) == 1 else 'these files'} in the folder of {path.name}",
        )
    total = path.stat().st_size + sum(target.stat().st_size for target in files.values())
    if total > MAX_BYTES:
        raise _too_large(path, total)
    for tensor in external:
        info = onnx.external_data_helper.ExternalDataInfo(tensor)
        expected = _byte_size(tensor)
        with files[info.location].open("rb") as stream:
            stream.seek(info.offset or 0, os.SEEK_SET)
            data = stream.read(info.length or expected)
        if len(data) != expected:
            raise EdgewrightError(
                ErrorCode.MODEL_WEIGHTS_MISSING,
                f"{info.location} is too short: {tensor.name} needs {expected} bytes at offset "
                f"{info.offset or 0}, found {len(data)}",
                _EXPORT_AGAIN,
            )
        tensor.raw_data = data
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _byte_size(tensor: Any) -> int:
    elements = 1
    for dimension in tensor.dims:
        elements *= dimension
    kinds = onnx.TensorProto
    if tensor.data_type in (kinds.INT4, kinds.UINT4):
        return (elements + 1) // 2
    return int(elements * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _too_large(path: Path, size: int) -> EdgewrightError:
    return EdgewrightError(
        ErrorCode.MODEL_TOO_LARGE,
        f"{path.name} has {size / 2**20:.0f} MiB with its weights; at most {MAX_BYTES / 2**20:.0f} MiB are supported",
        "use a smaller network, or store the weights as float16",
    )
