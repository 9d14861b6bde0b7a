"""Proof that a pruned graph computes what the original computes with the removed channels silenced."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewright.compress.prune.removal import Gone, Removal
from edgewright.compress.prune.weights import ConstantReads, Use, rewrite_constants
from edgewright.graph.channels.analysis import ChannelAnalysis, analyse
from edgewright.graph.channels.plan import Role
from edgewright.graph.compare import difference_from, reference_of
from edgewright.graph.model_file import load_model, save_model
from edgewright.graph.session import Array, Arrays
from edgewright_contract.errors import EdgewrightError, ErrorCode

TOLERANCE = 1e-5

def silenced(model, analysis, gone, roles):
    reads = ConstantReads(model)
    values: dict[Use, Array] = {}
    for slot in analysis.plan.slots:
        if slot.role in roles and gone.touches(slot.vector):
            use = (slot.node, slot.input)
            value = values[use] if use in values else reads.value(use).copy()
            index = [slice(None)] * value.ndim
            index[slot.axis] = ~gone.kept(slot.vector)
            value[tuple(index)] = 0
            values[use] = value
    rewrite_constants(model, values)

@dataclass(frozen=True)
class OracleResult:
    kind: str
    error: float
    moved: float

def check_pruning(original, removal, pruned, feeds, analysis=None, input_size=None):
    if analysis is None: analysis = analyse(original, input_size)
    gone = Gone(analysis, removal)
    reference = reference_of(pruned, feeds, threads=1)
    moved = difference_from(reference, original, threads=1)
    for kind, roles in (("producers", {Role.PRODUCER}), ("both", {Role.PRODUCER, Role.CONSUMER})):
        m = load_model(original)
        silenced(m, analysis, gone, roles)
        with tempfile.TemporaryDirectory(dir=pruned.parent) as f:
            p = Path(f)/"zeroed.onnx"
            save_model(m, p)
            error = difference_from(reference, p, threads=1)
        if error < TOLERANCE: break
    return OracleResult(kind, error, moved)
