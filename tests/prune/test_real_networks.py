"""Published networks: trained ones, and structures with random weights, each pruned by 30 % and proven."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from edgewright.compress.prune.importance import l2, weight_importance
from edgewright.compress.prune.oracle import TOLERANCE, OracleKind, check_pruning, pruning_feeds
from edgewright.compress.prune.selection import uniform
from edgewright.compress.prune.surgery import prune
from edgewright.graph.channels.analysis import analyse
from edgewright.graph.constants import tidy
from edgewright.graph.cost import count_parameters
from edgewright.graph.model_file import load_model, save_model

# Name -> share of the parameters that a removal can take, at least.
TRAINED = {
    "cifar10/onnx/cifar10_resnet8": 0.99,
    "classification/onnx/squeezenet1_1": 0.99,
    "classification/onnx/tf_efficientnet_lite0": 0.99,
    "detection/onnx/yolox_nano": 0.99,
    "face/onnx/ultraface_slim_320": 0.93,
    "segmentation/onnx/espnetv2_s1.0_pascal_384": 0.59,
}
STRUCTURES = {
    "mobilenet_v3_small": 0.99,
    "shufflenet_v2_x1_0": 0.99,
    "regnet_x_400mf": 0.99,
    "levit_128s": 0.99,
    "pvt_v2_b0": 0.66,
}


@pytest.mark.assets
@pytest.mark.parametrize("name", TRAINED)
def test_trained_networks(name: str, assets: Path, tmp_path: Path) -> None:
    """Real weights, from several exporters and tasks."""
    _prune_and_prove(assets / "models" / f"{name}.onnx", TRAINED[name], tmp_path)


@pytest.mark.assets
@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name: str, assets: Path, tmp_path: Path) -> None:
    """Squeeze-and-excitation, shuffles, grouped convolutions, attention with silent branches, LayerNormalization."""
    specification = importlib.util.spec_from_file_location("materialise", assets / "zoo" / "materialise.py")
    assert specification is not None
    assert specification.loader is not None
    materialise = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(materialise)
    source = tmp_path / "source.onnx"
    materialise.materialise(assets / "zoo" / f"{name}.onnx.gz", source)
    _prune_and_prove(source, STRUCTURES[name], tmp_path)


def _prune_and_prove(source: Path, share: float, folder: Path) -> None:
    model = tidy(load_model(source))
    original = folder / "original.onnx"
    save_model(model, original)
    analysis = analyse(original)
    assert analysis.prunable_share >= share

    removal = uniform(analysis, lambda group: weight_importance(model, group, l2), 0.3, alignment=1)
    made = prune(original, removal, folder / "pruned.onnx", analysis)
    result = check_pruning(original, removal, made.path, pruning_feeds(model), analysis)

    assert made.parameters < 0.9 * count_parameters(model)
    assert result.kind is OracleKind.PRODUCERS
    assert result.error <= TOLERANCE
