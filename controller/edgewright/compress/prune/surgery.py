"""Channels cut out of a graph: smaller weights, corrected attributes and shape constants."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.compress.prune.removal import Gone, Removal
from edgewright.compress.prune.weights import ConstantReads, Use, rewrite_constants
from edgewright.graph.batchnorm import drop_unused_initializers
from edgewright.graph.channels.analysis import ChannelAnalysis, analyse
from edgewright.graph.channels.facts import gather_facts
from edgewright.graph.cost import count_macs, count_parameters
from edgewright.graph.model_file import load_model, save_model
from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode


@dataclass(frozen=True)
class PrunedModel:
    """A written file: `channels` removed (tied ones counted once), and what is left of the network."""

    path: Path
    channels: int
    parameters: int
    macs: int
    size_bytes: int


def prune(
    model: Path,
    removal: Removal,
    destination: Path,
    analysis: ChannelAnalysis | None = None,
    input_size: tuple[int, int] | None = None,
) -> PrunedModel:
    """Writes `model` without the channels of `removal` ({group id: channel numbers}) to `destination`.

    `analysis` is of this very file (None: made here). Raises OPTION_INVALID (unknown group or channel, nothing
    left of a tensor), COMPRESSION_FAILED (two places need different values of one constant), and as `analyse`.
    """
    loaded = load_model(model)
    if analysis is None:
        analysis = analyse(loaded, input_size)
    gone = Gone(analysis, removal)
    cut_channels(loaded, analysis, gone)
    size = save_model(loaded, destination)
    macs, _ = count_macs(loaded, gather_facts(loaded, input_size).shapes)
    return PrunedModel(destination, gone.count, count_parameters(loaded), macs, size)


def cut_channels(model: onnx.ModelProto, analysis: ChannelAnalysis, gone: Gone) -> None:
    """Removes channels from `model`, in place. The model must be the analysed one. Raises COMPRESSION_FAILED."""
    reads = ConstantReads(model)
    values = _sliced(reads, analysis, gone)
    values.update(_counted(reads, analysis, gone))
    for edit in analysis.plan.indices:
        if gone.touches(edit.vector):
            values[edit.node, edit.input] = _moved(reads.value((edit.node, edit.input)), gone.kept(edit.vector))
    for group in analysis.plan.groups:
        _set_attribute(model.graph.node[group.node], group.attribute, int(gone.kept(group.vector).sum()))
    rewrite_constants(model, values)
    for split in analysis.plan.splits:
        sizes = [int(gone.kept(part).sum()) for part in split.parts]
        if any(gone.touches(part) for part in split.parts):
            _set_sizes(model, model.graph.node[split.node], sizes)
    _override_shapes(model, analysis, gone)
    drop_unused_initializers(model)
    del model.graph.value_info[:]  # sizes of the original


def _sliced(reads: ConstantReads, analysis: ChannelAnalysis, gone: Gone) -> dict[Use, Array]:
    """Weights without the removed positions."""
    masks: dict[Use, dict[int, Array]] = defaultdict(dict)
    for slot in analysis.plan.slots:
        if gone.touches(slot.vector):
            known = masks[slot.node, slot.input].get(slot.axis)
            kept = gone.kept(slot.vector)
            masks[slot.node, slot.input][slot.axis] = kept if known is None else kept & known
    values: dict[Use, Array] = {}
    for use, axes in masks.items():
        value = reads.value(use)
        for axis, kept in axes.items():
            value = np.compress(kept, value, axis=axis)
        values[use] = value
    return values


def _counted(reads: ConstantReads, analysis: ChannelAnalysis, gone: Gone) -> dict[Use, Array]:
    """Shape constants with the new sizes."""
    values: dict[Use, Array] = {}
    written: dict[tuple[Use, int], int] = {}
    for edit in analysis.plan.counts:
        use = (edit.node, edit.input)
        count = edit.sign * int(gone.kept(edit.vector).sum())
        if written.setdefault((use, edit.flat), count) != count:
            raise EdgewrightError(
                ErrorCode.COMPRESSION_FAILED,
                f"a shape constant of node number {edit.node} would need the values "
                f"{written[use, edit.flat]} and {count} at once",
                "leave the groups that meet there unpruned",
            )
        if gone.touches(edit.vector):
            values.setdefault(use, reads.value(use).copy()).reshape(-1)[edit.flat] = count
    return values


def _override_shapes(model: onnx.ModelProto, analysis: ChannelAnalysis, gone: Gone) -> None:
    """Puts a Where before each node whose computed shape would come out wrong: new sizes where they are known, the
    computed ones elsewhere.
    """
    wanted: dict[Use, dict[int, int]] = defaultdict(dict)
    for edit in analysis.plan.overrides:
        count = int(gone.kept(edit.vector).sum())
        computed = edit.vector.size if edit.source is None else int(gone.kept(edit.source).sum())
        if count != computed:
            wanted[edit.node, edit.input][edit.flat] = count
    nodes = list(model.graph.node)  # insertions shift numbers
    for (number, place), sizes in wanted.items():
        node = nodes[number]
        rank = analysis.shapes[node.input[place]][0]
        mask = np.array([flat in sizes for flat in range(rank)])
        values = np.array([sizes.get(flat, 0) for flat in range(rank)], dtype=np.int64)
        stem = f"{node.output[0]}_shape{place}"
        model.graph.initializer.append(numpy_helper.from_array(mask, f"{stem}_known"))
        model.graph.initializer.append(numpy_helper.from_array(values, f"{stem}_sizes"))
        where = onnx.helper.make_node(
            "Where", [f"{stem}_known", f"{stem}_sizes", node.input[place]], [stem], name=f"{stem}_where"
        )
        node.input[place] = stem
        before = next(index for index, item in enumerate(model.graph.node) if item.output[:1] == node.output[:1])
        model.graph.node.insert(before, where)


def _moved(indices: Array, kept: Array) -> Array:
    """Indices into an axis after the removal; those of removed positions go."""
    absolute = np.where(indices < 0, indices + kept.size, indices)
    places = np.cumsum(kept) - 1
    if absolute.ndim == 1:
        absolute = absolute[kept[absolute]]
    moved: Array = places[absolute].astype(indices.dtype)
    return moved


def _set_attribute(node: onnx.NodeProto, name: str, value: int) -> None:
    for item in node.attribute:
        if item.name == name:
            item.i = value
            return
    node.attribute.append(onnx.helper.make_attribute(name, value))


def _set_sizes(model: onnx.ModelProto, node: onnx.NodeProto, sizes: list[int]) -> None:
    """Sizes of a Split: an attribute before operator set 13, an input since."""
    opset = max((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), default=0)
    kept = [item for item in node.attribute if item.name not in ("split", "num_outputs")]
    del node.attribute[:]
    node.attribute.extend(kept)
    if opset < 13:
        node.attribute.append(onnx.helper.make_attribute("split", sizes))
        return
    name = f"{node.output[0]}_sizes"
    model.graph.initializer.append(numpy_helper.from_array(np.array(sizes, dtype=np.int64), name))
    del node.input[1:]
    node.input.append(name)
