"""Elementwise operators: equal positions stay or go together."""

from __future__ import annotations

from edgewright.graph.channels.flow import Flow
from edgewright.graph.channels.labels import Vector
from edgewright.graph.channels.plan import Role
from edgewright.graph.channels.rules import rule

_UNARY = [
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "BitwiseNot",
    "Cast",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Cosh",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "IsInf",
    "IsNaN",
    "LeakyRelu",
    "Log",
    "Mish",
    "Neg",
    "Not",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
]
_JOINT = [
    "And",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "BitShift",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "PRelu",
    "Pow",
    "Where",
    "Xor",
]


@rule(*_UNARY)
def unary(flow: Flow) -> None:
    """The channels pass."""
    for name in flow.node.output:
        if name:
            flow.put(name, flow.axes(flow.node.input[0]))


@rule("Add", "Sub", "Sum")
def additive(flow: Flow) -> None:
    """A constant added per channel makes the channel speak: it counts as a producer."""
    combine(flow, Role.PRODUCER)


@rule(*_JOINT)
def joint(flow: Flow) -> None:
    """Constants only go along."""
    combine(flow, Role.FOLLOWER)


def combine(flow: Flow, role: Role) -> None:
    """Unites labels over numpy-style broadcasting; constants along a labelled axis become slots of `role`."""
    output = flow.node.output[0]
    shape = flow.shape(output)
    result: list[Vector | None] = []
    for axis, size in enumerate(shape):
        result.append(_combine_axis(flow, axis - len(shape), size, role))
    flow.put(output, result)


def _combine_axis(flow: Flow, axis: int, size: int, role: Role) -> Vector | None:
    """One output axis, counted from the last (negative)."""
    labelled: list[Vector] = []
    constants: list[int] = []
    bare = False
    for index, name in enumerate(flow.node.input):
        shape = flow.shape(name) if name else ()
        if len(shape) < -axis:
            continue
        vector = flow.axes(name)[axis]
        if shape[axis] != size:  # size 1, stretched over the others' channels
            flow.protect(vector, "one channel is stretched over many")
        elif vector is not None:
            labelled.append(vector)
        elif flow.is_initializer(name):
            constants.append(index)
        else:
            bare = True
    if not labelled or size == 1:
        for vector in labelled:
            flow.protect(vector, "the only channel of a tensor")
        return None
    for other in labelled[1:]:
        flow.unite(labelled[0], other)
    if bare:
        flow.protect(labelled[0], "combined with a tensor without channels")
    for index in constants:
        flow.slot(index, len(flow.shape(flow.node.input[index])) + axis, labelled[0], role)
    return labelled[0]
