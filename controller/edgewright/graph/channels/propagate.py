"""One walk over a graph, and the choice of how cut axes keep their labels."""

from __future__ import annotations

from enum import Enum

import onnx

from edgewright.graph.channels import (  # noqa: F401 - importing registers the rules
    rules_einsum,
    rules_elementwise,
    rules_mixing,
    rules_products,
    rules_reshape,
    rules_select,
)
from edgewright.graph.channels.facts import Facts
from edgewright.graph.channels.flow import Flow, SplitChoices
from edgewright.graph.channels.rules import RULES

# Positions of the axis that may keep labels where one is cut, counted from the last: positions within a head or
# group, whole heads or groups, and the outermost of three.
_POLICIES = (-1, -2, -3)


class AttentionUnit(str, Enum):
    """What is removed from attention where both can be proven."""

    HEADS = "heads"
    WIDTHS = "widths"  # equal positions of all heads


def follow(model: onnx.ModelProto, facts: Facts, attention: AttentionUnit = AttentionUnit.HEADS) -> Flow:
    """Labels of the whole graph, with each cut axis labelled the way that lets most go.

    A cut into heads and their widths can be pruned by whole heads or by equal positions of all heads. Each
    policy is tried on the whole graph; a cut takes the first whose channels can go, in attention the one that
    `attention` prefers. Heads are the default: narrower heads keep the cost of the softmax.
    """
    flows = {-1: walk(model, facts, {})}
    if not flows[-1].cuts:
        return flows[-1]
    cuts = set(flows[-1].cuts)
    for policy in _POLICIES[1:]:
        flows[policy] = walk(model, facts, dict.fromkeys(cuts, policy))
    choices: dict[int, int] = {}
    for number in cuts:
        wanted = attention is AttentionUnit.HEADS
        heads = wanted and _free(flows[-2], number) > 0 and _in_attention(flows[-2], number)
        order = (-2, -1, -3) if heads else _POLICIES
        choices[number] = next((policy for policy in order if _free(flows[policy], number) > 0), -1)
    mixed = walk(model, facts, choices)
    candidates = [mixed, *flows.values()]
    return max(candidates, key=_freedom)


def walk(model: onnx.ModelProto, facts: Facts, choices: SplitChoices) -> Flow:
    """Applies the rules to all nodes in order; network outputs stay."""
    flow = Flow(model, facts, choices)
    for number, node in enumerate(model.graph.node):
        rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        flow.step(number, node, rule)
    for output in model.graph.output:
        if output.name in flow.facts.shapes:
            for vector in flow.axes(output.name):
                if vector is not None:
                    flow.labels.protect(vector, f"network output {output.name}")
    return flow


def _free(flow: Flow, number: int) -> int:
    """How many labels of a cut may go."""
    vector = flow.cuts.get(number)
    if vector is None:
        return 0
    return sum(flow.labels.reason(int(label)) is None for label in vector)


def _in_attention(flow: Flow, number: int) -> bool:
    """Whether the labels of a cut meet in a product of two activations."""
    met = {flow.labels.find(int(label)) for vector in flow.attention for label in vector}
    return any(flow.labels.find(int(label)) in met for label in flow.cuts[number])


def _freedom(flow: Flow) -> int:
    """Weight elements that some removal would take."""
    roots = flow.labels.roots()
    total = 0
    for slot in flow.plan.slots:
        name = flow.nodes[slot.node].input[slot.input]
        elements = 1
        for size in flow.shape(name):
            elements *= size
        total += elements * int((roots[slot.vector] != 0).sum()) // max(slot.vector.size, 1)
    return total
