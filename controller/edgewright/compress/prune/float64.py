"""A network run in float64, where onnxruntime has no kernels: onnx's reference evaluator with faster convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from edgewright.graph.session import Array, Arrays

_WIDENED = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


def run_float64(model: onnx.ModelProto, feed: Arrays) -> list[Array]:
    """Outputs with every float weight, constant and input widened to float64; slow (seconds to minutes)."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    del wide.graph.value_info[:]
    for tensor in wide.graph.initializer:
        _widen(tensor)
    for node in wide.graph.node:
        for item in node.attribute:
            if item.HasField("t"):
                _widen(item.t)
            if node.op_type == "Cast" and item.name == "to" and item.i in _WIDENED:
                item.i = onnx.TensorProto.DOUBLE
    for value in (*wide.graph.input, *wide.graph.output):
        if value.type.tensor_type.elem_type in _WIDENED:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    wide_feed = {name: value.astype(np.float64) if value.dtype.kind == "f" else value for name, value in feed.items()}
    evaluator = ReferenceEvaluator(wide, new_ops=[Conv, ConvTranspose, MaxPool, AveragePool])
    with np.errstate(all="ignore"):  # exp overflows inside the evaluator's sigmoid, in the branch not taken
        outputs: list[Array] = evaluator.run(None, wide_feed)
    return outputs


def _widen(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in _WIDENED:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))


class Conv(OpRun):  # type: ignore[misc]
    """Convolution over any number of image axes as one matrix product a group."""

    def _run(self, x: Array, w: Array, bias: Array | None = None, **attributes: Any) -> tuple[Array]:
        rank = x.ndim - 2
        kernel = w.shape[2:]
        strides, dilations = _listed(attributes, "strides", rank), _listed(attributes, "dilations", rank)
        windows = _windows(x, kernel, strides, dilations, attributes, 0.0)
        groups = attributes.get("group") or 1
        per_in, per_out = x.shape[1] // groups, w.shape[0] // groups
        parts = []
        for group in range(groups):
            part = windows[:, group * per_in : (group + 1) * per_in]
            filters = w[group * per_out : (group + 1) * per_out]
            image_axes = list(range(2 + rank, 2 + 2 * rank))
            parts.append(np.tensordot(part, filters, axes=([1, *image_axes], [1, *range(2, 2 + rank)])))
        made = np.moveaxis(np.concatenate(parts, axis=-1), -1, 1)
        if bias is not None:
            made = made + bias.reshape(1, -1, *(1,) * rank)
        return (made,)


class ConvTranspose(OpRun):  # type: ignore[misc]
    """Transposed convolution, one kernel position after the other."""

    def _run(self, x: Array, w: Array, bias: Array | None = None, **attributes: Any) -> tuple[Array]:
        rank = x.ndim - 2
        kernel, groups = w.shape[2:], attributes.get("group") or 1
        strides, dilations = _listed(attributes, "strides", rank), _listed(attributes, "dilations", rank)
        if attributes.get("output_shape") or (attributes.get("auto_pad") or "NOTSET") != "NOTSET":
            raise NotImplementedError("ConvTranspose with output_shape or auto_pad")
        pads = list(attributes.get("pads") or [0] * (2 * rank))
        extra = list(attributes.get("output_padding") or [0] * rank)
        full = [(x.shape[2 + k] - 1) * strides[k] + (kernel[k] - 1) * dilations[k] + 1 + extra[k] for k in range(rank)]
        made = np.zeros((x.shape[0], w.shape[1] * groups, *full))
        parts, filters = np.split(x, groups, axis=1), np.split(w, groups, axis=0)
        for place in np.ndindex(*kernel):
            terms = [
                np.moveaxis(np.tensordot(part, taps[(slice(None), slice(None), *place)], axes=([1], [0])), -1, 1)
                for part, taps in zip(parts, filters, strict=True)
            ]
            span = [
                slice(first, first + (side - 1) * step + 1, step)
                for first, side, step in zip(np.multiply(place, dilations), x.shape[2:], strides, strict=True)
            ]
            made[(slice(None), slice(None), *span)] += np.concatenate(terms, axis=1)
        crop = [slice(pads[k], full[k] - pads[rank + k]) for k in range(rank)]
        made = made[(slice(None), slice(None), *crop)]
        if bias is not None:
            made = made + bias.reshape(1, -1, *(1,) * rank)
        return (made,)


class MaxPool(OpRun):  # type: ignore[misc]
    """Largest value of each window (first output only)."""

    def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
        kernel = tuple(attributes["kernel_shape"])
        strides, dilations = _listed(attributes, "strides", len(kernel)), _listed(attributes, "dilations", len(kernel))
        windows = _windows(x, kernel, strides, dilations, attributes, -np.inf)
        return (windows.max(axis=tuple(range(-len(kernel), 0))),)


class AveragePool(OpRun):  # type: ignore[misc]
    """Mean of each window, padding counted only where asked."""

    def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
        kernel = tuple(attributes["kernel_shape"])
        strides, dilations = _listed(attributes, "strides", len(kernel)), _listed(attributes, "dilations", len(kernel))
        sums = _windows(x, kernel, strides, dilations, attributes, 0.0).sum(axis=tuple(range(-len(kernel), 0)))
        fill = 1.0 if attributes.get("count_include_pad") else 0.0
        counted = _windows(np.ones_like(x), kernel, strides, dilations, attributes, fill)
        return (sums / counted.sum(axis=tuple(range(-len(kernel), 0))),)


def _listed(attributes: dict[str, Any], name: str, rank: int) -> list[int]:
    return list(attributes.get(name) or [1] * rank)


def _windows(
    x: Array, kernel: tuple[int, ...], strides: list[int], dilations: list[int], attributes: dict[str, Any], fill: float
) -> Array:
    """[N, C, *outputs, *kernel], a view of `x` padded with `fill`."""
    rank = len(kernel)
    reach = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]
    low, high = _pads(x.shape[2:], reach, strides, attributes)
    if attributes.get("ceil_mode"):
        for axis in range(rank):
            rest = (x.shape[2 + axis] + low[axis] + high[axis] - reach[axis]) % strides[axis]
            high[axis] += (strides[axis] - rest) % strides[axis]
    padded = np.pad(x, [(0, 0), (0, 0), *zip(low, high, strict=True)], constant_values=fill)
    windows = sliding_window_view(padded, reach, axis=tuple(range(2, 2 + rank)))
    steps = (slice(None), slice(None), *(slice(None, None, step) for step in strides))
    inner = tuple(slice(None, None, dilation) for dilation in dilations)
    view: Array = windows[steps + inner]
    return view


def _pads(
    sides: tuple[int, ...], reach: list[int], strides: list[int], attributes: dict[str, Any]
) -> tuple[list[int], list[int]]:
    """Padding before and after each image axis."""
    rank = len(sides)
    automatic = attributes.get("auto_pad") or "NOTSET"
    if automatic.startswith("SAME"):
        totals = [
            max((-(-side // step) - 1) * step + span - side, 0)
            for side, step, span in zip(sides, strides, reach, strict=True)
        ]
        halves = [total // 2 for total in totals]
        rests = [total - half for total, half in zip(totals, halves, strict=True)]
        return (halves, rests) if automatic == "SAME_UPPER" else (rests, halves)
    pads = list(attributes.get("pads") or [0] * (2 * rank))
    return pads[:rank], pads[rank:]
