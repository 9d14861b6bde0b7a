"""Imports keep what a network computes, and describe it truly."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from edgewright.core.values import ProgressEvent
from edgewright.imports.onnx_file import describe_onnx, import_onnx
from edgewright_contract.values import TensorSpec
from tests.graph.networks import classifier, images, outputs_of, saved
from tests.graph.test_cost import MACS, PARAMETERS


def test_every_form_becomes_the_same_network(tmp_path: Path) -> None:
    """Constant nodes, old opsets and listed initializers end in one form with the outputs of the original."""
    forms = {
        "plain": classifier(),
        "constants": classifier(constant_nodes=True),
        "old": classifier(opset=9, initializers_as_inputs=True),
    }
    x = images(5)
    for name, model in forms.items():
        source = saved(model, tmp_path / f"{name}.onnx")
        target = tmp_path / f"{name}.out.onnx"

        result = import_onnx(source, target, [{"x": x}])

        assert (result.parameters, result.macs, result.nodes_after) == (PARAMETERS, MACS, 8), name
        assert result.inputs == (TensorSpec("x", ("N", 3, 16, 16), "float32"),)
        assert result.outputs == (TensorSpec("y", ("N", 10), "float32"),)
        assert result.simplified
        assert result.import_difference < 1e-5
        assert 13 <= result.opset <= 21
        assert result.size_bytes == target.stat().st_size
        np.testing.assert_allclose(outputs_of(target, x), outputs_of(source, x), rtol=1e-4, atol=1e-5)


def test_external_weights_end_inside(tmp_path: Path) -> None:
    """A model in two files becomes one file."""
    model = classifier()
    x = images(2)
    expected = outputs_of(saved(model, tmp_path / "whole.onnx"), x)
    external_data_helper.convert_model_to_external_data(
        model, location="weights.bin", size_threshold=100, convert_attribute=False
    )
    folder = tmp_path / "two"
    folder.mkdir()
    onnx.save(model, str(folder / "model.onnx"))
    assert (folder / "weights.bin").is_file()

    import_onnx(folder / "model.onnx", tmp_path / "out.onnx")

    np.testing.assert_allclose(outputs_of(tmp_path / "out.onnx", x), expected, rtol=1e-4, atol=1e-5)


def test_progress_and_batchnorm(tmp_path: Path) -> None:
    """Progress is told, and BatchNorm is gone."""
    events: list[ProgressEvent] = []

    import_onnx(
        saved(classifier(batchnorm=True), tmp_path / "m.onnx"), tmp_path / "out.onnx", None, None, events.append
    )

    assert events[-1].done == events[-1].total > 0
    kinds = {node.op_type for node in onnx.load(str(tmp_path / "out.onnx")).graph.node}
    assert "BatchNormalization" not in kinds


def test_several_inputs_and_integers(tmp_path: Path) -> None:
    """A network with an integer index beside its image is imported too."""
    table = numpy_helper.from_array(np.eye(4, dtype=np.float32), "table")
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "index"], ["row"]),
            helper.make_node("Add", ["row", "x"], ["y"]),
        ],
        "g",
        [
            helper.make_tensor_value_info("index", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
        [table],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    result = import_onnx(saved(model, tmp_path / "m.onnx"), tmp_path / "out.onnx")

    assert [item.dtype for item in result.inputs] == ["int64", "float32"]
    assert result.import_difference == 0.0


@pytest.mark.assets
@pytest.mark.parametrize(
    "file",
    [
        "classification/onnx/squeezenet1_1.onnx",
        "classification/onnx/tf_efficientnet_lite0.onnx",
        "cifar10/onnx/cifar10_resnet8.onnx",
        "detection/onnx/yolox_nano.onnx",
        "face/onnx/ultraface_slim_320.onnx",
        "segmentation/onnx/espnetv2_s1.0_pascal_384.onnx",
    ],
)
def test_real_networks(assets: Path, tmp_path: Path, file: str) -> None:
    """The simplified file computes what the original computes, by onnxruntime without optimisations."""
    source, target = assets / "models" / file, tmp_path / "out.onnx"

    result = import_onnx(source, target)

    assert result.simplified
    assert result.import_difference < 1e-5
    assert result.nodes_after <= result.nodes_before
    assert result.macs > 0
    shape = [side if isinstance(side, int) else 1 for side in result.inputs[0].shape]
    x = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    expected, actual = outputs_of(source, x), outputs_of(target, x)
    assert np.abs(expected).max() > 0
    assert np.abs(expected - actual).max() / np.abs(expected).max() < 1e-4


@pytest.mark.assets
@pytest.mark.parametrize(
    "name",
    [
        "lcnet_050",
        "mobilenet_v3_small",
        "shufflenet_v2_x1_0",
        "ghostnet_100",
        "hardcorenas_a",
        "squeezenet1_0",
        "mobilevitv2_050",
        "efficientnet_b0",
    ],
)
def test_published_structures(assets: Path, tmp_path: Path, name: str) -> None:
    """Structures of both torch exporters keep their outputs."""
    script = assets / "zoo" / "materialise.py"
    subprocess.run([sys.executable, str(script), str(tmp_path), name], check=True, stdout=subprocess.DEVNULL)
    source, target = tmp_path / f"{name}.onnx", tmp_path / "out.onnx"

    result = import_onnx(source, target)

    assert result.simplified
    assert result.import_difference < 1e-4
    assert describe_onnx(target).parameters == result.parameters
    assert not any(node.op_type == "Constant" for node in onnx.load(str(target)).graph.node)


@pytest.mark.slow
def test_hundreds_of_megabytes(tmp_path: Path) -> None:
    """A 400 MB network is imported within two minutes and within 4 GB of memory, in a process of its own."""
    rng = np.random.default_rng(0)
    nodes, tensors, name = [], [], "x"
    for index in range(24):
        weight = rng.standard_normal((2048, 2048), dtype=np.float32) * 0.02
        tensors.append(numpy_helper.from_array(weight, f"w{index}"))
        nodes.append(helper.make_node("MatMul", [name, f"w{index}"], [f"m{index}"]))
        nodes.append(helper.make_node("Relu", [f"m{index}"], [f"r{index}"]))
        name = f"r{index}"
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2048])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2048])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    source = saved(model, tmp_path / "large.onnx")
    assert source.stat().st_size > 400e6
    del model, graph, tensors
    code = (
        "import sys; from pathlib import Path; from edgewright.imports.onnx_file import import_onnx; "
        "r = import_onnx(Path(sys.argv[1]), Path(sys.argv[2])); assert r.simplified and r.macs == 24 * 2048 * 2048"
    )

    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", code, str(source), str(tmp_path / "out.onnx")])
    peak = 0
    while process.poll() is None:
        try:
            peak = max(peak, psutil.Process(process.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)

    assert process.wait() == 0
    assert time.monotonic() - started < 120
    assert peak < 4e9
