"""Shapes of all tensors, found without touching the weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import TensorSpec

# Initializers up to this size may hold shapes, axes and scales that shape inference reads.
_SMALL_BYTES = 4096
# For symbolic dimensions about which nothing is known: image sides and everything else (sequence lengths).
_DEFAULT_SIDE, _DEFAULT_LENGTH = 224, 16
_CHANNEL_COUNTS = (1, 3, 4)

Shape = tuple[int | None, ...]


def skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without its large initializers: these become graph inputs of the same shape.

    Passes that only look at structure then cost no memory for the weights.
    """
    bare = onnx.ModelProto()
    bare.ir_version = max(model.ir_version, 4)
    bare.opset_import.extend(model.opset_import)
    bare.functions.extend(model.functions)
    bare.graph.name = model.graph.name
    bare.graph.node.extend(model.graph.node)
    bare.graph.input.extend(model.graph.input)
    bare.graph.output.extend(model.graph.output)
    bare.graph.value_info.extend(model.graph.value_info)
    bare.graph.sparse_initializer.extend(model.graph.sparse_initializer)
    named = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if tensor.ByteSize() <= _SMALL_BYTES:
            bare.graph.initializer.append(tensor)
        elif tensor.name not in named:
            bare.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
    return bare


def true_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Graph inputs that a user feeds: those that are not initializers."""
    held = {tensor.name for tensor in model.graph.initializer}
    held |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    return [value for value in model.graph.input if value.name not in held]


def tensor_spec(value: onnx.ValueInfoProto) -> TensorSpec:
    """Name, shape and dtype of a graph input or output."""
    kind = value.type.tensor_type
    shape: list[int | str] = []
    for dimension in kind.shape.dim:
        if dimension.HasField("dim_value") and dimension.dim_value > 0:
            shape.append(dimension.dim_value)
        else:
            shape.append(dimension.dim_param or "?")
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
    except KeyError:
        dtype = "unknown"
    return TensorSpec(value.name, tuple(shape), dtype)


def concrete_shapes(
    model: onnx.ModelProto, input_size: tuple[int, int] | None = None, batch: int = 1
) -> dict[str, tuple[int, ...]]:
    """A shape to run each input at: unknown batch is `batch`, unknown image sides are `input_size`.

    Raises SPEC_MISMATCH when the graph fixes other image sides than `input_size` (height, width).
    """
    symbols: dict[str, int] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for value in true_inputs(model):
        spec = tensor_spec(value)
        sides = _image_sides(spec.shape)
        shape: list[int] = []
        for axis, dimension in enumerate(spec.shape):
            wanted = _wanted(axis, sides, input_size, batch, len(spec.shape))
            if isinstance(dimension, int):
                if input_size is not None and axis in sides and dimension != wanted:
                    height, width = (spec.shape[side] for side in sides)
                    raise EdgewrightError(
                        ErrorCode.SPEC_MISMATCH,
                        f"input size {list(input_size)} does not fit: {spec.name} takes [{height}, {width}]",
                        f"write size = [{height}, {width}] in the spec",
                    )
                shape.append(dimension)
            elif dimension == "?":
                shape.append(wanted)
            else:
                shape.append(symbols.setdefault(dimension, wanted))
        shapes[spec.name] = tuple(shape)
    return shapes


def infer_shapes(model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Shape]:
    """Shape of every tensor when the inputs have `shapes`; what cannot be told is None (a missing entry: rank
    too).
    """
    bare = skeleton(model)
    for value in bare.graph.input:
        if value.name in shapes:
            dimensions = value.type.tensor_type.shape.dim
            for dimension, size in zip(dimensions, shapes[value.name], strict=True):
                dimension.dim_value = size
    # Stale symbolic shapes would hide the concrete ones.
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, strict_mode=False, data_prop=True)
    except onnx.shape_inference.InferenceError:
        inferred = bare  # what runs need not satisfy the inference: then only inputs are known
    found: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for value in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output):
        if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
            found[value.name] = tuple(
                dimension.dim_value if dimension.HasField("dim_value") else None
                for dimension in value.type.tensor_type.shape.dim
            )
    return found


def random_probe(
    model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], seed: int, uniform: bool = False
) -> dict[str, Array]:
    """One random feed: float inputs from N(0, 1) or U(0, 1), integer inputs 0 or 1, booleans either."""
    rng = np.random.default_rng(seed)
    feed: dict[str, Array] = {}
    for value in true_inputs(model):
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
        shape = shapes[value.name]
        if dtype.kind == "f":
            drawn = rng.random(shape) if uniform else rng.standard_normal(shape)
            feed[value.name] = drawn.astype(dtype)
        elif dtype == np.uint8:
            feed[value.name] = rng.integers(0, 256, shape).astype(dtype)
        else:
            feed[value.name] = rng.integers(0, 2, shape).astype(dtype)
    return feed


def _image_sides(shape: tuple[int | str, ...]) -> tuple[int, ...]:
    """Axes of height and width of an image input; NCHW unless only the last axis looks like channels."""
    if len(shape) != 4:
        return ()
    if shape[3] in _CHANNEL_COUNTS and shape[1] not in _CHANNEL_COUNTS:
        return (1, 2)
    return (2, 3)


def _wanted(axis: int, sides: tuple[int, ...], size: tuple[int, int] | None, batch: int, rank: int) -> int:
    if axis in sides:
        return size[sides.index(axis)] if size else _DEFAULT_SIDE
    if axis == 0:
        return batch
    return 3 if rank == 4 else _DEFAULT_LENGTH
