"""The channels of a network: what can be removed together, and what must stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from edgewright.graph.channels.facts import gather_facts
from edgewright.graph.channels.groups import ChannelGroup, channel_groups
from edgewright.graph.channels.labels import Vector
from edgewright.graph.channels.plan import Plan
from edgewright.graph.channels.propagate import AttentionUnit, follow
from edgewright.graph.channels.protection import Protected, protected_parameters
from edgewright.graph.model_file import load_model


@dataclass(frozen=True)
class ChannelAnalysis:
    """`prunable_share` (0..1) is the share of parameters of which a removal can take some; `protected` tells the
    rest, weight by weight.

    `plan`, `roots` (int64 [labels], 0 where a label stays) and `shapes` (at batch 1) are what surgery needs.
    """

    groups: tuple[ChannelGroup, ...]
    protected: tuple[Protected, ...]
    prunable_share: float
    plan: Plan = field(repr=False)
    roots: Vector = field(repr=False)
    shapes: Mapping[str, tuple[int, ...]] = field(repr=False)

    def group(self, name: str) -> ChannelGroup | None:
        """The group of that id; None where there is none."""
        return next((group for group in self.groups if group.id == name), None)


def analyse(
    model: onnx.ModelProto | Path,
    input_size: tuple[int, int] | None = None,
    attention: AttentionUnit = AttentionUnit.HEADS,
) -> ChannelAnalysis:
    """Follows the channels of a normalised network; `input_size` is (height, width) where the graph leaves them
    open; `attention` says what to remove from it, where there is a choice. The same file and choice always give
    the same groups.

    Raises FILE_NOT_FOUND, MODEL_CORRUPT, MODEL_WEIGHTS_MISSING, MODEL_TOO_LARGE (of a path); SPEC_MISMATCH and
    MODEL_UNRUNNABLE where the network cannot run at that size.
    """
    loaded = load_model(model) if isinstance(model, Path) else model
    facts = gather_facts(loaded, input_size)
    flow = follow(loaded, facts, attention)
    roots = flow.labels.roots()
    groups = channel_groups(flow, roots)
    # Channels that no weight produces are no choice: they stay.
    free = {label for group in groups for label in group.labels}
    roots = np.array([root if root in free else 0 for root in roots.tolist()], dtype=np.int64)
    protected, share = protected_parameters(flow, loaded, roots)
    return ChannelAnalysis(groups, protected, share, flow.plan, roots, facts.shapes)
