"""Einsum: letters say which axes meet."""

from __future__ import annotations

from edgewright.graph.channels.flow import Flow, Unproven
from edgewright.graph.channels.labels import Vector
from edgewright.graph.channels.plan import Role
from edgewright.graph.channels.rules import rule


@rule("Einsum")
def einsum(flow: Flow) -> None:
    """Axes of one letter are united; a letter that only a constant brings starts new channels."""
    equation = flow.attribute("equation")
    text = (equation.decode() if isinstance(equation, bytes) else str(equation)).replace(" ", "")
    if "..." in text or "->" not in text:
        raise Unproven(f"the Einsum {text!r} is not spelled out")
    terms, output = text.split("->")
    inputs = terms.split(",")
    if any(len(set(term)) < len(term) for term in (*inputs, output)):
        raise Unproven(f"the Einsum {text!r} takes a diagonal")
    if len(inputs) > 2 or any(flow.is_static(name) and not flow.is_initializer(name) for name in flow.node.input):
        raise Unproven(f"the Einsum {text!r} has constants that are computed, or more than two operands")
    letters = dict.fromkeys("".join(inputs))
    made: dict[str, Vector | None] = {letter: _letter(flow, inputs, output, letter) for letter in letters}
    flow.put(flow.node.output[0], [made[letter] for letter in output])


def _letter(flow: Flow, inputs: list[str], output: str, letter: str) -> Vector | None:
    """Labels of one letter over all operands."""
    held = [(index, term.index(letter)) for index, term in enumerate(inputs) if letter in term]
    constants = [(index, axis) for index, axis in held if flow.is_initializer(flow.node.input[index])]
    live = [place for place in held if place not in constants]
    if not live:
        return _from_constant(flow, constants, letter in output and len(inputs) == 2)
    vectors = [flow.axes(flow.node.input[index])[axis] for index, axis in live]
    labelled = [vector for vector in vectors if vector is not None]
    if not labelled:
        return None
    if len({flow.shape(flow.node.input[index])[axis] for index, axis in held}) > 1:
        raise Unproven("one channel is stretched over many")
    for other in labelled[1:]:
        flow.unite(labelled[0], other)
    if len(labelled) < len(vectors):
        flow.protect(labelled[0], "multiplied with a tensor without channels")
    if len(held) == 1 and letter not in output:
        flow.protect(labelled[0], "summed over these channels")
    for index, axis in constants:
        flow.slot(index, axis, labelled[0], Role.CONSUMER if letter not in output else Role.FOLLOWER)
    if len(live) > 1:
        flow.attention.extend(labelled)
    return labelled[0]


def _from_constant(flow: Flow, constants: list[tuple[int, int]], starts: bool) -> Vector | None:
    if not starts or len(constants) != 1:
        return None
    [(index, axis)] = constants
    vector = flow.labels.fresh(flow.shape(flow.node.input[index])[axis])
    flow.slot(index, axis, vector, Role.PRODUCER)
    return vector
