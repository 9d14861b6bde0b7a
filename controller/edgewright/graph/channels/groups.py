"""Channel groups: channels that can be removed one by one, each with everything that is tied to it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from edgewright.graph.channels.flow import Flow
from edgewright.graph.channels.labels import KEEP, Vector
from edgewright.graph.channels.plan import Role
from edgewright.graph.cost import node_macs


@dataclass(frozen=True)
class Member:
    """An axis of a weight that a group reaches.

    `positions[i]` are the positions along `axis` of the initializer `tensor` (read by node `node` at input
    `input`) that go with channel i; their number is the same for all channels of the group.
    """

    node: str
    operator: str
    tensor: str
    number: int
    input: int
    axis: int
    role: Role
    positions: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ChannelGroup:
    """`size` channels that cost the same and reach the same weights.

    `parameters` and `macs` are what removing one channel saves while all else is untouched. `id` is the name
    of the node that makes the channels, numbered where it makes channels of several groups.
    """

    id: str
    size: int
    producers: tuple[Member, ...]
    consumers: tuple[Member, ...]
    followers: tuple[Member, ...]
    parameters: int
    macs: int
    labels: tuple[int, ...]

    @property
    def width(self) -> int:
        """Positions of the first producer that one channel takes (1 for a plain convolution)."""
        return len(self.producers[0].positions[0]) if self.producers else 1


def channel_groups(flow: Flow, roots: Vector) -> tuple[ChannelGroup, ...]:
    """All groups, in the order of their first producers. Channels that reach no producer make none."""
    uses: dict[int, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
    for index, slot in enumerate(flow.plan.slots):
        along = roots[slot.vector]
        order = np.argsort(along, kind="stable")
        found, starts = np.unique(along[order], return_index=True)
        for label, positions in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
            if label != KEEP:
                uses[label].append((index, tuple(positions.tolist())))
    alike: dict[tuple[tuple[int, int], ...], list[int]] = defaultdict(list)
    for label in uses:
        alike[tuple((index, len(positions)) for index, positions in uses[label])].append(label)
    taken: Counter[str] = Counter()
    groups = []
    for signature in sorted(alike):
        labels = sorted(alike[signature], key=lambda label: uses[label][0][1])
        group = _group(flow, labels, uses, taken)
        if group is not None:
            groups.append(group)
    return tuple(groups)


def _group(
    flow: Flow, labels: list[int], uses: dict[int, list[tuple[int, tuple[int, ...]]]], taken: Counter[str]
) -> ChannelGroup | None:
    members: dict[Role, list[Member]] = {role: [] for role in Role}
    parameters = macs = 0
    for place, (index, first) in enumerate(uses[labels[0]]):
        slot = flow.plan.slots[index]
        node = flow.nodes[slot.node]
        shape = flow.shape(node.input[slot.input])
        positions = tuple(uses[label][place][1] for label in labels)
        members[slot.role].append(
            Member(
                node.name or node.output[0],
                node.op_type,
                node.input[slot.input],
                slot.node,
                slot.input,
                slot.axis,
                slot.role,
                positions,
            )
        )
        share = len(first) / shape[slot.axis]
        parameters += round(int(np.prod(shape)) * share)
        if slot.input == 1 or (node.op_type in ("MatMul", "Einsum") and slot.input == 0):
            macs += round((node_macs(node, flow.facts.shapes) or 0) * share)
    if not members[Role.PRODUCER]:
        return None
    name = members[Role.PRODUCER][0].node
    taken[name] += 1
    return ChannelGroup(
        name if taken[name] == 1 else f"{name}#{taken[name]}",
        len(labels),
        tuple(members[Role.PRODUCER]),
        tuple(members[Role.CONSUMER]),
        tuple(members[Role.FOLLOWER]),
        parameters,
        macs,
        tuple(labels),
    )
