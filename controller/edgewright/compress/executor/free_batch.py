"""Graphs exported for one batch size made to run with any.

Exporters write the batch of the example into Reshape and Expand. Training such a graph sample by sample is slow, so
its constants are rewritten for the executor alone (the file keeps them): the axis that carries the batch is followed
through the graph, and where a constant shape names its size, it is left open. Wrong guesses are caught by trying: two
samples at once must give what they give one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from edgewright.compress.executor.plan import in_order
from edgewright.graph.session import Array
from edgewright.graph.shapes import Shape, concrete_shapes, infer_shapes, true_inputs

Inputs = tuple[Tensor, ...]
Network = Callable[..., tuple[Tensor, ...]]

_SPATIAL = frozenset(
    {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "Gemm"}
)


class _Lost(Exception):
    """The batch axis cannot be followed."""


def fixed_batch(model: onnx.ModelProto) -> int:
    """The batch size that every input is fixed at; 0 where one leaves it open or they differ."""
    found = set()
    for value in true_inputs(model):
        dimensions = value.type.tensor_type.shape.dim
        found.add(dimensions[0].dim_value if dimensions else 0)
    return found.pop() if len(found) == 1 else 0


def same_in_a_batch(fixed: Network, freed: Network, samples: tuple[Inputs, Inputs]) -> bool:
    """Whether `freed` gives for both samples at once what `fixed` gives for each.

    Mixed up samples would be as wrong as the two differ, so that a hundredth of that is allowed, for rounding.
    """
    with torch.no_grad():
        apart = [fixed(*sample) for sample in samples]
        together = freed(*(torch.cat(pair) for pair in zip(*samples, strict=True)))
    for first, second, both in zip(*apart, together, strict=True):
        if first.shape != second.shape or both.shape != (2 * first.shape[0], *first.shape[1:]):
            return False
        if both.numel() == 0:
            continue
        spread = float((first.double() - second.double()).abs().max())
        if not float((torch.cat([first, second]).double() - both.double()).abs().max()) <= 0.01 * spread:
            return False
    return True


def with_free_batch(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The graph with its constant shapes open in the batch. None where the batch cannot be followed to every output.

    The result shares nothing with `model`.
    """
    freed = onnx.ModelProto()
    freed.CopyFrom(model)
    try:
        _Walk(freed).all()
    except (_Lost, LookupError, ValueError, StopIteration, onnx.shape_inference.InferenceError):
        return None  # an odd graph ends the walk in one of these; the batch then stays as it is
    for value in (*freed.graph.input, *freed.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if dimensions:
            dimensions[0].ClearField("dim_value")
    del freed.graph.value_info[:]
    return freed


class _Walk:
    """Follows the axis of the batch: `axis` has it for every tensor that depends on an input.

    Within its axis the batch is outermost: a size of 64 windows times the batch counts as a batch of 64 rows each.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes = in_order(model)
        self.shapes: Mapping[str, Shape] = infer_shapes(model, concrete_shapes(model))
        self.values: dict[str, Array] = {
            tensor.name: numpy_helper.to_array(tensor)
            for tensor in model.graph.initializer
            if tensor.data_type == onnx.TensorProto.INT64 and len(tensor.dims) <= 1
        }
        for node in self.nodes:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self.values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        self.axis: dict[str, int] = {value.name: 0 for value in true_inputs(model)}

    def all(self) -> None:
        for node in self.nodes:
            carried = [name for name in node.input if name in self.axis]
            if not carried or node.op_type in ("Shape", "Size"):
                continue
            place = self._follow(node, carried[0])
            for name in node.output:
                if name:
                    self.axis[name] = place
        if any(self.axis.get(value.name, 0) != 0 for value in self.model.graph.output):
            raise _Lost

    def _follow(self, node: Any, source: str) -> int:
        special = getattr(self, f"_{node.op_type.lower()}", None)
        if special is not None:
            return int(special(node, source))
        if node.op_type in _SPATIAL:
            return self.axis[source]
        if node.op_type.startswith("Reduce") or node.op_type in ("ArgMax", "ArgMin"):
            return self._reduced(node, source)
        # Everything else keeps its axes or broadcasts, which aligns them from the right.
        carried = [name for name in node.input if name in self.axis]
        if any(name not in self.shapes for name in (node.output[0], *carried)) and not any(map(self.axis.get, carried)):
            return 0
        rank = self._rank(node.output[0])
        places = {self.axis[name] + rank - self._rank(name) for name in carried if self._rank(name)}
        return places.pop() if len(places) == 1 else self._lost()

    def _rank(self, name: str) -> int:
        shape = self.shapes.get(name)
        return self._lost() if shape is None else len(shape)

    def _sizes(self, name: str) -> list[int]:
        found = self.shapes.get(name)
        if found is None or None in found:
            self._lost()
        return [int(size) for size in found or () if size is not None]

    def _lost(self) -> int:
        raise _Lost

    def _reshape(self, node: Any, source: str) -> int:
        """The batch lands where as many elements lie outside it as before; its size is left open."""
        computed = len(node.input) > 1 and node.input[1] not in self.values
        if computed and self.axis[source] == 0 and None in self.shapes.get(node.output[0], (None,)):
            return 0  # the graph itself works the shape out, from the true batch
        place, before, after = self.axis[source], self._sizes(source), self._sizes(node.output[0])
        outside = int(np.prod(before[:place]))
        fitting = [axis for axis in range(len(after)) if int(np.prod(after[:axis])) == outside]
        # A row of axes of size one fits as well; the one at the same place, else the first, is meant.
        chosen = place if place in fitting and after[place] == before[place] else next(iter(fitting), -1)
        if chosen < 0 or after[chosen] % max(before[place] if before[place] == 1 else 1, 1):
            self._lost()
        if len(node.input) > 1 and node.input[1] in self.values:
            target = [int(size) for size in self.values[node.input[1]].reshape(-1)]
            target = [size if size != 0 else before[axis] for axis, size in enumerate(target)]
            target = [size if size != -1 else after[axis] for axis, size in enumerate(target)]
            target[chosen] = -1
            self._replace(node, 1, np.array(target, np.int64))
        return chosen

    def _expand(self, node: Any, source: str) -> int:
        place = self.axis[source] + self._rank(node.output[0]) - self._rank(source)
        if node.input[1] in self.values:
            target = self.values[node.input[1]].copy()
            missing = self._rank(node.output[0]) - len(target)
            if place >= missing:
                target[place - missing] = 1
            self._replace(node, 1, target)
        return place

    def _resize(self, node: Any, source: str) -> int:
        """Sizes name the batch too: only the other axes are resized."""
        if len(node.input) > 3 and node.input[3] in self.values:
            if any(attribute.name == "axes" for attribute in node.attribute):
                return self.axis[source]
            rank, place = self._rank(source), self.axis[source]
            axes = [axis for axis in range(rank) if axis != place]
            node.attribute.append(onnx.helper.make_attribute("axes", axes))
            self._replace(node, 3, self.values[node.input[3]][axes])
            if node.input[1]:
                node.input[1] = ""
        return self.axis[source]

    def _transpose(self, node: Any, source: str) -> int:
        rank = self._rank(source)
        order = next((list(item.ints) for item in node.attribute if item.name == "perm"), list(reversed(range(rank))))
        return order.index(self.axis[source])

    def _flatten(self, _node: Any, source: str) -> int:
        return 0 if self.axis[source] == 0 else self._lost()

    def _matmul(self, node: Any, source: str) -> int:
        return self.axis[source] + self._rank(node.output[0]) - self._rank(source)

    def _einsum(self, node: Any, source: str) -> int:
        equation = next(item.s.decode() for item in node.attribute if item.name == "equation").replace(" ", "")
        operands, _, result = equation.partition("->")
        label = operands.split(",")[list(node.input).index(source)][self.axis[source]]
        return result.index(label) if label in result and "." not in equation else self._lost()

    def _unsqueeze(self, node: Any, source: str) -> int:
        axes, rank = self._axes(node), self._rank(node.output[0])
        kept = [axis for axis in range(rank) if axis not in {place % rank for place in axes}]
        return kept[self.axis[source]]

    def _squeeze(self, node: Any, source: str) -> int:
        return self._without(self._axes(node), source)

    def _gather(self, node: Any, source: str) -> int:
        axis = next((item.i for item in node.attribute if item.name == "axis"), 0) % self._rank(source)
        if source == node.input[0] and self._rank(source) == 1 and self._takes_all(node):
            # A written-out view: every element in its order, in another shape.
            sizes = self._sizes(node.output[0])
            node.op_type = "Reshape"
            del node.attribute[:]
            self._replace(node, 1, np.array([-1, *sizes[1:]], np.int64))
            return 0 if sizes[0] == 1 else self._lost()
        if source != node.input[0] or axis == self.axis[source]:
            return self._lost()
        shift = self._rank(node.output[0]) - self._rank(source)
        return self.axis[source] + (shift if axis < self.axis[source] else 0)

    def _takes_all(self, node: Any) -> bool:
        held = [tensor for tensor in self.model.graph.initializer if tensor.name == node.input[1]]
        if not held:
            return False
        (count,) = self._sizes(node.input[0])
        return np.array_equal(numpy_helper.to_array(held[0]).reshape(-1), np.arange(count))

    def _reduced(self, node: Any, source: str) -> int:
        if self._rank(node.output[0]) == self._rank(source):
            return self.axis[source]
        if node.op_type.startswith("Arg"):
            axis = next((item.i for item in node.attribute if item.name == "axis"), 0)
            return self._without([axis], source)
        return self._without(self._axes(node), source)

    def _without(self, axes: list[int], source: str) -> int:
        rank = self._rank(source)
        gone = {axis % rank for axis in axes}
        if not axes or self.axis[source] in gone:
            return self._lost()
        return self.axis[source] - sum(axis < self.axis[source] for axis in gone)

    def _axes(self, node: Any) -> list[int]:
        for attribute in node.attribute:
            if attribute.name == "axes":
                return list(attribute.ints)
        if len(node.input) > 1 and node.input[1] in self.values:
            return [int(axis) for axis in self.values[node.input[1]].reshape(-1)]
        return []

    def _replace(self, node: Any, index: int, value: Array) -> None:
        """Gives the node a constant of its own."""
        name = f"{node.output[0]}//free_batch"
        self.model.graph.initializer.append(numpy_helper.from_array(value, name))
        node.input[index] = name
