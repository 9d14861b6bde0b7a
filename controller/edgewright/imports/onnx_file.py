"""ONNX in: checked, normalised, compared with the original."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.core.values import ProgressCallback, ProgressEvent, no_progress
from edgewright.graph.compare import Reference, is_vacuous, reference_of
from edgewright.graph.cost import count_macs, count_parameters
from edgewright.graph.files import atomic_file
from edgewright.graph.measured_shapes import known_shapes
from edgewright.graph.model_file import all_tensors, damage_named, load_model
from edgewright.graph.normalise import normalise
from edgewright.graph.opset import check_opset, opset_of
from edgewright.graph.session import Arrays, open_session
from edgewright.graph.shapes import concrete_shapes, random_probe, tensor_spec, true_inputs
from edgewright.imports.imported import ImportedModel
from edgewright_contract.errors import EdgewrightError, ErrorCode


def import_onnx(
    source: Path,
    destination: Path,
    probes: Sequence[Arrays] | None = None,
    input_size: tuple[int, int] | None = None,
    progress: ProgressCallback = no_progress,
) -> ImportedModel:
    """Checks `source`, writes its simplified form to `destination` (one file, weights inside) and describes
    it.

    `probes` are feeds {input name: array} on which original and simplified form are compared, besides random
    ones; `input_size` is (height, width) where the graph leaves them open.

    Raises MODEL_CORRUPT, MODEL_OPSET_UNSUPPORTED, MODEL_WEIGHTS_MISSING, MODEL_TOO_LARGE, MODEL_NOT_FINITE,
    MODEL_UNRUNNABLE, SPEC_MISMATCH, DISK_FULL. Nothing is left half written.
    """
    with damage_named(source):
        return _import(source, destination, probes, input_size, progress)


def _import(
    source: Path,
    destination: Path,
    probes: Sequence[Arrays] | None,
    input_size: tuple[int, int] | None,
    progress: ProgressCallback,
) -> ImportedModel:
    progress(ProgressEvent("reading the model", 0, 4))
    model = load_model(source)
    check_opset(model)
    _check_values(model, source)
    shapes = concrete_shapes(model, input_size)
    progress(ProgressEvent("running the original", 1, 4))
    reference, notes = _reference(source, model, shapes, probes or ())
    progress(ProgressEvent("simplifying", 2, 4))
    nodes_before = len(model.graph.node)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".import-") as folder:
        done = normalise(model, reference, Path(folder), progress=progress)
        del model
        progress(ProgressEvent("writing the model", 3, 4))
        with atomic_file(destination) as temporary:
            shutil.copyfile(done.path, temporary)
    result = describe_onnx(destination, input_size)
    progress(ProgressEvent("imported", 4, 4))
    return ImportedModel(
        framework="onnx",
        inputs=result.inputs,
        outputs=result.outputs,
        opset=result.opset,
        parameters=result.parameters,
        macs=result.macs,
        size_bytes=result.size_bytes,
        import_difference=done.difference,
        simplified=done.simplified,
        notes=(*notes, *done.notes, *result.notes),
        nodes_before=nodes_before,
        nodes_after=result.nodes_after,
    )


def describe_onnx(path: Path, input_size: tuple[int, int] | None = None) -> ImportedModel:
    """Facts of an ONNX file as it is, nothing changed. Raises as `load_model`, MODEL_OPSET_UNSUPPORTED,
    SPEC_MISMATCH.
    """
    with damage_named(path):
        return _describe(path, input_size)


def _describe(path: Path, input_size: tuple[int, int] | None) -> ImportedModel:
    model = load_model(path)
    check_opset(model)
    notes: tuple[str, ...] = ()
    macs, unknown = count_macs(model, known_shapes(model, concrete_shapes(model, input_size)))
    if unknown:
        notes = (f"multiply-accumulates of {unknown} operators are not counted: their shapes are unknown",)
    return ImportedModel(
        framework="onnx",
        inputs=tuple(tensor_spec(value) for value in true_inputs(model)),
        outputs=tuple(tensor_spec(value) for value in model.graph.output),
        opset=opset_of(model),
        parameters=count_parameters(model),
        macs=macs,
        size_bytes=path.stat().st_size,
        import_difference=0.0,
        simplified=False,
        notes=notes,
        nodes_before=len(model.graph.node),
        nodes_after=len(model.graph.node),
    )


def _reference(
    source: Path,
    model: onnx.ModelProto,
    shapes: dict[str, tuple[int, ...]],
    probes: Sequence[Arrays],
) -> tuple[Reference | None, tuple[str, ...]]:
    """The original's outputs on given and random feeds; None where it refuses every one of them."""
    open_session(source)  # what cannot be loaded at all is refused before anything is tried
    random = [random_probe(model, shapes, seed=0), random_probe(model, shapes, seed=1, uniform=True)]
    try:
        reference = reference_of(source, [*probes, *random])
    except EdgewrightError as error:
        if probes:
            raise
        return None, (f"not compared with the original: {error.message}",)
    notes = ("the outputs do not depend on the input: the comparison proves nothing",) if is_vacuous(reference) else ()
    return reference, notes


def _check_values(model: onnx.ModelProto, source: Path) -> None:
    """Raises MODEL_NOT_FINITE for NaN in any weight, or infinity in a convolution's or matrix product's."""
    products = {
        name
        for node in model.graph.node
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")
        for name in node.input[1:]
    }
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    for tensor in all_tensors(model):
        if tensor.data_type not in floats:
            continue
        try:
            values = numpy_helper.to_array(tensor)
        except ValueError as error:
            raise EdgewrightError(
                ErrorCode.MODEL_CORRUPT,
                f"{source.name}: the values of {tensor.name!r} do not fit its shape {list(tensor.dims)}",
                "copy the file again, or export the model again",
            ) from error
        # The sum is finite exactly when nothing in it is NaN or infinite (float64 cannot overflow here).
        total = float(np.sum(values, dtype=np.float64))
        if np.isnan(total) and np.isnan(values).any():
            kind = "NaN"
        elif not np.isfinite(total) and tensor.name in products:
            kind = "infinite values"
        else:
            continue
        raise EdgewrightError(
            ErrorCode.MODEL_NOT_FINITE,
            f"{source.name} has {kind} in the weight {tensor.name or '(unnamed)'!r}",
            "the training diverged or the file is damaged: take an earlier checkpoint",
        )
