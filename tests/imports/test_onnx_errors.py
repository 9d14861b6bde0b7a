"""Bad ONNX files are refused with their own codes, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import external_data_helper, numpy_helper

from edgewright.core.values import ProgressEvent
from edgewright.imports.onnx_file import import_onnx
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.graph.networks import classifier, images, saved


def refusal(source: Path, **options: object) -> EdgewrightError:
    """The error of an import, after checking that it left nothing."""
    target = source.parent / "out" / "model.onnx"
    with pytest.raises(EdgewrightError) as caught:
        import_onnx(source, target, **options)  # type: ignore[arg-type]
    assert not target.parent.exists() or list(target.parent.iterdir()) == []
    return caught.value


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_truncated_file(tmp_path: Path, share: float) -> None:
    """A file cut anywhere is damaged, and the message says so."""
    data = classifier().SerializeToString()
    source = tmp_path / "cut.onnx"
    source.write_bytes(data[: int(len(data) * share)])

    error = refusal(source)

    assert error.code is ErrorCode.MODEL_CORRUPT
    assert "cut.onnx" in error.message
    assert error.hint


@settings(max_examples=60, deadline=None)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_changed_bytes_get_an_answer(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[float, bool, int]]
) -> None:
    """Any bytes changed in the structure end in an import or in an error of the catalogue."""
    folder = tmp_path_factory.mktemp("changed")
    data = bytearray(classifier().SerializeToString())
    for share, at_start, value in changes:
        data[int(share * 699) if at_start else len(data) - 1 - int(share * 199)] = value
    (folder / "odd.onnx").write_bytes(data)

    try:
        answer = import_onnx(folder / "odd.onnx", folder / "out.onnx").framework
    except EdgewrightError as error:
        answer = error.code.value

    assert answer == "onnx" or answer.startswith("model_")


@pytest.mark.parametrize("opset", [7, 8, 99])
def test_opset_outside_the_supported(tmp_path: Path, opset: int) -> None:
    """Found and allowed versions are in the message."""
    model = classifier()
    model.opset_import[0].version = opset

    error = refusal(saved(model, tmp_path / "model.onnx"))

    assert error.code is ErrorCode.MODEL_OPSET_UNSUPPORTED
    assert f"opset {opset}" in error.message
    assert "9 to " in error.message


def external(tmp_path: Path, location: str) -> Path:
    """A model whose first weight is said to lie in `location`; no such file is written."""
    model = classifier()
    tensor = model.graph.initializer[0]
    external_data_helper.set_external_data(tensor, location, offset=0, length=len(tensor.raw_data))
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    return saved(model, tmp_path / "model.onnx")


def test_missing_external_weights(tmp_path: Path) -> None:
    """The missing file is named."""
    error = refusal(external(tmp_path, "weights.bin"))

    assert error.code is ErrorCode.MODEL_WEIGHTS_MISSING
    assert "weights.bin" in error.message


def test_short_external_weights(tmp_path: Path) -> None:
    """A weights file that ends too early is named with what is missing."""
    source = external(tmp_path, "weights.bin")
    (tmp_path / "weights.bin").write_bytes(b"\0" * 100)

    error = refusal(source)

    assert error.code is ErrorCode.MODEL_WEIGHTS_MISSING
    assert "1728 bytes" in error.message


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin"])
def test_external_weights_outside_the_folder(tmp_path: Path, location: str) -> None:
    """Paths that leave the model's folder are refused even when the file exists."""
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"\0" * 4096)

    error = refusal(external(folder, location))

    assert error.code is ErrorCode.MODEL_WEIGHTS_MISSING
    assert "refused" in error.message


def test_external_weights_through_a_link(tmp_path: Path) -> None:
    """A symbolic link out of the folder is an escape as well."""
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"\0" * 4096)
    (folder / "weights.bin").symlink_to(tmp_path / "secret.bin")

    assert refusal(external(folder, "weights.bin")).code is ErrorCode.MODEL_WEIGHTS_MISSING


@pytest.mark.parametrize(("value", "weight"), [(np.nan, "b2"), (np.nan, "w2"), (np.inf, "w2")])
def test_weights_that_are_not_finite(tmp_path: Path, value: float, weight: str) -> None:
    """NaN anywhere, or infinity in a convolution, is refused with the weight's name."""
    model = classifier()
    tensor = next(item for item in model.graph.initializer if item.name == weight)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[3] = value
    tensor.CopyFrom(numpy_helper.from_array(values, weight))

    error = refusal(saved(model, tmp_path / "model.onnx"))

    assert error.code is ErrorCode.MODEL_NOT_FINITE
    assert weight in error.message


def test_too_large(tmp_path: Path) -> None:
    """More than 2 GiB is refused before anything is read (a sparse file stands for it)."""
    source = tmp_path / "large.onnx"
    with source.open("wb") as stream:
        stream.truncate(3 * 2**30)

    error = refusal(source)

    assert error.code is ErrorCode.MODEL_TOO_LARGE
    assert "3072 MiB" in error.message


def test_too_large_with_external_weights(tmp_path: Path) -> None:
    """Weights beside the model count."""
    source = external(tmp_path, "weights.bin")
    with (tmp_path / "weights.bin").open("wb") as stream:
        stream.truncate(3 * 2**30)

    assert refusal(source).code is ErrorCode.MODEL_TOO_LARGE


def test_what_onnxruntime_cannot_load(tmp_path: Path) -> None:
    """An unknown operator is onnxruntime's refusal, with its reason."""
    model = classifier()
    model.graph.node[1].op_type = "NoSuchOperator"

    error = refusal(saved(model, tmp_path / "model.onnx"))

    assert error.code is ErrorCode.MODEL_UNRUNNABLE
    assert "NoSuchOperator" in error.message


def test_weights_that_do_not_fit_their_shape(tmp_path: Path) -> None:
    """A tensor with too few bytes is damage, not a crash."""
    model = classifier()
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:40]

    assert refusal(saved(model, tmp_path / "model.onnx")).code is ErrorCode.MODEL_CORRUPT


def test_wrong_input_size(tmp_path: Path) -> None:
    """A spec that contradicts the graph is refused with both sizes."""
    error = refusal(saved(classifier(), tmp_path / "model.onnx"), input_size=(224, 224))

    assert error.code is ErrorCode.SPEC_MISMATCH
    assert "[16, 16]" in error.message


@pytest.mark.parametrize("moment", range(4))
def test_interrupted_import_leaves_nothing(tmp_path: Path, moment: int) -> None:
    """Ctrl-C at any step leaves no file."""
    source = saved(classifier(), tmp_path / "model.onnx")
    seen: list[ProgressEvent] = []

    def interrupt(event: ProgressEvent) -> None:
        seen.append(event)
        if len(seen) > 2 * moment:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_onnx(source, tmp_path / "out" / "model.onnx", [{"x": images(1)}], None, interrupt)

    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []
