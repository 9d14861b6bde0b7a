"""Labels: ties, protection with its reason, and labels through reshapes against numpy itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgewright.graph.channels.blocks import blocks
from edgewright.graph.channels.labels import KEEP, Labels


def test_tied_labels_are_protected_together() -> None:
    """A protected label protects everything tied to it, before or after, with its reason."""
    labels = Labels()
    a, b, c = (labels.fresh(2) for _ in range(3))
    labels.unite(a, b, "tie")
    labels.protect(b[:1], "an output")
    labels.unite(c, a, "tie")

    assert labels.reason(int(c[0])) == "an output"
    assert labels.reason(int(c[1])) is None
    roots = labels.roots()
    assert roots[a[0]] == roots[b[0]] == roots[c[0]] == KEEP
    assert roots[a[1]] == roots[b[1]] == roots[c[1]] != KEEP


def test_uniting_with_keep_protects() -> None:
    """Whatever meets a position that stays, stays, and says where it met it."""
    labels = Labels()
    a = labels.fresh(2)

    labels.unite(a, np.array([KEEP, a[1]]), "padding")

    assert labels.reason(int(a[0])) == "padding"
    assert labels.reason(int(a[1])) is None


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=12))
def test_union_find_equals_naive_closure(pairs: list[tuple[int, int]]) -> None:
    """Sets are those of a closure computed by repeated relabelling."""
    labels = Labels()
    labels.fresh(9)
    naive = list(range(10))
    for one, other in pairs:
        labels.unite(np.array([one]), np.array([other]), "")
        naive = [naive[one] if value == naive[other] else value for value in naive]

    roots = labels.roots()
    same = [[roots[i] == roots[j] for j in range(1, 10)] for i in range(1, 10)]
    assert same == [[naive[i] == naive[j] for j in range(1, 10)] for i in range(1, 10)]


def _shapes() -> st.SearchStrategy[tuple[list[int], list[int]]]:
    """Two shapes of equal size, cut from the same factors."""

    def cut(factors: list[int], places: list[int]) -> list[int]:
        bounds = [0, *sorted({place % (len(factors) + 1) for place in places}), len(factors)]
        return [int(np.prod(factors[a:b])) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]

    factors = st.lists(st.sampled_from([1, 2, 3, 5]), min_size=1, max_size=6)
    places = st.lists(st.integers(0, 6), max_size=4)
    return st.tuples(factors, places, places).map(lambda drawn: (cut(drawn[0], drawn[1]), cut(drawn[0], drawn[2])))


@given(_shapes())
def test_blocks_are_independent_reshapes(shapes: tuple[list[int], list[int]]) -> None:
    """Each block reshapes its own axes: coordinates in other blocks do not matter, and every axis has one block."""
    before, after = shapes
    found = blocks(before, after)

    assert sorted(axis for block in found for axis in block.inputs) == list(range(len(before)))
    assert sorted(axis for block in found for axis in block.outputs) == list(range(len(after)))
    for block in found:
        inside = [before[axis] if axis in block.inputs else 1 for axis in range(len(before))]
        numbers = np.arange(int(np.prod(inside))).reshape(inside)
        laid = np.broadcast_to(numbers, before).reshape(after)
        outside = tuple(axis for axis in range(len(after)) if axis not in block.outputs)
        np.testing.assert_array_equal(laid, np.broadcast_to(laid.min(axis=outside, keepdims=True), after))


def test_blocks_of_an_attention_cut() -> None:
    """Batch, tokens and width are told apart; the width is cut into three."""
    found = blocks([1, 197, 576], [1, 197, 3, 3, 64])

    assert [(block.inputs, block.outputs) for block in found] == [((0,), (0,)), ((1,), (1,)), ((2,), (2, 3, 4))]
