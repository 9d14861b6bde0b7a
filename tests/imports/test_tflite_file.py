"""TFLite files are described as they are; damaged ones cost no more than a message."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from edgewright.imports.tflite_file import describe_tflite
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import TensorSpec

MOBILENET = Path("models", "classification", "tflite", "mobilenet_v1_0.25_128_quant.tflite")


@pytest.fixture
def mobilenet(assets: Path) -> Path:
    if importlib.util.find_spec("ai_edge_litert") is None:
        pytest.skip("ai-edge-litert is not installed")
    return assets / MOBILENET


@pytest.mark.assets
def test_facts_of_a_real_file(mobilenet: Path) -> None:
    """Inputs, outputs and the published number of multiply-accumulates (14 million) of MobileNetV1 0.25 128."""
    result = describe_tflite(mobilenet)

    assert result.framework == "tflite"
    assert result.inputs == (TensorSpec("input", (1, 128, 128, 3), "uint8"),)
    assert [spec.shape for spec in result.outputs] == [(1, 1001)]
    assert result.macs == pytest.approx(14e6, rel=0.05)
    assert result.parameters == pytest.approx(470e3, rel=0.02)
    assert result.size_bytes == mobilenet.stat().st_size


@pytest.mark.assets
@pytest.mark.parametrize("share", [0.0005, 0.2, 0.7, 0.9])
def test_truncated_file(mobilenet: Path, tmp_path: Path, share: float) -> None:
    """A file cut inside its network is damaged, and this process survives it."""
    data = mobilenet.read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(EdgewrightError) as caught:
        describe_tflite(cut)

    assert caught.value.code in (ErrorCode.MODEL_CORRUPT, ErrorCode.MODEL_UNRUNNABLE)
    assert "cut.tflite" in caught.value.message


@pytest.mark.assets
@pytest.mark.parametrize("seed", range(6))
def test_scrambled_structure(mobilenet: Path, tmp_path: Path, seed: int) -> None:
    """Random bytes in the structure part end in a description or an error, never in our death."""
    data = np.frombuffer(mobilenet.read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(seed)
    where = rng.integers(len(data) - 20_000, len(data), 40)
    data[where] = rng.integers(0, 256, 40)
    (tmp_path / "odd.tflite").write_bytes(data.tobytes())

    try:
        answer = describe_tflite(tmp_path / "odd.tflite").framework
    except EdgewrightError as error:
        answer = error.code.value

    assert answer in ("tflite", "model_corrupt", "model_unrunnable")


def test_missing_file_and_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are said with the next step."""
    with pytest.raises(EdgewrightError) as caught:
        describe_tflite(tmp_path / "none.tflite")
    assert caught.value.code is ErrorCode.FILE_NOT_FOUND

    (tmp_path / "some.tflite").write_bytes(b"\0\0\0\0TFL3")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EdgewrightError) as caught:
        describe_tflite(tmp_path / "some.tflite")
    assert caught.value.code is ErrorCode.DEPENDENCY_MISSING
    assert "edgewright[tflite]" in caught.value.hint
