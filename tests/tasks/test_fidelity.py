"""Closeness of outputs, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgewright.tasks.fidelity import fidelity
from edgewright_contract.errors import EdgewrightError, ErrorCode


def test_equal_outputs() -> None:
    """No noise is infinitely many decibel."""
    outputs = {"y": np.array([[1.0, 2.0], [3.0, 1.0]], np.float32)}

    close = fidelity(outputs, outputs, classification=True)

    assert (close.agreement, close.sqnr_db, close.cosine) == (1.0, math.inf, pytest.approx(1.0))


def test_figures_by_hand() -> None:
    """Signal 25 and 0.25 of noise are 20 dB; one of two rows keeps its answer."""
    base = {"y": np.array([[3.0, 4.0], [0.0, 0.0]]), "z": np.array([[0.0]])}
    other = {"z": np.array([[0.0]]), "y": np.array([[3.0, 4.0], [0.0, 0.5]])}

    close = fidelity(base, other, classification=True)

    assert close.sqnr_db == pytest.approx(20.0)
    assert close.cosine == pytest.approx(25 / math.sqrt(25 * 25.25))
    assert close.agreement == 0.5


def test_names_may_differ_and_whole_numbers_are_numbers() -> None:
    """Outputs of other names are matched by position; uint8 differences do not wrap."""
    close = fidelity({"a": np.array([[0.0, 200.0]])}, {"b": np.array([[1, 200]], np.uint8)}, classification=False)

    assert close.agreement is None
    assert close.sqnr_db == pytest.approx(10 * math.log10(200**2))


def test_outputs_that_are_not_finite_are_infinitely_far() -> None:
    """NaN never looks close."""
    close = fidelity({"a": np.ones((1, 2))}, {"a": np.array([[1.0, np.nan]])}, classification=False)

    assert (close.sqnr_db, close.cosine) == (-math.inf, -1.0)


def test_a_silent_baseline() -> None:
    """All zeros against something is minus infinity, against zeros infinity."""
    zeros, ones = {"a": np.zeros((1, 2))}, {"a": np.ones((1, 2))}

    assert fidelity(zeros, ones, classification=False).sqnr_db == -math.inf
    assert fidelity(zeros, zeros, classification=False).sqnr_db == math.inf


def test_other_shapes_are_refused() -> None:
    """Outputs that cannot be compared are named by their shapes."""
    with pytest.raises(EdgewrightError) as caught:
        fidelity({"a": np.zeros((1, 2))}, {"a": np.zeros((1, 3))}, classification=False)

    assert caught.value.code is ErrorCode.MODEL_UNSUPPORTED
    assert "(1, 2)" in caught.value.message
