"""Where each number of a computed shape comes from, so that it can be corrected when channels go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from edgewright.graph.channels.facts import Facts

# A tensor's axis, by name and number.
Axis = tuple[str, int]


@dataclass(frozen=True)
class Written:
    """Element `flat` of the constant read at `input` of node number `node`."""

    node: int
    input: int
    flat: int


@dataclass(frozen=True)
class SizeOf:
    """The size of an axis, read by a Shape operator: it corrects itself."""

    tensor: str
    axis: int


@dataclass(frozen=True)
class Computed:
    """Arithmetic over these sizes (none: over constants alone): it cannot be corrected."""

    sources: frozenset[Axis]


Origin = Written | SizeOf | Computed
# One Origin per element, in the tensor's shape.
Origins = np.ndarray[Any, np.dtype[np.object_]]


class OriginTracer:
    """Follows the elements of static tensors through the operators that only move them."""

    def __init__(self, facts: Facts, initializers: Mapping[str, onnx.TensorProto]) -> None:
        self._facts = facts
        self._initializers = initializers
        self._made: dict[str, Origins] = {}

    def read(self, number: int, node: onnx.NodeProto, index: int) -> Origins:
        """Origins of the elements that `node` (number `number`) reads at input `index`."""
        name = node.input[index]
        if name in self._made:
            return self._made[name]
        shape = self._facts.shapes[name]
        if name in self._initializers and name in self._facts.values:
            return _filled(shape, [Written(number, index, flat) for flat in range(int(np.prod(shape)))])
        return _filled(shape, [Computed(frozenset())] * int(np.prod(shape)))

    def sources(self, name: str) -> frozenset[Axis]:
        """Axes whose sizes went into the static tensor `name`."""
        if name not in self._made:
            return frozenset()
        return _sources(self._made[name])

    def note(self, number: int, node: onnx.NodeProto) -> None:
        """Records a static node's outputs."""
        if node.op_type == "Shape":
            rank = len(self._facts.shapes[node.input[0]])
            bounds = {item.name: item.i for item in node.attribute}
            sizes = [SizeOf(node.input[0], axis) for axis in range(rank)]
            sizes = sizes[slice(bounds.get("start", 0), bounds.get("end", rank))]
            self._made[node.output[0]] = _filled((len(sizes),), sizes)
            return
        if node.op_type == "Size":
            rank = len(self._facts.shapes[node.input[0]])
            every = frozenset((node.input[0], axis) for axis in range(rank))
            self._made[node.output[0]] = _filled((), [Computed(every)])
            return
        inputs = [index for index, name in enumerate(node.input) if name]
        origins = [self.read(number, node, index) for index in inputs] if self._small(node) else []
        moved = self._moved(node, origins) if origins else None
        if moved is not None:
            self._made[node.output[0]] = moved
            return
        sources: frozenset[Axis] = frozenset().union(*(self.sources(node.input[index]) for index in inputs))
        for name in filter(None, node.output):
            shape = self._facts.shapes.get(name, ())
            self._made[name] = np.broadcast_to(_filled((), [Computed(sources)]), shape)

    def _small(self, node: onnx.NodeProto) -> bool:
        return all(not name or name in self._facts.values for name in (*node.input, *node.output))

    def _moved(self, node: onnx.NodeProto, origins: list[Origins]) -> Origins | None:
        """The output's origins where the operator only moves elements."""
        result = self._facts.values[node.output[0]]
        kind = node.op_type
        if kind in ("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"):
            if self._carries(node.input[1:]):
                return None
            return origins[0].reshape(result.shape)
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        if kind == "Concat":
            return np.concatenate(origins, axis=attributes["axis"])
        if kind == "Where" and not self._carries(node.input[:1]):  # a shape overruled by an earlier removal
            mask, one, other = np.broadcast_arrays(self._facts.values[node.input[0]], *origins[1:])
            return np.where(mask, one, other)
        if kind == "Gather" and not self._carries(node.input[1:]):
            indices = self._facts.values[node.input[1]]
            taken = np.take(origins[0], indices, axis=attributes.get("axis", 0))
            return np.asarray(taken, dtype=object).reshape(result.shape)
        if kind == "Slice" and origins[0].ndim == 1 and not self._carries(node.input[1:]):
            start, end = (int(self._facts.values[name].ravel()[0]) for name in node.input[1:3])
            step = int(self._facts.values[node.input[4]].ravel()[0]) if len(node.input) > 4 and node.input[4] else 1
            return origins[0][slice(start, end, step)]
        return None

    def _carries(self, names: Any) -> bool:
        return any(self.sources(name) for name in names if name)


def _filled(shape: tuple[int, ...], items: list[Any]) -> Origins:
    flat = np.empty(len(items), dtype=object)
    flat[:] = items
    return flat.reshape(shape)


def _sources(origins: Origins) -> frozenset[Axis]:
    found: set[Axis] = set()
    for origin in set(origins.ravel().tolist()):
        if isinstance(origin, SizeOf):
            found.add((origin.tensor, origin.axis))
        elif isinstance(origin, Computed):
            found |= origin.sources
    return frozenset(found)
