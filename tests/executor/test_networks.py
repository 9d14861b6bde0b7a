"""Real files and published structures against onnxruntime. All of them: benchmarks/executor_zoo.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compress.executor.agreement import TOLERANCE, check_agreement
from edgewright.compress.executor.module import build_executor
from edgewright.graph.model_file import load_model
from edgewright.graph.session import Arrays, open_session, run
from edgewright.graph.shapes import concrete_shapes, random_probe

REAL = {
    "cifar10/onnx/cifar10_resnet8": 1.0,
    "classification/onnx/squeezenet1_1": 1.0,
    "classification/onnx/tf_efficientnet_lite0": 1.0,
    # It takes pixels of 0 to 255; noise of another scale only amplifies rounding in it.
    "detection/onnx/yolox_nano": 255.0,
    "face/onnx/ultraface_slim_320": 1.0,
    "segmentation/onnx/espnetv2_s1.0_pascal_384": 1.0,
}
# Each has something the others lack: shapes computed at run time, attention, Einsum, ScatterND, SAME padding of
# computed size, channel shuffles, InstanceNormalization as group norm, weight standardisation, Resize, several heads.
STRUCTURES = (
    "deeplabv3_mobilenet_v3_large",
    "ghostnetv2_100",
    "levit_128s",
    "maxvit_t",
    "mixnet_s",
    "mobilevitv2_050",
    "pvt_v2_b0",
    "shufflenet_v2_x1_0",
    "skresnet18",
    "ssdlite320_mobilenet_v3_large",
    "starnet_s1",
    "swin_t",
    "tf_efficientnetv2_b0",
    "vit_tiny_patch16_224",
    "xcit_nano_12_p16_224",
)


def _check(path: Path, folder: Path, scale: float = 1.0) -> None:
    """Agreement within the mark, and an untouched write-back whose outputs are the same bits."""
    model = load_model(path)
    shapes = concrete_shapes(model)
    feeds: list[Arrays] = [
        {name: value * np.float32(scale) if value.dtype.kind == "f" else value for name, value in feed.items()}
        for feed in (random_probe(model, shapes, 0, scale > 1), random_probe(model, shapes, 1, True))
    ]
    executor = build_executor(model)
    assert executor.trainable
    assert not executor.removed
    assert executor.fixed_batch == 0
    assert check_agreement(executor, path, feeds, threads=1) <= TOLERANCE
    executor.write_back(folder / "after.onnx")
    for wanted, found in zip(
        run(open_session(path, 1), feeds[0]), run(open_session(folder / "after.onnx", 1), feeds[0]), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.assets
@pytest.mark.parametrize("name", REAL)
def test_real_networks_agree(name: str, assets: Path, tmp_path: Path) -> None:
    """Within 1e-4 of the output's range."""
    _check(assets / "models" / f"{name}.onnx", tmp_path, REAL[name])


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_agree(name: str, assets: Path, tmp_path: Path) -> None:
    """Published structures with random weights, from both exporters."""
    _materialise(assets, name, tmp_path / f"{name}.onnx")
    _check(tmp_path / f"{name}.onnx", tmp_path)


def _materialise(assets: Path, name: str, target: Path) -> None:
    specification = importlib.util.spec_from_file_location("materialise", assets / "zoo" / "materialise.py")
    assert specification is not None
    assert specification.loader is not None
    module: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    module.materialise(assets / "zoo" / f"{name}.onnx.gz", target)
