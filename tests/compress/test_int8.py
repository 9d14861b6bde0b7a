"""INT8 end to end on small networks: the file runs, is close, keeps its bound, and is whole or absent."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgewright.compress.bias import correct_biases, dequantised
from edgewright.compress.calibration import calibrate
from edgewright.compress.fp16 import SIZE_ONLY, to_fp16
from edgewright.compress.int8 import Int8Options, quantize_int8
from edgewright.compress.judge import Bench, TuningJudge, probabilities
from edgewright.compress.placement import Layer
from edgewright.core.values import ProgressEvent
from edgewright.graph.shapes import infer_shapes
from edgewright.imports.onnx_file import import_onnx
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.graph.networks import classifier, images, outputs_of, saved

OPTIONS = Int8Options(threads=1)


def passes(data: np.ndarray, batch: int = 8) -> object:
    def fresh() -> Iterator[np.ndarray]:
        for start in range(0, len(data), batch):
            yield data[start : start + batch]

    return fresh


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return build_network(tmp_path)


def build_network(tmp_path: Path, conv_head: bool = False) -> Path:
    """A normalised classifier of balanced classes with one wild channel: per-tensor weights would ruin it."""
    model = classifier(conv_head=conv_head)
    values = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in model.graph.initializer}
    values["w2"][5] *= 20
    values["w3"][:, 5] /= 20
    values["b3"] -= outputs_of(saved(with_values(model, values), tmp_path / "s.onnx"), images(64)).mean(axis=0)
    import_onnx(saved(with_values(model, values), tmp_path / "s.onnx"), tmp_path / "network.onnx")
    return tmp_path / "network.onnx"


def with_values(model: onnx.ModelProto, values: dict[str, np.ndarray]) -> onnx.ModelProto:
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(values[tensor.name], tensor.name))
    return model


def judge_of(network: Path, count: int = 64, labelled: bool = True) -> TuningJudge:
    """Labels are the float network's own answers, so the baseline's metric is 1."""
    data = images(count, seed=7)
    labels = outputs_of(network, data).argmax(axis=1)
    score = (lambda outputs: float((outputs[0].argmax(axis=1) == labels).mean())) if labelled else None
    return TuningJudge(passes(data), True, "top1" if labelled else "", score)  # type: ignore[arg-type]


def calibration() -> object:
    return passes(images(48, seed=3))


def test_file_is_smaller_close_and_fused(network: Path, tmp_path: Path) -> None:
    """Int8 per-channel weights, every layer on 8 bits in onnxruntime, outputs near the float ones."""
    target = tmp_path / "int8.onnx"

    made = quantize_int8(network, target, calibration(), judge_of(network, labelled=False), OPTIONS)  # type: ignore[arg-type]

    assert made.size_bytes == target.stat().st_size
    assert made.fused.convolutions == 2
    assert made.fused.float_anchors == 0
    assert made.float_layers == ()
    assert made.fidelity.sqnr_db > 25
    assert made.drop is None
    assert made.calibration_samples == 48
    assert made.tuning_samples == 64
    x = images(16, seed=11)
    expected, actual = outputs_of(network, x), outputs_of(target, x)
    assert np.abs(expected - actual).max() < 0.1 * np.abs(expected).max()
    tensors = {item.name: item for item in onnx.load(str(target)).graph.initializer}
    assert tensors["w2_quantized"].data_type == onnx.TensorProto.INT8
    assert list(tensors["w2_scale"].dims) == [16]


def test_scores_are_not_rounded_to_8_bits(network: Path, tmp_path: Path) -> None:
    """The last matrix product hands out float scores, so that close classes stay apart."""
    quantize_int8(network, tmp_path / "q.onnx", calibration(), judge_of(network), OPTIONS)  # type: ignore[arg-type]

    model = onnx.load(str(tmp_path / "q.onnx"))
    assert model.graph.node[-1].op_type == "Gemm" or any(
        node.op_type == "Gemm" and "y" in node.output for node in model.graph.node
    )
    scores = outputs_of(tmp_path / "q.onnx", images(64))
    assert len(np.unique(scores)) > 256


def test_weights_of_seven_bits_without_vnni(network: Path, tmp_path: Path) -> None:
    """For a CPU that sums pairs in 16 bits, weights stay within -64..64."""
    options = Int8Options(target="x86-avx2", threads=1, methods=("min_max",))

    quantize_int8(network, tmp_path / "q.onnx", calibration(), judge_of(network), options)  # type: ignore[arg-type]

    for tensor in onnx.load(str(tmp_path / "q.onnx")).graph.initializer:
        if tensor.name in ("w1_quantized", "w2_quantized", "w3_quantized"):
            assert np.abs(numpy_helper.to_array(tensor).astype(int)).max() in (63, 64), tensor.name


def test_signed_activations_for_arm(network: Path, tmp_path: Path) -> None:
    """ARM kernels take int8 activations."""
    options = Int8Options(target="armv8.2-dotprod", threads=1, methods=("min_max",))

    quantize_int8(network, tmp_path / "q.onnx", calibration(), judge_of(network), options)  # type: ignore[arg-type]

    points = [
        item.data_type for item in onnx.load(str(tmp_path / "q.onnx")).graph.initializer if item.name == "x_zero_point"
    ]
    assert points == [onnx.TensorProto.INT8]


def test_layers_return_to_float_until_the_bound_holds(tmp_path: Path) -> None:
    """A class with a score of -1000 takes all steps of 8 bits: only the layer of the scores returns to float."""
    network = build_network(tmp_path, conv_head=True)
    model = onnx.load(str(network))
    for tensor in model.graph.initializer:
        if tensor.name == "b3":
            values = numpy_helper.to_array(tensor).copy()
            values[9] = -1000.0
            tensor.CopyFrom(numpy_helper.from_array(values, "b3"))
    saved(model, network)
    events: list[ProgressEvent] = []

    made = quantize_int8(
        network,
        tmp_path / "q.onnx",
        calibration(),  # type: ignore[arg-type]
        judge_of(network, 200),
        Int8Options(threads=1, bound_points=6.0),
        events.append,
    )

    assert all(item.metric is not None and item.metric < 0.8 for item in made.tried)
    assert made.bound_met
    assert made.metric_value is not None
    assert made.metric_value >= 0.94
    assert len(made.float_layers) == 1
    assert made.fused.convolutions == 2
    assert "accuracy" in made.float_layers[0].reason
    assert any("harm" in event.text for event in events)


def test_another_method_is_tried_beside_the_float_layers(tmp_path: Path) -> None:
    """A bound that float layers alone do not reach starts the competition once more, and the result says so."""
    network = build_network(tmp_path, conv_head=True)
    events: list[ProgressEvent] = []

    made = quantize_int8(
        network,
        tmp_path / "q.onnx",
        calibration(),  # type: ignore[arg-type]
        judge_of(network, 200, labelled=False),
        Int8Options(threads=1, bound_points=-1.0),
        events.append,
    )

    assert not made.bound_met
    assert "half of the arithmetic" in made.stopped_because
    assert sum(event.text == "trying mse" for event in events) == 2
    assert made.float_layers


def test_a_bound_out_of_reach_is_said(network: Path, tmp_path: Path) -> None:
    """Where no time is left for the search, the best so far is handed back and the bound is called missed."""
    options = Int8Options(threads=1, methods=("kl",), bias_correction=False, bound_points=-50.0, budget_seconds=0.0)

    made = quantize_int8(network, tmp_path / "q.onnx", calibration(), judge_of(network), options)  # type: ignore[arg-type]

    assert not made.bound_met
    assert "missed" in made.stopped_because
    assert (tmp_path / "q.onnx").is_file()


def test_wanted_layers_stay_float(network: Path, tmp_path: Path) -> None:
    """`keep_float` is obeyed and reported."""
    name = next(node.name for node in onnx.load(str(network)).graph.node if node.op_type == "Gemm")
    options = Int8Options(threads=1, methods=("min_max",), keep_float=(name,))

    made = quantize_int8(network, tmp_path / "q.onnx", calibration(), judge_of(network), options)  # type: ignore[arg-type]

    assert [(layer.name, layer.reason) for layer in made.float_layers] == [(name, "asked for")]


@pytest.mark.parametrize("batch", [1, 3])
def test_fixed_batch_network(tmp_path: Path, batch: int) -> None:
    """A network with a fixed batch is calibrated and judged in pieces of that size, every sample once."""
    import_onnx(saved(classifier(batch=batch), tmp_path / "s.onnx"), tmp_path / "n.onnx")
    data = images(16)

    made = quantize_int8(
        tmp_path / "n.onnx",
        tmp_path / "q.onnx",
        passes(data),  # type: ignore[arg-type]
        TuningJudge(passes(data), True),  # type: ignore[arg-type]
        Int8Options(threads=1, methods=("mse",)),
    )

    assert made.fidelity.samples == 16
    assert made.fidelity.sqnr_db > 20


def test_calibration_memory_does_not_grow(network: Path) -> None:
    """Sixteen times the data need no more memory at the peak: batches are observed and let go."""
    model = onnx.load(str(network))
    shapes = infer_shapes(model, {"x": (1, 3, 16, 16)})
    tensors = ("x", "r1", "r2", "s")

    def peak(count: int) -> int:
        def fresh() -> Iterator[np.ndarray]:
            for seed in range(count):
                yield images(8, seed)

        tracemalloc.start()
        statistics = calibrate(network, tensors, ("x",), fresh, shapes, threads=1)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert statistics.samples == 8 * count
        return highest

    peak(2)

    assert peak(64) < 1.1 * peak(4) + 100_000


@pytest.mark.parametrize("moment", [0, 3, 8, 12])
def test_interrupted_work_leaves_nothing(network: Path, tmp_path: Path, moment: int) -> None:
    """Ctrl-C at any report of progress leaves no file and no folder."""
    out = tmp_path / "out"
    seen: list[ProgressEvent] = []

    def interrupt(event: ProgressEvent) -> None:
        seen.append(event)
        if len(seen) > moment:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize_int8(network, out / "q.onnx", calibration(), judge_of(network), OPTIONS, interrupt)  # type: ignore[arg-type]

    assert not out.exists() or list(out.iterdir()) == []


def test_refusals(network: Path, tmp_path: Path) -> None:
    """No data, an unknown method, and a network with nothing to quantise have their own codes."""
    judge = judge_of(network)

    def code(source: Path, data: object, options: Int8Options) -> ErrorCode:
        with pytest.raises(EdgewrightError) as caught:
            quantize_int8(source, tmp_path / "q.onnx", data, judge, options)  # type: ignore[arg-type]
        return caught.value.code

    assert code(network, passes(images(0)), OPTIONS) is ErrorCode.DATASET_EMPTY
    assert code(network, calibration(), Int8Options(methods=("magic",))) is ErrorCode.OPTION_INVALID
    assert code(network, calibration(), Int8Options(target="vax")) is ErrorCode.TARGET_UNKNOWN
    broken = images(4)
    broken[2, 0, 0, 0] = np.nan
    assert code(network, passes(broken), OPTIONS) is ErrorCode.MODEL_NOT_FINITE
    relu = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("Relu", ["x"], ["y"])],
            "g",
            [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 4])],
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 4])],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
    )
    assert code(saved(relu, tmp_path / "r.onnx"), calibration(), OPTIONS) is ErrorCode.COMPRESSION_FAILED
    assert not (tmp_path / "q.onnx").exists()


def test_bias_correction_takes_back_the_mean_shift(network: Path, tmp_path: Path) -> None:
    """With coarse weights, a 1 x 1 layer's mean error over the calibration data vanishes after correction."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((6, 4, 1, 1)).astype(np.float32)
    scale = (np.abs(weight).max(axis=(1, 2, 3)) / 7).astype(np.float32)  # 4-bit steps: a large shift
    rounded = np.rint(weight / scale[:, None, None, None]).astype(np.int8)
    bias_scale = np.full(6, 1e-4, np.float32)
    x = (rng.random((50, 4, 5, 5)) + 1).astype(np.float32)
    helper = onnx.helper
    tensors = {
        "wq": rounded,
        "ws": scale,
        "wz": np.zeros(6, np.int8),
        "bq": np.zeros(6, np.int32),
        "bs": bias_scale,
        "bz": np.zeros(6, np.int32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["w"], axis=0),
            helper.make_node("DequantizeLinear", ["bq", "bs", "bz"], ["b"], axis=0),
            helper.make_node("Conv", ["x", "w", "b"], ["y"], name="conv"),
        ],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 4, 5, 5])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 6, 5, 5])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    layer = Layer("conv", "Conv", ("conv",), "x", "y", "weight", 0)

    done = correct_biases(model, {"weight": weight}, (layer,), {"x": x.mean(axis=(0, 2, 3), dtype=np.float64)})

    truth = np.einsum("oi,nihw->nohw", weight[:, :, 0, 0], x)
    gap = (outputs_of(saved(model, tmp_path / "b.onnx"), x) - truth).mean(axis=(0, 2, 3))
    assert done == 1
    assert np.abs(gap).max() < 1e-3
    uncorrected = (dequantised(rounded, scale, 0) - weight)[:, :, 0, 0] @ x.mean(axis=(0, 2, 3))
    assert np.abs(uncorrected).max() > 0.05


def test_fidelity_by_hand(network: Path) -> None:
    """The baseline against itself is perfect, and probabilities are left alone while logits become some."""
    judgement = Bench(network, judge_of(network), threads=1).judge_file(network)

    assert judgement.metric == 1.0
    assert judgement.fidelity.agreement == 1.0
    assert judgement.fidelity.sqnr_db == 120.0
    assert judgement.fidelity.cosine == pytest.approx(1.0)
    assert judgement.fidelity.expected_drop == 0.0
    given = np.array([[0.25, 0.75]])
    np.testing.assert_array_equal(probabilities(given), given)
    np.testing.assert_allclose(probabilities(np.array([[0.0, np.log(3.0)]])), given)


def test_fp16_halves_the_file(network: Path, tmp_path: Path) -> None:
    """Weights in half precision, inputs and outputs still float32, and the size-only note."""
    judge = judge_of(network, labelled=False)

    made = to_fp16(network, tmp_path / "h.onnx", judge)

    model = onnx.load(str(tmp_path / "h.onnx"))
    assert {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)} == {
        onnx.TensorProto.FLOAT
    }
    weights = sum(numpy_helper.to_array(item).nbytes for item in model.graph.initializer if "w" in item.name)
    assert weights == 2 * (432 + 2304 + 160)
    assert made.fidelity.sqnr_db > 45
    assert made.notes == (SIZE_ONLY,)
    assert made.bound_met
