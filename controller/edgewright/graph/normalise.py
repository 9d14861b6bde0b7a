"""Normalisation: one simple form for every network, each stage accepted only when the outputs stay the
same.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

from edgewright.core.values import ProgressCallback, ProgressEvent, no_progress
from edgewright.graph.batchnorm import drop_unused_initializers, fold_batchnorm
from edgewright.graph.compare import Reference, difference_from
from edgewright.graph.constants import strip_inputs, tidy
from edgewright.graph.model_file import save_model
from edgewright.graph.opset import move_opset
from edgewright.graph.pooling import mean_to_pooling
from edgewright_contract.errors import EdgewrightError, ErrorCode

# Float rounding of a reordered network stays a hundred times below this; a changed meaning does not.
TOLERANCE = 1e-4

Stage = Callable[[onnx.ModelProto], tuple[onnx.ModelProto, str]]


@dataclass(frozen=True)
class Normalised:
    """`path` holds the accepted form; `difference` is its largest relative difference from the original."""

    path: Path
    difference: float
    simplified: bool
    notes: tuple[str, ...]


def normalise(
    model: onnx.ModelProto,
    reference: Reference | None,
    folder: Path,
    tolerance: float = TOLERANCE,
    progress: ProgressCallback = no_progress,
    threads: int = 0,
) -> Normalised:
    """Runs the stages; each result is written to `folder` and compared with `reference` (None: the network
    could not be run on a probe, so only the mildest form is taken).

    A stage that fails, or moves an output by more than `tolerance`, is refused and the form before it kept.
    """
    notes: list[str] = []
    accepted = folder / "plain.onnx"
    current = strip_inputs(model)
    save_model(current, accepted)
    difference = 0.0 if reference is None else difference_from(reference, accepted, threads)
    if reference is None:
        return Normalised(accepted, 0.0, False, ("not simplified: no input was found that the network runs on",))
    simplified = False
    stages: tuple[tuple[str, Stage], ...] = (
        ("operator set", move_opset),
        ("constants", lambda value: (tidy(value), "")),
        ("BatchNorm folding", _batchnorm),
        ("clean-up", _slim),
        ("pooling", _pooling),
    )
    for index, (name, stage) in enumerate(stages):
        progress(ProgressEvent(f"simplifying: {name}", index, len(stages)))
        candidate, note, gap = _attempt(stage, current, folder / f"stage{index}.onnx", reference, threads)
        if note:
            notes.append(note)
        if candidate is None:
            continue
        if gap > tolerance:
            notes.append(f"{name} refused: it moves an output by {gap:.1e} of its range ({tolerance:.0e} allowed)")
            continue
        current, accepted, difference, simplified = candidate, folder / f"stage{index}.onnx", gap, True
    progress(ProgressEvent("simplifying", len(stages), len(stages)))
    return Normalised(accepted, difference, simplified, tuple(notes))


def _attempt(
    stage: Stage, model: onnx.ModelProto, path: Path, reference: Reference, threads: int
) -> tuple[onnx.ModelProto | None, str, float]:
    """A stage's result, its note and its difference; no result where it changed nothing or failed."""
    with _quiet():
        try:
            result, note = stage(model)
        except Exception as error:  # noqa: BLE001 - third-party passes fail in their own ways; the form before stays
            return (
                None,
                f"a simplification failed and was left out ({type(error).__name__}: {error})"[:300],
                0.0,
            )
    if result is model:
        return None, note, 0.0
    try:
        save_model(result, path)
        return result, note, difference_from(reference, path, threads)
    except EdgewrightError as error:
        if error.code is not ErrorCode.MODEL_UNRUNNABLE:
            raise
        return None, f"a simplification was left out: {error.message}", 0.0


def _batchnorm(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return (copy, "") if fold_batchnorm(copy) else (model, "")


def _pooling(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if not mean_to_pooling(copy):
        return model, ""
    drop_unused_initializers(copy)
    return copy, ""


def _slim(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    import onnxslim

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    slimmed: onnx.ModelProto = onnxslim.slim(copy, no_shape_infer=False)
    drop_unused_initializers(slimmed)
    slimmed = strip_inputs(slimmed)
    slimmed.ir_version = model.ir_version
    return slimmed, ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The passes talk on stdout and through loggers; data belongs to stdout alone."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
