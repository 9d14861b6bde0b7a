"""What a model file is, by its content; names and extensions are not believed."""

from __future__ import annotations

import zipfile
from pathlib import Path

from edgewright.imports.wire import is_onnx_message
from edgewright_contract.errors import EdgewrightError, ErrorCode

_HEAD_BYTES = 4096
_ZIP_START = b"PK\x03\x04"
_HDF5_START = b"\x89HDF\r\n\x1a\n"
_TFLITE_MARK = b"TFL3"
_MXNET_START = b"\x12\x01\x00\x00\x00\x00\x00\x00"

_EXPORT = "export the network to ONNX with its framework, and add that file"
_NAMES = {"onnx": "ONNX", "tflite": "TFLite"}


def recognise(path: Path) -> str:
    """ "onnx" or "tflite".

    Raises FILE_NOT_FOUND; MODEL_UNSUPPORTED, naming the framework, for files known but not imported by this
    version; MODEL_UNRECOGNISED for everything else.
    """
    if path.is_dir():
        raise _refusal_of_folder(path)
    if not path.is_file():
        raise EdgewrightError(ErrorCode.FILE_NOT_FOUND, f"no model file {path}", "check the path")
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not head:
        raise EdgewrightError(
            ErrorCode.MODEL_UNRECOGNISED, f"{path.name} is empty", "copy the file again, or export the model again"
        )
    if head[4:8] == _TFLITE_MARK:
        return "tflite"
    other = _other_framework(path, head)
    if other:
        raise EdgewrightError(
            ErrorCode.MODEL_UNSUPPORTED,
            f"{path.name} is {other}, which this version does not import; it imports {' and '.join(_NAMES.values())}",
            _EXPORT,
        )
    if is_onnx_message(path):
        return "onnx"
    raise EdgewrightError(
        ErrorCode.MODEL_UNRECOGNISED,
        f"{path.name} is no model that is known here; supported are {' and '.join(_NAMES.values())} files",
        _EXPORT,
    )


def _refusal_of_folder(path: Path) -> EdgewrightError:
    known = {
        "saved_model.pb": "a TensorFlow SavedModel",
        "keras_metadata.pb": "a Keras model",
        "inference.pdmodel": "a Paddle inference model",
        "inference.json": "a Paddle inference model",
        "mlmodel.mil": "a Core ML model",
    }
    for name, what in known.items():
        if (path / name).is_file():
            return EdgewrightError(
                ErrorCode.MODEL_UNSUPPORTED,
                f"{path.name} is {what}, which this version does not import",
                _EXPORT,
            )
    return EdgewrightError(
        ErrorCode.MODEL_UNRECOGNISED, f"{path.name} is a folder, not a model file", "name the model file itself"
    )


def _other_framework(path: Path, head: bytes) -> str:
    """The framework of a file that is neither ONNX nor TFLite; "" when none is known."""
    if head.startswith(_ZIP_START):
        return _zip_content(path)
    if head.startswith(_HDF5_START):
        return "a Keras model (HDF5)"
    if head.startswith(b"\x80") and b"torch" in head:
        return "a PyTorch checkpoint (pickle)"
    if head.startswith(_MXNET_START):
        return "an MXNet parameter file"
    if head.startswith(b"7767517"):
        return "an ncnn parameter file"
    text = head.lstrip()
    if text.startswith(b"{"):
        if b'"nodes"' in head and b'"op"' in head:
            return "an MXNet symbol file"
        return "a Paddle program" if b'"base_code"' in head or b'"program"' in head else ""
    if text.startswith(b"<?xml") and b"<net " in head:
        return "an OpenVINO model"
    if b"layer {" in head and (b"type:" in head or b"bottom:" in head):
        return "a Caffe network description"
    return _protobuf_content(path, head)


def _protobuf_content(path: Path, head: bytes) -> str:
    """Frameworks whose files are protobuf messages like ONNX's, told apart by words near the start."""
    if head.startswith(b"\x08\x01\x12") and b"dtype" in head:  # schema version 1, then a meta graph
        return "a TensorFlow SavedModel"
    if b"Placeholder" in head and b"dtype" in head:
        return "a TensorFlow graph"
    if any(word in head for word in (b"Convolution", b"InnerProduct")) and b"ir_version" not in head:
        return "a Caffe model" if not is_onnx_message(path) else ""
    if b"feed" in head and b"fetch" in head and b"block" not in head[:1] and not is_onnx_message(path):
        return "a Paddle program"
    return ""


def _zip_content(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return ""
    if any(name.endswith("data.pkl") for name in names):
        scripted = any(name.endswith("constants.pkl") for name in names)
        return "a TorchScript model" if scripted else "a PyTorch checkpoint"
    if "metadata.json" in names and "config.json" in names:
        return "a Keras model"
    return ""
