"""Outputs of a whole input set, computed on the agent's side by real runtimes in real workers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from worker_examples import (
    IMAGES,
    NOTHING,
    Owner,
    dense_model,
    dense_weights,
    local,
    save_images,
    save_model,
    tensor,
)

from edgewright_agent.measure.evaluation import run_evaluation
from edgewright_agent.measure.values import LocalCandidate, LocalInputs, WorkerSettings
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Loaded, Normalization, Progress, TensorSpec, WorkerClosed


def evaluate(
    candidate: LocalCandidate, inputs: LocalInputs, workspace: Path, settings: WorkerSettings
) -> tuple[Owner, dict[str, np.ndarray[Any, Any]]]:
    owner = Owner()
    run_evaluation(candidate, inputs, workspace, settings, owner.emit, owner.publish, owner)
    with np.load(owner.outputs[candidate.candidate.label]) as archive:
        return owner, {name: archive[name] for name in archive.files}


def failure(
    candidate: LocalCandidate, inputs: LocalInputs, workspace: Path, settings: WorkerSettings
) -> EdgewrightError:
    owner = Owner()
    with pytest.raises(EdgewrightError) as caught:
        run_evaluation(candidate, inputs, workspace, settings, owner.emit, owner.publish, owner)
    assert owner.outputs == {}
    assert not [path for path in workspace.iterdir() if "outputs" in path.name]
    return caught.value


@pytest.mark.parametrize("batch", [1, "N"])
def test_outputs_are_those_of_plain_arithmetic(settings: WorkerSettings, tmp_path: Path, batch: int | str) -> None:
    """Six images through flatten and one matrix product, batch fixed or dynamic, equal numpy's result."""
    inputs = save_images(tmp_path / "images.npy")
    model = dense_model(tmp_path / "dense.onnx", batch)

    owner, outputs = evaluate(local(model), inputs, tmp_path, settings)

    pixels = (np.load(inputs.path).astype(np.float64) - 127.0) / 128.0
    expected = pixels.transpose(0, 3, 1, 2).reshape(6, 12) @ dense_weights().astype(np.float64)
    assert list(outputs) == ["/head/logits"]
    assert outputs["/head/logits"].dtype == np.float32
    np.testing.assert_allclose(outputs["/head/logits"], expected, rtol=0, atol=1e-5)
    assert owner.of(Progress)[-1] == Progress("tiny@base: inferences", 6, 6)
    (closed,) = owner.of(WorkerClosed)
    assert closed.peak_memory_bytes > 10 << 20


def test_loaded_tells_what_really_runs(settings: WorkerSettings, tmp_path: Path) -> None:
    """Version, provider, affinity and tensors are those of the runtime, times are plausible."""
    inputs = save_images(tmp_path / "images.npy")

    owner, _ = evaluate(local(dense_model(tmp_path / "dense.onnx", "N")), inputs, tmp_path, settings)

    (loaded,) = owner.of(Loaded)
    assert loaded.runtime_version == f"onnxruntime {onnxruntime.__version__}"
    assert loaded.accelerator == "CPUExecutionProvider"
    assert loaded.inputs == (TensorSpec("x", (1, 3, 2, 2), "float32"),)
    assert loaded.outputs == (TensorSpec("/head/logits", (1, 5), "float32"),)
    assert len(loaded.cpus) >= 1
    assert 1e6 < loaded.spawn_ns < 60e9
    assert 0 < loaded.first_inference_ns < loaded.load_ns + 1e9


def test_two_outputs_keep_names_dtypes_and_shapes(settings: WorkerSettings, tmp_path: Path) -> None:
    """Every output of the graph is an array of its own; a leading axis of 1 is the batch and is dropped."""
    nodes = [
        helper.make_node("ArgMax", ["x"], ["top"], axis=1, keepdims=0),
        helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
    ]
    outputs = [tensor("top", [1], TensorProto.INT64), tensor("half", [1, 4], TensorProto.FLOAT16)]
    model = save_model(tmp_path / "two.onnx", nodes, [tensor("x", [1, 4])], outputs)
    samples = np.array([[1, 9, 2, 3], [8, 1, 2, 3], [1, 2, 3, 4]], dtype=np.float32)
    np.save(tmp_path / "rows.npy", samples)

    _, arrays = evaluate(local(model), LocalInputs(tmp_path / "rows.npy", Normalization()), tmp_path, settings)

    assert arrays["top"].tolist() == [1, 0, 3]
    assert arrays["top"].dtype == np.int64
    assert arrays["half"].dtype == np.float16
    assert arrays["half"].tolist() == samples.tolist()


def test_memory_stays_constant(settings: WorkerSettings, tmp_path: Path) -> None:
    """Outputs of 200 MB are written by a worker whose memory limit is 120 MiB."""
    nodes = [helper.make_node("Expand", ["x", "shape"], ["wide"])]
    model = save_model(
        tmp_path / "wide.onnx",
        nodes,
        [tensor("x", [1, 1])],
        [tensor("wide", [1, 250_000])],
        shape=np.array([1, 250_000], dtype=np.int64),
    )
    np.save(tmp_path / "rows.npy", np.arange(200, dtype=np.float32).reshape(200, 1))
    limited = replace(settings, memory_limit_bytes=120 << 20)
    owner = Owner()

    run_evaluation(
        local(model),
        LocalInputs(tmp_path / "rows.npy", Normalization()),
        tmp_path,
        limited,
        owner.emit,
        owner.publish,
        owner,
    )

    with np.load(owner.outputs["tiny@base"]) as archive:
        wide = archive["wide"]
    assert wide.shape == (200, 250_000)
    assert (wide[:, ::1000] == np.arange(200)[:, None]).all()
    assert owner.of(WorkerClosed)[0].peak_memory_bytes < 200 << 20


@pytest.mark.assets
def test_quantised_tflite_outputs_are_dequantised(settings: WorkerSettings, tmp_path: Path, assets: Path) -> None:
    """A uint8 network gets the bytes as they are; its outputs are (q - zero_point) * scale in float32."""
    interpreter_module = pytest.importorskip("ai_edge_litert.interpreter")
    path = assets / "models/classification/tflite/mobilenet_v1_0.25_128_quant.tflite"
    samples = np.random.default_rng(1).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", samples)
    inputs = LocalInputs(tmp_path / "images.npy", Normalization((127.5,), (127.5,), "nhwc"))

    owner, outputs = evaluate(local(path, runtime="tflite"), inputs, tmp_path, settings)

    interpreter = interpreter_module.Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    output = interpreter.get_output_details()[0]
    scale, zero_point = output["quantization"]
    (array,) = outputs.values()
    assert array.dtype == np.float32
    for row, sample in zip(array, samples, strict=True):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[None])
        interpreter.invoke()
        raw = interpreter.get_tensor(output["index"])[0].astype(np.float64)
        np.testing.assert_allclose(row, (raw - zero_point) * scale, rtol=1e-6)
    assert "ai-edge-litert" in owner.of(Loaded)[0].runtime_version


def test_inputs_that_do_not_fit_are_refused_with_both_shapes(settings: WorkerSettings, tmp_path: Path) -> None:
    """A sample of another size is SPEC_MISMATCH naming the wanted and the given shape."""
    np.save(tmp_path / "images.npy", np.zeros((2, 5, 5, 3), np.uint8))

    error = failure(
        local(dense_model(tmp_path / "d.onnx")),
        LocalInputs(tmp_path / "images.npy", IMAGES),
        tmp_path,
        settings,
    )

    assert error.code is ErrorCode.SPEC_MISMATCH
    assert "[1, 3, 2, 2]" in error.message
    assert "[1, 3, 5, 5]" in error.message


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00v\x00{'descr': '|O'"])
def test_a_file_that_is_no_array_is_refused(settings: WorkerSettings, tmp_path: Path, content: bytes) -> None:
    """Empty, foreign and truncated input sets are ARTIFACT_CORRUPT."""
    (tmp_path / "images.npy").write_bytes(content)

    error = failure(
        local(dense_model(tmp_path / "d.onnx")),
        LocalInputs(tmp_path / "images.npy", IMAGES),
        tmp_path,
        settings,
    )

    assert error.code is ErrorCode.ARTIFACT_CORRUPT


def test_pickled_objects_are_never_loaded(settings: WorkerSettings, tmp_path: Path) -> None:
    """An input set of Python objects is refused before anything in it could run."""
    np.save(tmp_path / "images.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)

    error = failure(
        local(dense_model(tmp_path / "d.onnx")),
        LocalInputs(tmp_path / "images.npy", IMAGES),
        tmp_path,
        settings,
    )

    assert error.code is ErrorCode.ARTIFACT_CORRUPT


def test_outputs_of_varying_shape_are_refused(settings: WorkerSettings, tmp_path: Path) -> None:
    """A graph that selects a varying number of results cannot fill one array and says so."""
    model = save_model(
        tmp_path / "nonzero.onnx",
        [helper.make_node("NonZero", ["x"], ["where"])],
        [tensor("x", [1, 4])],
        [tensor("where", [2, None], TensorProto.INT64)],
    )
    np.save(tmp_path / "rows.npy", np.array([[1, 1, 0, 0], [1, 1, 1, 0]], dtype=np.float32))

    error = failure(local(model), LocalInputs(tmp_path / "rows.npy", Normalization()), tmp_path, settings)

    assert error.code is ErrorCode.MODEL_UNSUPPORTED
    assert "where" in error.message


@pytest.mark.parametrize(
    ("name", "content", "runtime", "code"),
    [
        ("bad.onnx", b"hello", "onnxruntime", ErrorCode.MODEL_CORRUPT),
        ("bad.tflite", b"hello", "tflite", ErrorCode.MODEL_CORRUPT),
        ("cut.tflite", b"\0\0\0\0TFL3" + b"x" * 200, "tflite", ErrorCode.MODEL_CORRUPT),
    ],
)
def test_corrupt_models_are_told_by_name(
    settings: WorkerSettings, tmp_path: Path, name: str, content: bytes, runtime: str, code: ErrorCode
) -> None:
    """A file that is no model, or the rest of one, is MODEL_CORRUPT and the parent lives."""
    (tmp_path / name).write_bytes(content)

    error = failure(local(tmp_path / name, runtime=runtime), save_images(tmp_path / "images.npy"), tmp_path, settings)

    assert error.code is code
    assert "tiny@base" in error.message


def test_an_unknown_operator_is_unrunnable(settings: WorkerSettings, tmp_path: Path) -> None:
    """An operator that the device's runtime lacks is MODEL_UNRUNNABLE naming the operator and the version."""
    node = helper.make_node("NoSuchOperator", ["x"], ["y"])
    model = save_model(tmp_path / "m.onnx", [node], [tensor("x", [1, 4])], [tensor("y", [1, 4])])

    error = failure(local(model), save_images(tmp_path / "images.npy"), tmp_path, settings)

    assert error.code is ErrorCode.MODEL_UNRUNNABLE
    assert "NoSuchOperator" in error.message
    assert onnxruntime.__version__ in error.message


def test_a_file_of_a_newer_format_names_the_version(settings: WorkerSettings, tmp_path: Path) -> None:
    """An IR version beyond the runtime's is MODEL_UNRUNNABLE whose text holds the version it supports."""
    path = dense_model(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.ir_version = 99
    onnx.save(model, path)

    error = failure(local(path), save_images(tmp_path / "images.npy"), tmp_path, settings)

    assert error.code is ErrorCode.MODEL_UNRUNNABLE
    assert "IR version: 99" in error.message
    assert str(tmp_path) not in error.message


@pytest.mark.parametrize("candidate", [("onnxruntime", "tflite"), ("no-such-runtime", "onnx")])
def test_a_runtime_that_cannot_read_the_format_is_refused(
    settings: WorkerSettings, tmp_path: Path, candidate: tuple[str, str]
) -> None:
    """RUNTIME_UNAVAILABLE lists what there is, before any worker starts."""
    wrong = local(tmp_path / "model")
    wrong = replace(wrong, candidate=replace(wrong.candidate, runtime=candidate[0], format=candidate[1]))

    error = failure(
        wrong,
        save_images(tmp_path / "images.npy"),
        tmp_path,
        replace(settings, python=("no worker is started",)),
    )

    assert error.code is ErrorCode.RUNTIME_UNAVAILABLE
    assert "onnxruntime (onnx), tflite (tflite)" in error.message


def test_cancelling_leaves_nothing(misbehaving: Callable[[str], WorkerSettings], tmp_path: Path) -> None:
    """A cancelled evaluation raises CANCELLED within 2 s and publishes nothing."""
    np.save(tmp_path / "rows.npy", np.zeros((2, 1), np.float32))
    owner = Owner(cancel_after_s=0.5)

    with pytest.raises(EdgewrightError) as caught:
        run_evaluation(
            NOTHING,
            LocalInputs(tmp_path / "rows.npy", Normalization()),
            tmp_path,
            misbehaving("sleep"),
            owner.emit,
            owner.publish,
            owner,
        )

    assert caught.value.code is ErrorCode.CANCELLED
    assert time.monotonic() - owner.started < 0.5 + 2.0
    assert owner.outputs == {}


def test_the_parent_imports_neither_numpy_nor_a_runtime() -> None:
    """What the agent's parent imports for measuring stays light: its idle memory is a promise."""
    import subprocess

    program = (
        "import sys\n"
        "import edgewright_agent.device_info\n"
        "import edgewright_agent.measure.benchmark, edgewright_agent.measure.evaluation\n"
        "import edgewright_agent.measure.smoke, edgewright_contract.normalize\n"
        "edgewright_agent.device_info.registry.available()\n"
        "heavy = {'numpy', 'onnxruntime', 'ai_edge_litert', 'tflite_runtime', 'grpc', 'google.protobuf'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
