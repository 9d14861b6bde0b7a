"""What removing channels means for a graph: which weights to slice and which constants to correct."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from edgewright.graph.channels.labels import Axes, Vector


class Role(Enum):
    """What a weight's axis is to the channels along it."""

    PRODUCER = "producer"  # zeroing its positions silences the channel (weight rows, biases, norm scales)
    CONSUMER = "consumer"  # it reads the channel
    FOLLOWER = "follower"  # it goes along: statistics, factors, slopes


@dataclass(frozen=True)
class Slot:
    """An axis of an initializer as read by input `input` of node number `node`; `vector` labels the axis."""

    node: int
    input: int
    axis: int
    vector: Vector
    role: Role


@dataclass(frozen=True)
class CountEdit:
    """Element `flat` of the constant at `input` of node number `node` becomes `sign` times the number of
    labels left in `vector`.
    """

    node: int
    input: int
    flat: int
    vector: Vector
    sign: int = 1


@dataclass(frozen=True)
class OverrideEdit:
    """Element `flat` of the computed shape at `input` must be the number of labels left in `vector`; computed as
    it is, it will be the number left in `source` (None: the old number).
    """

    node: int
    input: int
    flat: int
    vector: Vector
    source: Vector | None


@dataclass(frozen=True)
class IndexEdit:
    """The constant indices at `input` point into an axis labelled `vector`: removed ones go, others move."""

    node: int
    input: int
    vector: Vector


@dataclass(frozen=True)
class GroupEdit:
    """The attribute `attribute` becomes the number of labels left in `vector`, one label a group of the operator."""

    node: int
    vector: Vector
    attribute: str = "group"


@dataclass(frozen=True)
class SplitEdit:
    """A Split without sizes gets them: the labels left in each part."""

    node: int
    parts: tuple[Vector, ...]


@dataclass
class Plan:
    """All that depends on channels, by node number in the analysed graph."""

    slots: list[Slot] = field(default_factory=list)
    counts: list[CountEdit] = field(default_factory=list)
    overrides: list[OverrideEdit] = field(default_factory=list)
    indices: list[IndexEdit] = field(default_factory=list)
    groups: list[GroupEdit] = field(default_factory=list)
    splits: list[SplitEdit] = field(default_factory=list)
    # Labels of activations that have any, by name; none of these axes may lose all its channels.
    axes: dict[str, Axes] = field(default_factory=dict)
