"""Deployed Q/DQ graphs opened for training and closed again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.compress.int8 import Int8Options, quantize_int8
from edgewright.compress.train.unfold import OpenGraph, fold, unfold
from edgewright.graph.model_file import load_model
from edgewright.graph.session import open_session
from edgewright.imports.onnx_file import import_onnx
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.train.networks import classifier, detector, images, judge, passes


def deployed(
    folder: Path, source: Path, data: np.ndarray, target: str = "x86-vnni", classification: bool = True
) -> Path:
    """What compress.int8 makes of a float network."""
    path = folder / f"{source.stem}-{target}.onnx"
    options = Int8Options(target=target, methods=("min_max",), threads=1, bound_points=100.0, minimum_sqnr_db=-50.0)
    quantize_int8(source, path, passes(data, 8), judge(data, classification=classification), options)
    return path


def present(opened: OpenGraph) -> dict[str, np.ndarray]:
    """The values that a training starts from."""
    trained = {item.name for item in opened.weights} | {item.name for item in opened.biases} | set(opened.scales)
    return {
        tensor.name: np.array(numpy_helper.to_array(tensor))
        for tensor in opened.model.graph.initializer
        if tensor.name in trained
    }


@pytest.fixture
def pair(tmp_path: Path) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """(quantised, float) of the small classifier."""
    source = classifier(tmp_path / "float.onnx")
    return load_model(deployed(tmp_path, source, images(32))), load_model(source)


@pytest.mark.parametrize("target", ["x86-vnni", "x86-avx2", "armv8"])
@pytest.mark.parametrize("network", [classifier, detector])
def test_untouched_it_is_the_same_file(tmp_path: Path, network: object, target: str) -> None:
    """Opened and closed without training, every byte is as it was, for every target's kind of file."""
    source = network(tmp_path / "float.onnx")  # type: ignore[operator]
    quantised = load_model(deployed(tmp_path, source, images(32), target, network is classifier))
    opened = unfold(quantised, load_model(source))

    assert len(opened.weights) >= 2
    assert fold(quantised, opened, present(opened)).SerializeToString() == quantised.SerializeToString()


@pytest.mark.assets
@pytest.mark.parametrize(
    ("file", "size"), [("cifar10/onnx/cifar10_resnet8.onnx", 32), ("classification/onnx/squeezenet1_1.onnx", 224)]
)
def test_untouched_real_networks_are_the_same_files(assets: Path, tmp_path: Path, file: str, size: int) -> None:
    """Real weights, bias correction included."""
    source = tmp_path / "float.onnx"
    import_onnx(assets / "models" / file, source)
    data = np.random.default_rng(0).normal(0, 1, (4, 3, size, size)).astype(np.float32)
    path = deployed(tmp_path, source, data)
    quantised = load_model(path)
    opened = unfold(quantised, load_model(source))
    closed = fold(quantised, opened, present(opened))

    assert closed.SerializeToString() == quantised.SerializeToString()
    assert len(opened.biases) == len(opened.weights)
    originals = {tensor.name: numpy_helper.to_array(tensor) for tensor in load_model(source).graph.initializer}
    values = present(opened)
    assert all(np.array_equal(values[w.name], originals[w.name.removesuffix("_float")]) for w in opened.weights)


def test_the_open_graph_computes_the_same(pair: tuple[onnx.ModelProto, onnx.ModelProto], tmp_path: Path) -> None:
    """onnxruntime gives the same answers for both forms, within rounding of sums."""
    opened = unfold(*pair)
    onnx.checker.check_model(opened.model, full_check=True)
    for name, model in (("closed", pair[0]), ("open", opened.model)):
        onnx.save(model, str(tmp_path / f"{name}.onnx"))
    answers = [
        open_session(tmp_path / f"{name}.onnx", 1, plain=True).run(None, {"x": images(16, 5)})[0]
        for name in ("closed", "open")
    ]

    assert np.abs(answers[0] - answers[1]).max() < 0.02 * np.ptp(answers[0])


def test_learned_numbers_are_written(pair: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    """Weights are rounded with the learned scale, bias scales are the product, shapes stay (0-d too)."""
    quantised, _ = pair
    opened = unfold(*pair)
    values = present(opened)
    weight = next(item for item in opened.weights if item.name.startswith("w2"))
    bias = next(item for item in opened.biases if item.name == "b2")
    values[weight.scale] = (values[weight.scale] * np.float32(1.1)).astype(np.float32)
    values[bias.factors[0]] = np.asarray(values[bias.factors[0]] * 0.9, np.float32)

    closed = fold(quantised, opened, values)

    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in closed.graph.initializer}
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantised.graph.initializer}
    scale = values[weight.scale].reshape(-1, 1, 1, 1)
    assert np.array_equal(held[weight.stored], np.clip(np.rint(values[weight.name] / scale), -127, 127).astype(np.int8))
    product = values[bias.factors[0]] * values[weight.scale]
    assert np.array_equal(held[bias.scale], product.astype(np.float32))
    assert np.abs(held[bias.stored] * product.astype(np.float64) - values["b2"]).max() <= 0.5 * product.max() * 1.01
    assert all(held[name].shape == before[name].shape and held[name].dtype == before[name].dtype for name in before)
    assert before[bias.factors[0]].shape == ()


def test_adaptive_rounding_survives(pair: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    """A number that is not the nearest to its weight stays: the weight is moved to the border of its step."""
    quantised, source = pair
    tensor = next(tensor for tensor in quantised.graph.initializer if tensor.name == "w2_quantized")
    numbers = numpy_helper.to_array(tensor).copy()
    numbers[numbers < 100] += 1
    tensor.CopyFrom(numpy_helper.from_array(numbers, tensor.name))

    opened = unfold(quantised, source)

    assert fold(quantised, opened, present(opened)).SerializeToString() == quantised.SerializeToString()
    moved = present(opened)["w2_float"]
    original = next(numpy_helper.to_array(item) for item in source.graph.initializer if item.name == "w2")
    step = numpy_helper.to_array(next(t for t in quantised.graph.initializer if t.name == "w2_scale")).max()
    assert 0 < np.abs(moved - original).max() <= step


def test_seven_bits_stay_seven_bits(tmp_path: Path) -> None:
    """A file for CPUs that saturate has numbers up to 64; what is written keeps to them."""
    source = classifier(tmp_path / "float.onnx")
    quantised = load_model(deployed(tmp_path, source, images(32), "x86-avx2"))
    opened = unfold(quantised, load_model(source))
    values = present(opened)
    for weight in opened.weights:
        values[weight.name] = values[weight.name] * np.float32(1.5)

    closed = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in fold(quantised, opened, values).graph.initializer
    }

    assert {weight.largest for weight in opened.weights} == {64}
    assert max(int(np.abs(closed[weight.stored].astype(int)).max()) for weight in opened.weights) == 64


def test_equal_scales_around_a_mover_follow_one_another(tmp_path: Path) -> None:
    """MaxPool runs on 8 bits only while both sides have the same scale; a Clip in the file must not be outgrown."""
    scale, zero = np.float32(0.02), np.uint8(0)
    held = {"s1": scale, "s2": scale, "s3": scale, "z": zero, "w_scale": np.float32(0.01), "w_zero": np.int8(0)}
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()]
    tensors.append(numpy_helper.from_array(np.ones((3, 3, 1, 1), np.int8), "w_quantized"))
    tensors += [numpy_helper.from_array(np.float32(v), name) for name, v in (("low", 0.0), ("high", 6.0))]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s1", "z"], ["q1"]),
        helper.make_node("DequantizeLinear", ["q1", "s1", "z"], ["d1"]),
        helper.make_node("MaxPool", ["d1"], ["p"], kernel_shape=[2, 2]),
        helper.make_node("QuantizeLinear", ["p", "s2", "z"], ["q2"]),
        helper.make_node("DequantizeLinear", ["q2", "s2", "z"], ["d2"]),
        helper.make_node("DequantizeLinear", ["w_quantized", "w_scale", "w_zero"], ["w"]),
        helper.make_node("Conv", ["d2", "w"], ["c"]),
        helper.make_node("Clip", ["c", "low", "high"], ["k"]),
        helper.make_node("QuantizeLinear", ["k", "s3", "z"], ["q3"]),
        helper.make_node("DequantizeLinear", ["q3", "s3", "z"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [value("y", TensorProto.FLOAT, [1, 3, 7, 7])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    opened = unfold(model, model)

    assert opened.scales["s1"] == opened.scales["s2"] != opened.scales["s3"]
    assert opened.shrinking == {"s3"}
    assert opened.biases == ()


def test_a_float_network_is_refused(pair: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    """There is nothing to open, and the message says what to do first."""
    with pytest.raises(EdgewrightError, match="no int8 weight") as caught:
        unfold(pair[1], pair[1])

    assert caught.value.code == ErrorCode.COMPRESSION_FAILED


def test_values_that_are_no_numbers_are_not_written(pair: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    """NaN in a weight, and a scale that is not above 0."""
    opened = unfold(*pair)
    for name, bad in ((opened.weights[0].name, np.nan), (opened.weights[0].scale, 0.0)):
        values = present(opened)
        values[name].reshape(-1)[0] = bad
        with pytest.raises(EdgewrightError) as caught:
            fold(pair[0], opened, values)
        assert caught.value.code == ErrorCode.MODEL_NOT_FINITE
