"""Which images a network is trained with, and never those it is judged on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.core.values import Dataset, Part, ProgressCallback, Task
from edgewright.services.datasets import parts_of
from edgewright.services.inputs import InputSets
from edgewright.services.models import spec_of
from edgewright.store.records import ModelRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode

if TYPE_CHECKING:
    from edgewright.compress.pipeline.training_data import TrainingData


def training_images(
    model: ModelRecord,
    dataset: Dataset,
    training: Dataset | None,
    inputs: InputSets,
    progress: ProgressCallback,
) -> tuple[TrainingData, tuple[str, ...]]:
    """All of the data set `training`, or without one the calibration part of the model's own; and notes for people.

    Images that the model's tuning or evaluation part has too are left out. Labels are used for classifiers, where
    every image has one and both data sets have the same classes.
    """
    from edgewright.compress.pipeline.training_data import TrainingData

    parts = parts_of(dataset)
    source = training or dataset
    samples = training.samples if training is not None else parts[Part.CALIBRATION]
    judged = {sample.sha256 for part in (Part.TUNING, Part.EVALUATION) for sample in parts[part]}
    chosen = tuple(sample for sample in samples if sample.sha256 not in judged)
    notes = []
    if len(chosen) < len(samples):
        left_out = len(samples) - len(chosen)
        notes.append(f"{left_out} training images are left out: the network is judged on the same ones")
    if not chosen:
        raise EdgewrightError(
            ErrorCode.DATASET_EMPTY,
            f"every image of {source.name} is one that {model.name} is judged on: none is left to train with",
            "give other images with --training",
        )
    spec = spec_of(model)
    file = inputs.of_dataset(source, chosen, spec, progress)
    labels = None
    if model.task == Task.CLASSIFICATION and source.class_names:
        known = [label for label in file.labels if label is not None]
        if source.class_names != dataset.class_names:
            notes.append(f"trained without labels: the classes of {source.name} and {dataset.name} differ")
        elif len(known) == len(file.labels):
            labels = tuple(label + spec.output.first_class for label in known)
    return TrainingData(file.path, file.normalization, labels), tuple(notes)
