"""Input sets: streamed, whole or absent, and equal to the documented preprocessing down to the accuracy."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgewright.core.spec import resolve_spec, spec_with_size
from edgewright.core.values import Color, Dataset, InputSpec, ProgressEvent, Resize
from edgewright.datasets.scan import scan
from edgewright.datasets.source import ImageSource
from edgewright.tasks.classification import top_k
from edgewright.tasks.preprocess import load_pixels, network_batches, normalization_of, write_input_set
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Normalization, TensorSpec
from tests.datasets.pictures import png, two_classes, write_tree

SPEC = InputSpec(size=(6, 5), resize=Resize.STRETCH, color=Color.BGR, mean=(10.0, 20.0, 30.0), std=(2.0,))


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    return scan("d", write_tree(tmp_path / "set", two_classes(20)), None, 0)


def test_the_file_holds_every_samples_pixels_in_order(tmp_path: Path, pictures: Dataset) -> None:
    """The .npy is uint8 [N, H, W, C]; its size in bytes is returned, progress ends at N."""
    path, events = tmp_path / "in.npy", list[ProgressEvent]()

    with ImageSource(pictures.path, pictures.format) as source:
        size = write_input_set(path, source, pictures.samples, SPEC, events.append)
        expected = np.stack([load_pixels(source.open(sample), SPEC) for sample in pictures.samples])

    written = np.load(path)
    assert written.dtype == np.uint8
    assert np.array_equal(written, expected)
    assert size == path.stat().st_size
    assert (events[-1].done, events[-1].total) == (40, 40)


def test_batches_are_normalised_and_laid_out(tmp_path: Path, pictures: Dataset) -> None:
    """(x - mean) / std in float32, NCHW; the last batch is smaller; uint8 networks get the pixels."""
    path = tmp_path / "in.npy"
    with ImageSource(pictures.path, pictures.format) as source:
        write_input_set(path, source, pictures.samples[:7], SPEC)
    pixels = np.load(path)

    batches = list(network_batches(path, normalization_of(SPEC), "float32", 3))

    expected = ((pixels.astype(np.float64) - [10, 20, 30]) / 2).transpose(0, 3, 1, 2)
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert np.array_equal(np.concatenate(batches), expected.astype(np.float32))
    plain = np.concatenate(list(network_batches(path, Normalization(layout="nhwc"), "uint8", 4)))
    assert np.array_equal(plain, pixels)


def test_a_changed_image_leaves_no_file(tmp_path: Path, pictures: Dataset) -> None:
    """When an image is not the registered one any more, nothing is written, half or whole."""
    (Path(pictures.path) / pictures.samples[33].file).write_bytes(png(999))
    folder = tmp_path / "out"
    folder.mkdir()

    with ImageSource(pictures.path, pictures.format) as source, pytest.raises(EdgewrightError) as caught:
        write_input_set(folder / "in.npy", source, pictures.samples, SPEC)

    assert caught.value.code is ErrorCode.DATASET_CHANGED
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_an_error_and_leaves_no_file(
    tmp_path: Path, pictures: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No space is DISK_FULL, and the part written is removed."""
    folder = tmp_path / "out"
    folder.mkdir()

    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with ImageSource(pictures.path, pictures.format) as source, pytest.raises(EdgewrightError) as caught:
        write_input_set(folder / "in.npy", source, pictures.samples, SPEC)

    assert caught.value.code is ErrorCode.DISK_FULL
    assert list(folder.iterdir()) == []


def test_no_samples_are_refused(tmp_path: Path, pictures: Dataset) -> None:
    """An input set without images is no input set."""
    with ImageSource(pictures.path, pictures.format) as source, pytest.raises(EdgewrightError) as caught:
        write_input_set(tmp_path / "in.npy", source, (), SPEC)

    assert caught.value.code is ErrorCode.DATASET_EMPTY


def onnx_scores(path: Path, spec_name: str, dataset: Dataset, samples: Any, folder: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    spec = spec_with_size(resolve_spec(spec_name), TensorSpec(entry.name, tuple(entry.shape), "float32"))
    with ImageSource(dataset.path, dataset.format) as source:
        write_input_set(folder / "in.npy", source, samples, spec.input)
    batches = network_batches(folder / "in.npy", normalization_of(spec.input), "float32", 1)
    return np.concatenate([session.run(None, {entry.name: batch})[0] for batch in batches])


def tflite_scores(path: Path, spec_name: str, dataset: Dataset, samples: Any, folder: Path) -> Any:
    interpreter_module = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = interpreter_module.Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    entry, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    shape, dtype = tuple(int(side) for side in entry["shape"]), np.dtype(entry["dtype"]).name
    spec = spec_with_size(resolve_spec(spec_name), TensorSpec(entry["name"], shape, dtype))
    with ImageSource(dataset.path, dataset.format) as source:
        write_input_set(folder / "in.npy", source, samples, spec.input)
    scores = []
    for batch in network_batches(folder / "in.npy", normalization_of(spec.input), dtype, 1):
        interpreter.set_tensor(entry["index"], batch)
        interpreter.invoke()
        scores.append(interpreter.get_tensor(answer["index"])[0])
    return np.stack(scores)


# File, ready spec, documented top-1 of the assets.
DOCUMENTED = [
    ("onnx/squeezenet1_1.onnx", "imagenet", 0.578),
    ("onnx/tf_efficientnet_lite0.onnx", "efficientnet_lite", 0.870),
    ("tflite/mobilenet_v1_0.25_128_quant.tflite", "tf_mobilenet_quant", 0.452),
    ("tflite/mobilenet_v2_1.0_224_quant.tflite", "tf_mobilenet_quant", 0.868),
    ("tflite/squeezenet1_1_fp32.tflite", "imagenet", 0.578),
]


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.parametrize(("file", "spec_name", "documented"), DOCUMENTED)
def test_documented_top1_is_reached(assets: Path, tmp_path: Path, file: str, spec_name: str, documented: float) -> None:
    """On all 500 images top-1 is the documented one within one image.

    A uint8 network gives equal scores to several classes of some images; the documented figure broke such ties
    in an order of its own, so there it has to lie between losing and winning all ties.
    """
    dataset = scan("im", assets / "data" / "imagenet_samples" / "labels.csv", "csv", 0)
    labels = np.array([sample.class_index for sample in dataset.samples])
    run = onnx_scores if file.endswith(".onnx") else tflite_scores

    scores = run(assets / "models" / "classification" / file, spec_name, dataset, dataset.samples, tmp_path)

    first_class = resolve_spec(spec_name).output.first_class
    top1 = top_k(scores, labels, first_class, 1).mean()
    own = np.take_along_axis(scores, labels[:, None] + first_class, axis=1)
    wins_ties = (scores > own).sum(axis=1) == 0
    loses_ties = wins_ties & ((scores == own).sum(axis=1) == 1)
    one_image = 1 / len(labels) + 1e-9
    assert loses_ties.mean() - one_image <= documented <= wins_ties.mean() + one_image
    assert loses_ties.mean() <= top1 <= wins_ties.mean()
    if scores.dtype == np.float32:
        assert abs(top1 - documented) <= one_image


@pytest.mark.assets
def test_top1_of_some_images_equals_the_documented_snippets(assets: Path, tmp_path: Path) -> None:
    """On 60 images SqueezeNet's answers are right exactly where the documented snippet's are."""
    from PIL import Image

    from tests.tasks.test_pixels import documented

    folder = assets / "data" / "imagenet_samples"
    model = assets / "models" / "classification" / "onnx" / "squeezenet1_1.onnx"
    dataset = scan("im", folder / "labels.csv", "csv", 0)
    samples = dataset.samples[::8][:60]
    labels = np.array([sample.class_index for sample in samples])

    right = top_k(onnx_scores(model, "imagenet", dataset, samples, tmp_path), labels, 0, 1)

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    mean, std = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])
    expected = []
    for sample, label in zip(samples, labels, strict=True):
        with Image.open(folder / sample.file) as image:
            crop = documented(image, 224, Image.Resampling.BILINEAR)
        x = ((crop.astype(np.float32) - mean) / std).transpose(2, 0, 1)[None]
        expected.append(np.argsort(-session.run(None, {session.get_inputs()[0].name: x})[0][0])[0] == label)
    assert right.tolist() == [bool(hit) for hit in expected]
    assert 20 < right.sum() < 60
