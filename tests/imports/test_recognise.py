"""Model files are known by their content."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.imports.recognise import recognise
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.graph.networks import classifier, saved


def refusal(path: Path) -> EdgewrightError:
    with pytest.raises(EdgewrightError) as caught:
        recognise(path)
    return caught.value


def test_extension_is_not_believed(tmp_path: Path) -> None:
    """An ONNX file is one under any name, and text is none under the right one."""
    (tmp_path / "text.onnx").write_text("not a model\n" * 50)

    assert recognise(saved(classifier(), tmp_path / "model.bin")) == "onnx"
    assert refusal(tmp_path / "text.onnx").code is ErrorCode.MODEL_UNRECOGNISED


def test_truncated_onnx_is_still_onnx(tmp_path: Path) -> None:
    """A cut file goes on to the import, which can say that it is damaged."""
    data = classifier().SerializeToString()
    (tmp_path / "cut.onnx").write_bytes(data[: len(data) // 2])

    assert recognise(tmp_path / "cut.onnx") == "onnx"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", ErrorCode.MODEL_UNRECOGNISED),
        (b"\x00" * 5000, ErrorCode.MODEL_UNRECOGNISED),
        (b"\xff\xd8\xff\xe0 jpeg", ErrorCode.MODEL_UNRECOGNISED),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 64, ErrorCode.MODEL_UNSUPPORTED),
        (b"7767517\n3 3\nInput data", ErrorCode.MODEL_UNSUPPORTED),
        (b'<?xml version="1.0"?>\n<net name="x" version="11">', ErrorCode.MODEL_UNSUPPORTED),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, code: ErrorCode) -> None:
    """Files of other frameworks are named; the rest is unknown."""
    (tmp_path / "model").write_bytes(content)

    assert refusal(tmp_path / "model").code is code


def test_missing_file_and_folder(tmp_path: Path) -> None:
    """A missing path and a plain folder have their own messages."""
    assert refusal(tmp_path / "none").code is ErrorCode.FILE_NOT_FOUND
    assert refusal(tmp_path).code is ErrorCode.MODEL_UNRECOGNISED


def test_zip_archives_are_looked_into(tmp_path: Path) -> None:
    """A zip with pickled tensors is a PyTorch file; any other zip is no model."""
    for name, member in (("weights.pth", "archive/data.pkl"), ("photos.zip", "cat.jpg")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(member, b"x")

    assert "PyTorch" in refusal(tmp_path / "weights.pth").message
    assert refusal(tmp_path / "photos.zip").code is ErrorCode.MODEL_UNRECOGNISED


@pytest.mark.assets
@pytest.mark.parametrize(
    ("file", "answer"),
    [
        ("onnx/tf_efficientnet_lite0.onnx", "onnx"),
        ("tflite/mobilenet_v1_0.25_128_quant.tflite", "tflite"),
        ("pytorch/squeezenet1_1.pth", "PyTorch"),
        ("caffe/squeezenet_v1.1.caffemodel", "Caffe"),
        ("caffe/squeezenet_v1.1.prototxt", "Caffe"),
        ("mxnet/squeezenet1_1-symbol.json", "MXNet"),
        ("mxnet/squeezenet1_1-0000.params", "MXNet"),
        ("tensorflow/squeezenet1_1_savedmodel", "SavedModel"),
        ("tensorflow/squeezenet1_1_savedmodel/saved_model.pb", "SavedModel"),
        ("paddle/squeezenet1_1/inference.json", "Paddle"),
    ],
)
def test_real_files_of_each_framework(assets: Path, tmp_path: Path, file: str, answer: str) -> None:
    """ONNX and TFLite are recognised, every other framework is refused by its name, whatever the file's name."""
    source = assets / "models" / "classification" / file
    if source.is_file():
        source = Path(shutil.copy(source, tmp_path / "renamed"))

    if answer in ("onnx", "tflite"):
        assert recognise(source) == answer
    else:
        error = refusal(source)
        assert error.code is ErrorCode.MODEL_UNSUPPORTED
        assert answer in error.message


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_get_an_answer(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever the bytes, the answer is a framework or a refusal."""
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(data)
    try:
        answer = recognise(path)
    except EdgewrightError as error:
        answer = error.code.value

    assert answer in ("onnx", "tflite", "model_unrecognised", "model_unsupported")
