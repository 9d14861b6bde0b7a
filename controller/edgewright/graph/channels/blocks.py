"""Labels through a reshape, axis block by axis block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from edgewright.graph.channels.labels import Axes, Vector

# Labels laid out over several axes.
Table = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Block:
    """Input axes that turn into output axes of the same number of elements, independent of all other axes."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def blocks(before: Sequence[int], after: Sequence[int]) -> list[Block]:
    """The finest blocks of a reshape: [1, 6, 4, 4] to [1, 2, 3, 16] gives (0 -> 0), (1 -> 1, 2), (2, 3 -> 3).

    Axes of size 1 make a block of their own where no other axis needs them.
    """
    found: list[Block] = []
    i = j = 0
    while i < len(before) or j < len(after):
        inputs, outputs = [], []
        if i < len(before):
            inputs.append(i)
            i += 1
        if j < len(after):
            outputs.append(j)
            j += 1
        have, want = prod(before[k] for k in inputs), prod(after[k] for k in outputs)
        while have != want:
            if have < want and i < len(before):
                have *= before[i]
                inputs.append(i)
                i += 1
            elif want < have and j < len(after):
                want *= after[j]
                outputs.append(j)
                j += 1
            else:
                return [Block(tuple(range(len(before))), tuple(range(len(after))))]
        found.append(Block(tuple(inputs), tuple(outputs)))
    return _without_ones(found, before, after)


def spread(block: Block, axes: Axes, before: Sequence[int], after: Sequence[int]) -> Table | None:
    """The labels of the block's one labelled input axis laid out over its output axes; None without labels."""
    labelled = [k for k in block.inputs if axes[k] is not None]
    if not labelled:
        return None
    [axis] = labelled
    vector = axes[axis]
    assert vector is not None
    place = [1] * len(block.inputs)
    place[block.inputs.index(axis)] = -1
    full = np.broadcast_to(vector.reshape(place), [before[k] for k in block.inputs])
    return full.reshape([after[k] for k in block.outputs])


def varying_axes(table: Table) -> list[int]:
    """Axes along which the labels are not all equal."""
    return [axis for axis in range(table.ndim) if not (table == table.take([0], axis=axis)).all()]


def along(table: Table, axis: int) -> Vector:
    """The labels along one axis, at the first position of the others."""
    index: list[int | slice] = [0] * table.ndim
    index[axis] = slice(None)
    line: Vector = np.array(table[tuple(index)], dtype=np.int64)
    return line


def _without_ones(found: list[Block], before: Sequence[int], after: Sequence[int]) -> list[Block]:
    """Moves axes of size 1 that were swallowed by larger blocks out of them where the block stays balanced."""
    result: list[Block] = []
    for block in found:
        inputs = [k for k in block.inputs if before[k] != 1] or list(block.inputs[:1])
        outputs = [k for k in block.outputs if after[k] != 1] or list(block.outputs[:1])
        loose_in = [k for k in block.inputs if k not in inputs]
        loose_out = [k for k in block.outputs if k not in outputs]
        result.append(Block(tuple(inputs), tuple(outputs)))
        result.extend(Block((k,), ()) for k in loose_in)
        result.extend(Block((), (k,)) for k in loose_out)
    return result
