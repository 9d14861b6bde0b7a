"""One way of quantising a network, made into a file and judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.compress.bias import correct_biases
from edgewright.compress.calibration import Statistics
from edgewright.compress.judge import Judgement
from edgewright.compress.placement import Placement, place
from edgewright.compress.qdq import insert_qdq
from edgewright.compress.ranges import METHODS, Range
from edgewright.compress.sharing import share_ranges
from edgewright.core.targets import Int8Policy
from edgewright.graph.model_file import load_model, save_model
from edgewright.graph.session import Array
from edgewright.graph.shapes import Shape


@dataclass(frozen=True)
class Choice:
    """How to quantise: a range method, bias correction or not, and layers kept float (name -> reason)."""

    method: str
    bias_corrected: bool = False
    keep_float: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        return self.method + (" with bias correction" if self.bias_corrected else "")


@dataclass(frozen=True)
class Candidate:
    choice: Choice
    placement: Placement
    path: Path
    judgement: Judgement


class Workshop:
    """Turns choices into files. Holds the float network's statistics; ranges are computed once per method."""

    def __init__(
        self,
        source: Path,
        shapes: dict[str, Shape],
        statistics: Statistics,
        classification: bool,
        policy: Int8Policy,
    ) -> None:
        self._source, self._shapes, self._statistics = source, shapes, statistics
        self._classification, self._policy = classification, policy
        self._ranges: dict[str, dict[str, Range]] = {}
        self._weights: dict[str, Array] | None = None

    def ranges(self, method: str) -> dict[str, Range]:
        """Range of every observed tensor by `method`."""
        if method not in self._ranges:
            compute = METHODS[method]
            self._ranges[method] = {name: compute(histogram) for name, histogram in self._statistics.histograms.items()}
        return self._ranges[method]

    def make(self, choice: Choice, destination: Path) -> Placement:
        """Writes the Q/DQ file of `choice`; returns where it is quantised."""
        model = load_model(self._source)
        placement = place(
            model,
            self._shapes,
            self._classification,
            dict(choice.keep_float),
            self._policy.macs_per_conversion,
        )
        if choice.bias_corrected and self._weights is None:
            self._weights = layer_weights(model, placement)
        ranges = share_ranges(model, placement, self.ranges(choice.method))
        quantised = insert_qdq(model, placement, ranges, self._policy)
        if choice.bias_corrected:
            assert self._weights is not None
            correct_biases(quantised, self._weights, placement.layers, self._statistics.channel_means)
        save_model(quantised, destination)
        return placement


def layer_weights(model: onnx.ModelProto, placement: Placement) -> dict[str, Array]:
    """Float weights of the quantised layers by initializer name."""
    wanted = {layer.weight for layer in placement.layers}
    return {
        tensor.name: np.array(numpy_helper.to_array(tensor))
        for tensor in model.graph.initializer
        if tensor.name in wanted
    }
