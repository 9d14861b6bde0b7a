"""Wrong specs are noticed and the right key is named, on the built-in example and real networks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgewright import example
from edgewright.core.spec import NAMED_SPECS, spec_with_size
from edgewright.core.values import Color, Dataset, ModelSpec, OutputSpec, Part, Sample
from edgewright.datasets.scan import scan
from edgewright.datasets.source import ImageSource
from edgewright.datasets.split import split
from edgewright.tasks.preprocess import network_batches, normalization_of, write_input_set
from edgewright.tasks.suspicion import suspect_spec
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import TensorSpec

Labels = tuple[int | None, ...]
EXAMPLE = NAMED_SPECS["example"]


@dataclass
class Inputs:
    labels: Labels


@dataclass
class Runner:
    """Runs a network on images as `suspect_spec` asks for it; keeps the specs it was asked for."""

    model: Path
    dataset: Dataset
    samples: tuple[Sample, ...]
    relabel: Callable[[Labels], Labels] = lambda labels: labels

    def __post_init__(self) -> None:
        self.asked: list[ModelSpec] = []
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(self.model), options, providers=["CPUExecutionProvider"])

    def __call__(self, spec: ModelSpec) -> tuple[Inputs, Mapping[str, Any]]:
        self.asked.append(spec)
        entry = self.session.get_inputs()[0]
        spec = spec_with_size(spec, TensorSpec(entry.name, tuple(entry.shape), "float32"))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "in.npy"
            with ImageSource(self.dataset.path, self.dataset.format) as source:
                write_input_set(path, source, self.samples, spec.input)
            scores = [
                self.session.run(None, {entry.name: batch})[0]
                for batch in network_batches(path, normalization_of(spec.input), "float32", 8)
            ]
        labels = self.relabel(tuple(sample.class_index for sample in self.samples))
        return Inputs(labels), {"scores": np.concatenate(scores)}


@pytest.fixture(scope="module")
def fashion() -> tuple[Dataset, tuple[Sample, ...]]:
    dataset = scan("example", example.files().dataset, None, 0)
    return dataset, split(dataset)[Part.TUNING][:100]


def example_runner(
    fashion: tuple[Dataset, tuple[Sample, ...]], relabel: Callable[[Labels], Labels] = lambda labels: labels
) -> Runner:
    return Runner(example.files().model, *fashion, relabel)


def test_a_right_spec_is_not_suspected(fashion: tuple[Dataset, tuple[Sample, ...]]) -> None:
    """A high accuracy is reported without a warning, and nothing else is tried."""
    runner = example_runner(fashion)

    baseline, warnings = suspect_spec(runner, EXAMPLE)

    assert baseline is not None
    assert (baseline["name"], baseline["count"]) == ("top1", 100)
    assert baseline["value"] > 0.85
    assert warnings == []
    assert len(runner.asked) == 1


def test_a_wrong_range_is_named(fashion: tuple[Dataset, tuple[Sample, ...]]) -> None:
    """Pixels as they are, given to a network that wants them normalised: mean and std are named."""
    wrong = replace(EXAMPLE, input=replace(EXAMPLE.input, mean=(), std=()))

    _, warnings = suspect_spec(example_runner(fashion), wrong)

    assert len(warnings) == 1
    assert "input.mean = [" in warnings[0]
    assert "is the spec right?" in warnings[0] or "looks wrong" in warnings[0]


def test_wrong_labels_are_not_blamed_on_the_spec(fashion: tuple[Dataset, tuple[Sample, ...]]) -> None:
    """Where no alternative helps, the warning says that they were tried."""
    shuffled = example_runner(
        fashion, lambda labels: tuple(np.random.default_rng(0).permutation(np.array(labels)).tolist())
    )

    _, warnings = suspect_spec(shuffled, EXAMPLE)

    assert len(warnings) == 1
    assert "near chance (10.0%)" in warnings[0]
    assert "did not help" in warnings[0]


def test_without_labels_there_is_nothing_to_judge(fashion: tuple[Dataset, tuple[Sample, ...]]) -> None:
    """Unlabelled images give neither a figure nor a warning."""
    unlabelled = example_runner(fashion, lambda labels: (None,) * len(labels))

    assert suspect_spec(unlabelled, EXAMPLE) == (None, [])


def test_labels_beyond_the_network_are_refused(fashion: tuple[Dataset, tuple[Sample, ...]]) -> None:
    """A label without an output is an error, not a warning."""
    shifted = example_runner(fashion, lambda labels: tuple((label or 0) + 1 for label in labels))

    with pytest.raises(EdgewrightError) as caught:
        suspect_spec(shifted, EXAMPLE)

    assert caught.value.code is ErrorCode.LABEL_INVALID


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (replace(NAMED_SPECS["imagenet"], output=OutputSpec(first_class=1)), "output.first_class = 0"),
        (
            replace(NAMED_SPECS["imagenet"], input=replace(NAMED_SPECS["imagenet"].input, color=Color.BGR)),
            'input.color = "rgb"',
        ),
        (NAMED_SPECS["zero_to_one"], "input.mean = [123.675, 116.28, 103.53]"),
    ],
)
def test_usual_slips_are_named_on_a_real_network(assets: Path, wrong: ModelSpec, expected: str) -> None:
    """Off-by-one classes, swapped colours and another range: SqueezeNet's accuracy gives each away."""
    dataset = scan("im", assets / "data" / "imagenet_samples" / "labels.csv", "csv", 0)
    samples = split(dataset)[Part.TUNING][:100]
    model = assets / "models" / "classification" / "onnx" / "squeezenet1_1.onnx"

    _, warnings = suspect_spec(Runner(model, dataset, samples), wrong)

    assert len(warnings) == 1
    assert expected in warnings[0]
