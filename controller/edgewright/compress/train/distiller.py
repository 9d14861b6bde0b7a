"""The loss of a batch: the teacher's answers, the student's, and the gradients between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import torch

from edgewright.compress.train.batches import Batch
from edgewright.compress.train.features import Feature, pick_features
from edgewright.compress.train.losses import DistillationLoss, Weights
from edgewright.compress.train.options import TrainOptions
from edgewright.compress.train.student import Student
from edgewright.compress.train.teacher import Teacher, fixed_batch, node_outputs, single_float_input
from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode

# The weight of the soft loss beside labels, when nothing else is said.
_ALPHA_WITH_LABELS = 0.9
# Samples of the first batch that fix what errors are measured against.
_PROBE = 32
# What tensors kept for the backward pass may take, unless `micro_batch` says how many samples go through at once.
_KEPT_BYTES = 2**30
# Samples on which the executor is compared with onnxruntime.
_CHECKED = 8


class Distiller:
    """Made with the first batch, on which student and onnxruntime are compared and features are picked.

    `alpha` and `features` are those used; `difference` is what the student's `check` found.
    """

    def __init__(
        self,
        student: Student,
        start: onnx.ModelProto,
        teacher: onnx.ModelProto,
        probe: Batch,
        classification: bool,
        options: TrainOptions,
    ) -> None:
        self._student, self._micro_batch = student, options.micro_batch
        single_float_input(teacher)
        self._fixed = fixed_batch(start) or fixed_batch(teacher)
        self.alpha = _alpha(options, probe)
        self.difference = student.check(probe.inputs[: self._fixed or _CHECKED], options.threads)
        if not (self._fixed or self._micro_batch or options.batch_statistics):
            self._micro_batch = max(1, int(_KEPT_BYTES / max(self._kept_bytes(probe.inputs[:1]), 1)))
        self.features: tuple[Feature, ...] = ()
        if options.feature_weight:
            one = probe.inputs[: self._fixed or 1]
            pairs = student.pairs(node_outputs(teacher))
            self.features = pick_features(student.executor, pairs, teacher, one, options.features, options.threads)
        self._teacher = Teacher(teacher, [item.teacher for item in self.features], options.threads)
        weights = Weights(options.temperature, self.alpha, options.logit_weight, options.feature_weight)
        rows = max(_PROBE // self._fixed * self._fixed, self._fixed) if self._fixed else _PROBE
        parts = [self._teacher.answers(part) for part, _ in self._slices(Batch(probe.inputs[:rows]))]
        outputs = [torch.cat(values) for values in zip(*(part[0] for part in parts), strict=True)]
        features = {name: torch.cat([part[1][name] for part in parts]) for name in parts[0][1]}
        self._loss = DistillationLoss(outputs, features, classification, weights)

    def backward(self, batch: Batch) -> float:
        """The batch's mean loss; gradients add up in the student's parameters. Not finite: they are worth nothing."""
        slices = self._slices(batch)
        samples = sum(len(inputs) for inputs, _ in slices)
        total = 0.0
        for inputs, labels in slices:
            targets, wanted = self._teacher.answers(inputs)
            outputs, captured = self._student.run(
                torch.from_numpy(np.array(inputs)), [item.student for item in self.features]
            )
            features = {item.teacher: captured[item.student] for item in self.features}
            truth = None if labels is None or self.alpha == 1.0 else torch.from_numpy(np.array(labels, np.int64))
            loss = self._loss(outputs, features, targets, wanted, truth) * (len(inputs) / samples)
            value = float(loss.detach())
            if not math.isfinite(value):
                return value
            loss.backward()
            total += value
        return total

    def _kept_bytes(self, inputs: Array) -> int:
        """What autograd keeps of one forward pass, weights aside."""
        kept: dict[int, int] = {}

        def note(tensor: Any) -> Any:
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
            alive.append(tensor)
            return tensor

        alive: list[Any] = []
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            outputs, _ = self._student.run(torch.from_numpy(np.array(inputs)), ())
        weights = {value.data_ptr() for value, _ in self._student.parameters.values()}
        del outputs
        return sum(size for place, size in kept.items() if place not in weights)

    def _slices(self, batch: Batch) -> list[tuple[Array, Array | None]]:
        """Parts of a batch that go through at once: of the size the graph was exported for, or of `micro_batch`."""
        size = self._fixed or self._micro_batch or len(batch.inputs)
        whole = len(batch.inputs) // size * size if self._fixed else len(batch.inputs)
        if whole == 0:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"the network was exported for batches of {size}; a training batch has {len(batch.inputs)}",
                f"use batches of at least {size}, or export with a free batch dimension",
            )
        return [
            (batch.inputs[i : i + size], None if batch.labels is None else batch.labels[i : i + size])
            for i in range(0, whole, size)
        ]


def _alpha(options: TrainOptions, probe: Batch) -> float:
    if probe.labels is None and options.alpha is not None and options.alpha < 1.0:
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID,
            f"alpha is {options.alpha}, which asks for labels, and the training set has none",
            "leave alpha out (or 1) to train on the teacher's answers alone, or give labelled images",
        )
    if options.alpha is not None:
        return options.alpha
    return 1.0 if probe.labels is None else _ALPHA_WITH_LABELS
