"""The state of one walk over a graph: labels of every tensor, and the plan that grows along the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from edgewright.graph.channels.facts import Facts
from edgewright.graph.channels.labels import Axes, Labels, Vector
from edgewright.graph.channels.origins import Axis, Origin, OriginTracer, SizeOf, Written
from edgewright.graph.channels.plan import CountEdit, OverrideEdit, Plan, Role, Slot
from edgewright.graph.session import Array

# Where one axis is cut into several (heads, groups): which of the new axes keeps labels of its own, counted from
# the last; by node number, -1 where nothing is said.
SplitChoices = Mapping[int, int]


class Flow:
    """Handed to every rule; `number` and `node` are the node at hand."""

    def __init__(self, model: onnx.ModelProto, facts: Facts, choices: SplitChoices) -> None:
        self.nodes = list(model.graph.node)
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self.facts = facts
        self.choices = choices
        self.labels = Labels()
        self.plan = Plan()
        self.tracer = OriginTracer(facts, self.initializers)
        self.opset = max((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), default=0)
        self.number = 0
        self.node = onnx.NodeProto()
        # Labels of nodes that cut an axis where a choice exists, and of those that meet in attention products.
        self.cuts: dict[int, Vector] = {}
        self.attention: list[Vector] = []
        self._axes: dict[str, Axes] = {}
        self._handled: set[int] = set()

    # --- reading ---------------------------------------------------------------------------------------------

    def shape(self, name: str) -> tuple[int, ...]:
        return self.facts.shapes[name]

    def axes(self, name: str) -> Axes:
        """Labels of a tensor, one entry per axis; constants and inputs have none."""
        known = self._axes.get(name)
        return known if known is not None else (None,) * len(self.shape(name))

    def is_static(self, name: str) -> bool:
        return name in self.facts.static

    def is_initializer(self, name: str) -> bool:
        return name in self.initializers

    def value(self, index: int) -> Array | None:
        """The constant at input `index`; None where absent, large or not constant."""
        if not self.has_input(index) or not self.is_static(self.node.input[index]):
            return None
        return self.facts.values.get(self.node.input[index])

    def has_input(self, index: int) -> bool:
        return len(self.node.input) > index and bool(self.node.input[index])

    def attribute(self, name: str, default: Any = None) -> Any:
        for item in self.node.attribute:
            if item.name == name:
                return onnx.helper.get_attribute_value(item)
        return default

    def listed(self, name: str, index: int) -> list[int] | None:
        """Integers given as an attribute or, in newer operator sets, as a constant input; None where absent."""
        given = self.attribute(name)
        if given is not None:
            return [int(item) for item in np.atleast_1d(given)]
        constant = self.value(index)
        if constant is None:
            if self.has_input(index):
                raise Unproven(f"its {name} are computed from the data")
            return None
        return [int(item) for item in constant.ravel()]

    # --- writing ---------------------------------------------------------------------------------------------

    def put(self, name: str, axes: Sequence[Vector | None]) -> None:
        """Labels of an output. An axis of one position keeps it: nothing would be left."""
        if not name:
            return
        shape = self.shape(name)
        assert len(axes) == len(shape), (self.node.op_type, name, shape)
        kept: list[Vector | None] = []
        for axis, vector in enumerate(axes):
            if vector is not None and shape[axis] == 1:
                self.labels.protect(vector, "the only channel of a tensor")
                vector = None
            kept.append(None if vector is not None and not vector.any() else vector)
        self._axes[name] = tuple(kept)
        if any(vector is not None for vector in kept):
            self.plan.axes[name] = self._axes[name]

    def slot(self, index: int, axis: int, vector: Vector, role: Role) -> None:
        """Axis `axis` of the initializer at input `index` is labelled."""
        name = self.node.input[index]
        assert self.shape(name)[axis] == vector.size, (self.node.op_type, name, axis)
        self.plan.slots.append(Slot(self.number, index, axis, vector, role))

    def unite(self, first: Vector, second: Vector) -> None:
        self.labels.unite(first, second, f"tied to channels that stay by {self.where()}")

    def protect(self, vector: Vector | None, reason: str) -> None:
        if vector is not None:
            self.labels.protect(vector, f"{reason} ({self.where()})")

    def refuse(self, reason: str) -> None:
        """Everything that flows into this node stays as it is; what comes out has no channels."""
        for name in self.node.input:
            if name:
                for vector in self.axes(name):
                    self.protect(vector, reason)
        for name in self.node.output:
            self._axes.pop(name, None)

    def where(self) -> str:
        return f"{self.node.op_type} {self.node.name}".strip()

    # --- numbers that depend on channels ---------------------------------------------------------------------

    def handled(self, index: int) -> None:
        """The rule corrects the constant at input `index` itself."""
        self._handled.add(index)

    def origin(self, index: int, flat: int) -> Origin:
        """Where element `flat` of input `index` comes from."""
        found: Origin = self.tracer.read(self.number, self.node, index).ravel()[flat]
        return found

    def sized(self, index: int, flat: int, vector: Vector | None, sign: int = 1) -> None:
        """Element `flat` of input `index` must follow the number of channels left in `vector`."""
        self.handled(index)
        origin = self.origin(index, flat)
        if isinstance(origin, Written):
            if vector is not None:
                self.plan.counts.append(CountEdit(origin.node, origin.input, origin.flat, vector, sign))
        elif vector is not None and sign == 1:
            source = self.axes(origin.tensor)[origin.axis] if isinstance(origin, SizeOf) else None
            self.plan.overrides.append(OverrideEdit(self.number, index, flat, vector, source))
            if not isinstance(origin, SizeOf):
                self.protect_sources(origin.sources)
        elif isinstance(origin, SizeOf):
            self.protect(vector, "its size is set by another axis")
            self.protect_sources(frozenset({(origin.tensor, origin.axis)}))
        else:
            self.protect(vector, "its size is computed")
            self.protect_sources(origin.sources)

    def protect_sources(self, sources: frozenset[Axis]) -> None:
        for tensor, axis in sources:
            self.protect(self.axes(tensor)[axis], "its size is used in a calculation")

    # --- walking ---------------------------------------------------------------------------------------------

    def step(self, number: int, node: onnx.NodeProto, rule: Callable[[Flow], None] | None) -> None:
        """Applies `rule` (None: the operator is unknown) to one node."""
        self.number, self.node, self._handled = number, node, set()
        names = [name for name in node.output if name]
        if names and all(self.is_static(name) for name in names):
            self.tracer.note(number, node)
            return
        if rule is None:
            self.refuse(f"{node.op_type} is an operator without a rule")
            self._refuse_captured(node)
        elif any(name not in self.facts.shapes for name in (*node.input, *names) if name):
            self.refuse("a shape is unknown")
        else:
            try:
                rule(self)
            except Unproven as error:
                self.refuse(str(error))
        for index, name in enumerate(node.input):
            if index not in self._handled and name and self.is_static(name):
                self.protect_sources(self.tracer.sources(name))

    def _refuse_captured(self, node: onnx.NodeProto) -> None:
        """Nested graphs read tensors of this one by name."""
        graphs = [item.g for item in node.attribute if item.HasField("g")]
        graphs += [graph for item in node.attribute for graph in item.graphs]
        while graphs:
            graph = graphs.pop()
            for inner in graph.node:
                graphs += [item.g for item in inner.attribute if item.HasField("g")]
                graphs += [deeper for item in inner.attribute for deeper in item.graphs]
                for name in inner.input:
                    for vector in self._axes.get(name, ()):
                        self.protect(vector, f"read inside the nested graph of {node.op_type}")


class Unproven(Exception):
    """Raised by a rule; the text says why the node's channels must stay."""
