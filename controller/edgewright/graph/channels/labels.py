"""Channel labels: which channels of which tensors must go or stay together."""

from __future__ import annotations

from typing import Any

import numpy as np

# One label per position of an axis, int64 [size of the axis].
Vector = np.ndarray[Any, np.dtype[np.int64]]
# One entry per axis of a tensor; None: nothing along this axis can ever be removed.
Axes = tuple[Vector | None, ...]

# The label of positions that always stay.
KEEP = 0
_MANY = 4096


class Labels:
    """A union-find over channel labels; a set that contains `KEEP` is protected and knows why.

    The reason of a set is the first one given, since later ones only follow from it.
    """

    def __init__(self) -> None:
        self._parent: list[int] = [KEEP]
        self._reasons: dict[int, str] = {KEEP: "no channels"}

    def __len__(self) -> int:
        return len(self._parent)

    def fresh(self, count: int) -> Vector:
        """`count` new labels, each alone in its set."""
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return np.arange(first, first + count, dtype=np.int64)

    def find(self, label: int) -> int:
        """The representative of the set of `label`."""
        parent = self._parent
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    def unite(self, first: Vector, second: Vector, reason: str) -> None:
        """Ties the labels pairwise (equal lengths); where one of a pair is `KEEP`, `reason` protects the
        other.
        """
        if first.size > _MANY:
            pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1)
            first, second = pairs[0], pairs[1]
        for one, other in zip(first.ravel().tolist(), second.ravel().tolist(), strict=True):
            if one != other:
                self._join(one, other, reason)

    def protect(self, vector: Vector, reason: str) -> None:
        """These labels stay."""
        for label in np.unique(vector).tolist():
            self._reasons.setdefault(self.find(label), reason)

    def roots(self) -> Vector:
        """The representative of every label; protected ones become `KEEP`. int64 [labels]."""
        found = [self.find(label) for label in range(len(self._parent))]
        return np.array([KEEP if root in self._reasons else root for root in found], dtype=np.int64)

    def reason(self, label: int) -> str | None:
        """Why the label is protected; None where it is not."""
        return self._reasons.get(self.find(label))

    def _join(self, one: int, other: int, reason: str) -> None:
        a, b = self.find(one), self.find(other)
        if a == b:
            return
        if KEEP in (a, b):
            self._reasons.setdefault(a or b, reason)
            return
        low, high = min(a, b), max(a, b)
        self._parent[high] = low
        known = self._reasons.pop(high, None)
        if known is not None:
            self._reasons.setdefault(low, known)
