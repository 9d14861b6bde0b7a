"""What a layer reads for some of its outputs: rows of a linear map, cut from its input."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from edgewright.graph.session import Array


class LinearView:
    """A Conv (one group), Gemm or MatMul as y = W x + b on sampled output places.

    `rows(x, y, count, rng)` gives (inputs [r, k], outputs [r, m]) for at most `count` random places a sample, in
    the order of the weight as `flat` lays it out.
    """

    def __init__(self, node: onnx.NodeProto, weight_shape: tuple[int, ...]) -> None:
        self.op: str = node.op_type
        self._attributes: dict[str, Any] = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        self.shape = weight_shape

    @property
    def supported(self) -> bool:
        """Whether the layer is a plain linear map."""
        get = self._attributes.get
        if self.op == "Conv":
            return int(get("group", 1)) == 1
        if self.op == "Gemm":
            return not get("transA", 0) and get("alpha", 1.0) == 1.0 and get("beta", 1.0) == 1.0
        return self.op == "MatMul" and len(self.shape) == 2

    @property
    def output_axis(self) -> int:
        """Axis of the weight along which outputs lie."""
        return 0 if self.op == "Conv" or (self.op == "Gemm" and self._attributes.get("transB", 0)) else 1

    def flat(self, weight: Array) -> Array:
        """The weight as [k, m]."""
        moved = np.moveaxis(weight, self.output_axis, -1)
        return moved.reshape(-1, moved.shape[-1])

    def unflat(self, matrix: Array, shape: tuple[int, ...]) -> Array:
        """The inverse of `flat` for a weight of `shape`."""
        order = [size for axis, size in enumerate(shape) if axis != self.output_axis]
        return np.moveaxis(matrix.reshape(*order, shape[self.output_axis]), -1, self.output_axis)

    def rows(self, x: Array, y: Array, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Sampled places; x is the layer's input, y its output [n, m, ...] (matrix products: [..., m])."""
        if self.op != "Conv":
            flat_x, flat_y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
            most = count * len(x)
            if len(flat_x) > most:
                chosen = rng.choice(len(flat_x), most, replace=False)
                return flat_x[chosen], flat_y[chosen]
            return flat_x, flat_y
        return self._windows(x, y, count, rng)

    def _windows(self, x: Array, y: Array, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        spatial = y.shape[2:]
        places = int(np.prod(spatial))
        each = min(count, places)
        samples = np.repeat(np.arange(len(x)), each)
        flat = np.concatenate([rng.choice(places, each, replace=False) for _ in range(len(x))])
        where = np.unravel_index(flat, spatial)
        kernel = self.shape[2:]
        rank = len(kernel)
        strides = list(self._attributes.get("strides") or [1] * rank)
        dilations = list(self._attributes.get("dilations") or [1] * rank)
        begins, ends = self._pads(x.shape[2:], spatial, kernel, strides, dilations)
        padded = np.pad(x, [(0, 0), (0, 0), *zip(begins, ends, strict=True)])
        parts = []
        for offset in np.ndindex(*kernel):
            index = tuple(where[axis] * strides[axis] + offset[axis] * dilations[axis] for axis in range(rank))
            place: tuple[Any, ...] = (samples, slice(None), *index)
            parts.append(padded[place])
        inputs = np.stack(parts, axis=-1).reshape(len(samples), -1)
        chosen: tuple[Any, ...] = (samples, slice(None), *where)
        return inputs, y[chosen]

    def _pads(
        self,
        sides: tuple[int, ...],
        made: tuple[int, ...],
        kernel: tuple[int, ...],
        strides: list[int],
        dilations: list[int],
    ) -> tuple[list[int], list[int]]:
        rank = len(kernel)
        automatic = self._attributes.get("auto_pad", b"NOTSET")
        rule = automatic.decode() if isinstance(automatic, bytes) else str(automatic)
        reach = [(made[axis] - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 for axis in range(rank)]
        if rule.startswith("SAME"):
            totals = [max(reach[axis] - sides[axis], 0) for axis in range(rank)]
            halves = [total // 2 for total in totals]
            rests = [total - half for total, half in zip(totals, halves, strict=True)]
            return (halves, rests) if rule == "SAME_UPPER" else (rests, halves)
        pads = list(self._attributes.get("pads") or [0] * (2 * rank))
        return pads[:rank], pads[rank:]
