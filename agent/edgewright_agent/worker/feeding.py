"""Stored samples to a session's feed, and the checks on the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgewright_contract import normalize
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Normalization, TensorSpec

if TYPE_CHECKING:
    from edgewright_agent.runtimes.base import Array, Session

# A dimension that neither the file nor a sample tells, in a smoke run: images are the usual case.
SMOKE_SIDE = 224


def open_samples(path: Path) -> Array:
    """The .npy file mapped read-only, samples along axis 0, at least one.

    Raises EdgewrightError ARTIFACT_CORRUPT for a file that is no such array; pickled objects are refused.
    """
    try:
        samples: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise EdgewrightError(
            ErrorCode.ARTIFACT_CORRUPT,
            f"the input set is no readable .npy array: {error}",
            "make the input set again and push it again",
        ) from error
    if not isinstance(samples, np.ndarray) or samples.ndim == 0 or samples.shape[0] == 0:
        raise EdgewrightError(
            ErrorCode.ARTIFACT_CORRUPT,
            "the input set holds no samples; it must be one .npy array with samples along axis 0",
            "make the input set again and push it again",
        )
    return samples


def feed(sample: Array, normalization: Normalization, session: Session) -> list[Array]:
    """The feed for one stored sample [1, ...]. Raises EdgewrightError SPEC_MISMATCH when it does not fit."""
    if len(session.inputs) != 1:
        names = ", ".join(spec.name for spec in session.inputs)
        raise EdgewrightError(
            ErrorCode.SPEC_MISMATCH,
            f"the network has {len(session.inputs)} inputs ({names}); an input set feeds exactly one",
            "measure networks with one input",
        )
    spec = session.inputs[0]
    return [_fitted(normalize.apply(sample, normalization, spec.dtype), spec)]


def _fitted(values: Array, spec: TensorSpec) -> Array:
    """Accepts the wanted shape, or one that differs by axes of length 1 only."""
    wanted = spec.shape
    if _fits(values.shape, wanted):
        return values
    if all(isinstance(size, int) for size in wanted):
        fixed = [int(size) for size in wanted]
        if [size for size in fixed if size != 1] == [size for size in values.shape if size != 1]:
            return values.reshape(fixed)
    raise EdgewrightError(
        ErrorCode.SPEC_MISMATCH,
        f"input {spec.name!r} is {_text(wanted)}; a sample of the input set becomes {_text(values.shape)}",
        "correct input.size and input.layout in the spec file",
    )


def _fits(shape: tuple[int, ...], wanted: tuple[int | str, ...]) -> bool:
    return len(shape) == len(wanted) and all(isinstance(need, str) or size == need for size, need in zip(shape, wanted))


def zeros(session: Session) -> list[Array]:
    """A feed of zeros for a smoke run; unknown dimensions become 224 in images (four axes), 1 elsewhere."""
    return [
        np.zeros(
            [size if isinstance(size, int) else SMOKE_SIDE if len(spec.shape) == 4 else 1 for size in spec.shape],
            dtype=spec.dtype,
        )
        for spec in session.inputs
    ]


def _text(shape: tuple[int | str, ...]) -> str:
    return "[" + ", ".join(str(size) for size in shape) + "]"
