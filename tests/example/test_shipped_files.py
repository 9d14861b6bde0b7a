"""The shipped example does what its facts say, and its script makes such files."""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgewright import example
from edgewright.core.spec import resolve_spec, spec_with_size
from edgewright.core.values import Part
from edgewright.datasets.scan import duplicates, scan
from edgewright.datasets.source import ImageSource
from edgewright.datasets.split import split
from edgewright.tasks.classification import top_k
from edgewright.tasks.preprocess import network_batches, normalization_of, write_input_set
from edgewright_contract.values import TensorSpec

FACTS = json.loads((example.files().model.parent / "facts.json").read_text())


def test_files_are_those_of_the_facts() -> None:
    """Network and images have the recorded hashes and sizes; the licence of the images is beside them."""
    files = example.files()

    assert hashlib.sha256(files.model.read_bytes()).hexdigest() == FACTS["network_sha256"]
    assert hashlib.sha256(files.dataset.read_bytes()).hexdigest() == FACTS["images_sha256"]
    assert files.model.stat().st_size == FACTS["network_bytes"] <= 3_000_000
    assert files.dataset.stat().st_size <= 3_000_000
    assert "Zalando" in (files.model.parent / "LICENSE.fashion-mnist").read_text()


def test_the_images_make_a_sound_data_set() -> None:
    """Ten classes of 400 different images, none skipped, enough in every part."""
    dataset = scan("example", example.files().dataset, None, 0)

    assert (len(dataset.samples), dataset.skipped, duplicates(dataset)) == (FACTS["images_count"], (), ())
    assert [sum(s.class_index == label for s in dataset.samples) for label in range(10)] == [400] * 10
    assert [len(part) for part in split(dataset).values()] == [256, 500, 3244]


def test_the_network_reaches_its_recorded_accuracy(tmp_path: Path) -> None:
    """Through the product's own preprocessing, on one image in five, within two standard errors."""
    files = example.files()
    dataset = scan("example", files.dataset, None, 0)
    samples = split(dataset)[Part.EVALUATION][:800]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(files.model), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    spec = spec_with_size(resolve_spec(files.spec_name), TensorSpec(entry.name, tuple(entry.shape), "float32"))
    with ImageSource(dataset.path, dataset.format) as source:
        write_input_set(tmp_path / "in.npy", source, samples, spec.input)
    scores = np.concatenate(
        [
            session.run(None, {entry.name: batch})[0]
            for batch in network_batches(tmp_path / "in.npy", normalization_of(spec.input), "float32", 50)
        ]
    )

    right = top_k(scores, np.array([sample.class_index for sample in samples]), 0, 1)

    assert right.mean() == pytest.approx(FACTS["accuracy_images"], abs=2 * np.sqrt(0.94 * 0.06 / 800))


def test_naming_the_files_loads_nothing_heavy() -> None:
    """The command line may import the example's package without torch, onnxruntime, numpy or Pillow."""
    code = "import sys, edgewright.example as e; e.files(); print(sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not any(f"'{name}'" in loaded for name in ("torch", "onnxruntime", "numpy", "PIL", "onnx"))


def write_idx(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> dict[str, str]:  # type: ignore[type-arg]
    """Files in Fashion-MNIST's form; returns the hashes of their contents."""
    contents = {
        f"{part}-images-idx3-ubyte": struct.pack(">4I", 2051, len(images), 28, 28) + images.tobytes(),
        f"{part}-labels-idx1-ubyte": struct.pack(">2I", 2049, len(labels)) + labels.tobytes(),
    }
    for name, content in contents.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


@pytest.mark.slow
def test_the_script_makes_a_network_and_images_of_the_same_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a handful of images the training script runs to its end and writes what the package ships."""
    pytest.importorskip("torch")
    from edgewright.example import images, train

    generator = np.random.default_rng(0)
    digests: dict[str, str] = {}
    parts = {}
    for part, count in (("train", 128), ("t10k", 60)):
        pixels = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        parts[part] = pixels
        if part == "t10k":
            pixels[0] = parts["train"][0]  # training must never have seen what is shipped
        digests |= write_idx(tmp_path, part, pixels, (np.arange(count) % 10).astype(np.uint8))
    monkeypatch.setattr(images, "_DIGESTS", digests)

    status = train.main(
        ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--epochs", "1", "--threads", "1", "--float32"]
    )

    assert status == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["images_count"] == 59
    dataset = scan("made", tmp_path / "out" / facts["images"], None, 0)
    assert dataset.class_names == images.CLASSES
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / facts["network"]), providers=["CPUExecutionProvider"])
    assert session.run(None, {"image": np.zeros((2, 1, 28, 28), np.float32)})[0].shape == (2, 10)


def test_other_files_than_the_published_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing and foreign files are named with a way to get the right ones."""
    pytest.importorskip("torch")
    from edgewright.example import train

    assert train.main(["--data", str(tmp_path)]) == 2
    assert "dataset-fashion-mnist" in capsys.readouterr().err

    write_idx(tmp_path, "train", np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8))
    assert train.main(["--data", str(tmp_path)]) == 2
    assert "not the published file" in capsys.readouterr().err
