"""Which channels go: how many, aligned, and the least important ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.compress.prune.importance import WEIGHT_SCORES, fpgm, l1, l2, weight_importance
from edgewright.compress.prune.selection import kept_widths, uniform
from edgewright.graph.channels.analysis import analyse
from edgewright.graph.channels.groups import ChannelGroup, Member
from edgewright.graph.channels.plan import Role
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.prune.networks import Builder, residual


def _group(size: int, width: int = 1) -> ChannelGroup:
    positions = tuple(tuple(range(width)) for _ in range(size))
    member = Member("conv", "Conv", "w", 0, 1, 0, Role.PRODUCER, positions)
    return ChannelGroup("conv", size, (member,), (), (), 1, 1, tuple(range(1, size + 1)))


@given(st.integers(2, 512), st.floats(0, 0.95), st.sampled_from([1, 2, 3, 4, 12, 64]), st.sampled_from([1, 4, 8, 16]))
def test_kept_widths_are_aligned(size: int, ratio: float, width: int, alignment: int) -> None:
    """What stays is a multiple of the alignment in positions, or the group is left whole; something stays."""
    group = _group(size, width)

    kept = kept_widths([group], ratio, alignment)["conv"]

    assert 1 <= kept <= size
    assert kept == size or kept * width % alignment == 0
    assert abs(kept - size * (1 - ratio)) <= max(alignment, 1)


@pytest.mark.parametrize(
    ("size", "ratio", "alignment", "kept"),
    [(64, 0.3, 8, 48), (64, 0.3, 1, 45), (24, 0.3, 8, 16), (16, 0.3, 8, 8), (6, 0.5, 8, 6), (3, 0.3, 1, 2)],
)
def test_kept_widths_by_hand(size: int, ratio: float, alignment: int, kept: int) -> None:
    """The nearest multiple; 16 x 0.7 = 11.2 is nearer to 8 than to 16; narrow groups stay whole."""
    assert kept_widths([_group(size)], ratio, alignment) == {"conv": kept}


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.floats(0, 0.95), st.sampled_from([1, 8]))
def test_groups_of_one_layer_are_aligned_together(sizes: list[int], ratio: float, alignment: int) -> None:
    """The layer's width is aligned where it is wide enough; every group keeps a channel and its share."""
    groups = [replace(_group(size), id=str(index)) for index, size in enumerate(sizes)]

    kept = kept_widths(groups, ratio, alignment)

    total = sum(kept.values())
    assert all(1 <= kept[group.id] <= group.size for group in groups)
    assert total in (sum(sizes), len(sizes)) or total % alignment == 0
    assert all(abs(kept[group.id] - group.size * total / sum(sizes)) <= len(sizes) for group in groups)


def test_the_least_important_go() -> None:
    """Channels with the smallest scores are chosen, in every group."""
    analysis = analyse(residual())

    removal = uniform(analysis, lambda group: np.arange(group.size)[::-1].astype(float), 0.5, alignment=8)

    assert {name: len(channels) for name, channels in removal.items()} == {"Conv_0": 8, "Conv_3": 8, "Conv_10": 8}
    assert removal["Conv_0"] == list(range(8, 16))


@pytest.mark.parametrize("ratio", [-0.1, 1.0, float("nan")])
def test_ratio_outside_its_range(ratio: float) -> None:
    """All of a network cannot go."""
    with pytest.raises(EdgewrightError) as caught:
        uniform(analyse(residual()), {}, ratio)

    assert caught.value.code is ErrorCode.OPTION_INVALID


def test_scores_against_loops() -> None:
    """Norms and distances computed the long way."""
    rows = np.random.default_rng(0).normal(size=(7, 11))

    np.testing.assert_allclose(l1(rows), [float(sum(abs(v) for v in row)) for row in rows])
    np.testing.assert_allclose(l2(rows), [np.linalg.norm(row) for row in rows])
    np.testing.assert_allclose(fpgm(rows), [float(sum(np.linalg.norm(a - b) for b in rows)) for a in rows])


@pytest.mark.parametrize("name", WEIGHT_SCORES)
def test_a_silent_filter_is_least_important(name: str) -> None:
    """A filter of almost nothing scores lowest by the norms; by FPGM it lies in the middle and scores lowest too."""
    b = Builder()
    filters = np.random.default_rng(1).normal(size=(8, 3, 3, 3))
    filters[5] *= 1e-3
    x = b.add("Conv", ["x", b.constant(filters, np.float32)], pads=[1] * 4)
    model = b.head(b.add("Relu", [x]), 8)
    [group] = analyse(model).groups

    scores = weight_importance(model, group, WEIGHT_SCORES[name])

    assert scores.shape == (8,)
    assert int(np.argmin(scores)) == 5
