"""Resize, Upsample and GridSample.

An axis is resized by a matrix [outputs, inputs] made from ONNX's coordinate rules; the common cases go to torch's own
kernels, which follow the same rules there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from edgewright.compress.executor.node import Node
from edgewright.compress.executor.registry import Run, operator
from edgewright.compress.executor.resize_matrix import AxisRule, axis_matrix, nearest_indices

_MODES = ("nearest", "linear", "cubic")
_COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
    "tf_half_pixel_for_nn",
)


@dataclass(frozen=True)
class _Axis:
    """One resized axis: input and output size, the scale that coordinates use, and the crop in 0..1."""

    axis: int
    size: int
    result: int
    scale: float
    roi: tuple[float, float]


@operator("Resize", limits="element types other than numbers")
def resize(node: Node) -> Run:
    # Opset 10 has (x, scales) and only one rule of coordinates; later ones have (x, roi, scales, sizes).
    old = node.opset < 11
    scales_at, sizes_at = (1, 9) if old else (2, 3)
    scales, sizes, roi = _floats(node, scales_at), node.ints(sizes_at), _floats(node, 9 if old else 1)
    rule = AxisRule(
        mode=node.attribute("mode", "nearest"),
        coordinates=node.attribute("coordinate_transformation_mode", "asymmetric" if old else "half_pixel"),
        nearest=node.attribute("nearest_mode", "floor" if old else "round_prefer_floor"),
        cubic=node.attribute("cubic_coeff_a", -0.75),
        exclude_outside=bool(node.attribute("exclude_outside", 0)),
        antialias=bool(node.attribute("antialias", 0)),
        outside=node.attribute("extrapolation_value", 0.0),
    )
    node.refuse_unless(rule.mode in _MODES, f"mode {rule.mode}")
    node.refuse_unless(rule.coordinates in _COORDINATES, f"coordinates {rule.coordinates}")
    axes_given, policy = node.attribute("axes"), node.attribute("keep_aspect_ratio_policy", "stretch")
    cache: dict[_Axis, Tensor] = {}

    def run(x: Tensor, *inputs: Tensor | None) -> Tensor:
        given = (x, *inputs)
        crop, factors, results = (_pick(given, at) for at in (9 if old else 1, scales_at, sizes_at))
        places = [axis % x.ndim for axis in axes_given] if axes_given else list(range(x.ndim))
        axes = _resized_axes(x, places, scales(factors), sizes(results), roi(crop), policy)
        if not x.is_floating_point():
            return _resized(x.double(), axes, rule, cache).to(x.dtype)
        return _resized(x, axes, rule, cache)

    return run


@operator("Upsample")
def upsample(node: Node) -> Run:
    scales = _floats(node, 1)
    mode = node.attribute("mode", "nearest")
    rule = AxisRule("linear" if mode in ("linear", "bilinear") else mode, "asymmetric", "floor")
    cache: dict[_Axis, Tensor] = {}

    def run(x: Tensor, factors: Tensor | None = None) -> Tensor:
        axes = _resized_axes(x, list(range(x.ndim)), scales(factors), [], [], "stretch")
        return _resized(x, axes, rule, cache)

    return run


@operator("GridSample")
def grid_sample(node: Node) -> Run:
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(node.attribute("mode", "linear"), node.attribute("mode"))
    padding, corners = node.attribute("padding_mode", "zeros"), bool(node.attribute("align_corners", 0))
    return lambda x, grid: functional.grid_sample(x, grid, mode, padding, corners)


def _floats(node: Node, index: int) -> Run:
    """Reads a list of floats: once where the input never changes."""
    fixed = node.constant(index)
    if fixed is not None or not node.given(index):
        known = [] if fixed is None else [float(item) for item in fixed.reshape(-1).tolist()]
        return lambda _tensor: known
    return lambda tensor: [float(item) for item in tensor.reshape(-1).tolist()]


def _pick(given: Sequence[Tensor | None], index: int) -> Tensor | None:
    return given[index] if index < len(given) else None


def _resized_axes(
    x: Tensor, places: Sequence[int], scales: list[float], sizes: list[int], roi: list[float], policy: str
) -> list[_Axis]:
    if sizes and policy != "stretch":
        choose = min if policy == "not_larger" else max
        factor = choose(size / x.shape[axis] for axis, size in zip(places, sizes, strict=True))
        scales = [factor] * len(places)
        sizes = [int(factor * x.shape[axis] + 0.5) for axis in places]
    count = len(places)
    axes = []
    for index, axis in enumerate(places):
        size = x.shape[axis]
        crop = (roi[index], roi[count + index]) if len(roi) == 2 * count else (0.0, 1.0)
        result = sizes[index] if sizes else int(size * scales[index] * (crop[1] - crop[0] if roi else 1.0))
        scale = scales[index] if scales else result / size
        if result != size or scale != 1 or crop != (0.0, 1.0):
            axes.append(_Axis(axis, size, result, scale, crop))
    return axes


def _resized(x: Tensor, axes: list[_Axis], rule: AxisRule, cache: dict[_Axis, Tensor]) -> Tensor:
    native = _native(x, axes, rule)
    if native is not None:
        return native
    for axis in axes:
        if rule.mode == "nearest" and rule.coordinates != "tf_crop_and_resize":
            if axis not in cache:
                cache[axis] = torch.from_numpy(nearest_indices(rule, axis.size, axis.result, axis.scale))
            x = x.index_select(axis.axis, cache[axis].to(x.device))
            continue
        if axis not in cache:
            cache[axis] = torch.from_numpy(axis_matrix(rule, axis.size, axis.result, axis.scale, axis.roi))
        matrix = cache[axis].to(device=x.device, dtype=x.dtype)
        x = torch.tensordot(x, matrix[:, :-1], dims=([axis.axis], [1])).movedim(-1, axis.axis)
        if bool((matrix[:, -1] != 0).any()):  # positions outside the crop hold a fixed value
            shape = [1] * x.ndim
            shape[axis.axis] = -1
            mask = matrix[:, -1].reshape(shape) != 0
            x = torch.where(mask, torch.full_like(x, rule.outside), x)
    return x


def _native(x: Tensor, axes: list[_Axis], rule: AxisRule) -> Tensor | None:
    """torch's own kernel for [n, c, h, w] where it computes the same; None elsewhere."""
    exact = all(axis.result == axis.size * axis.scale and axis.roi == (0.0, 1.0) for axis in axes)
    if x.ndim != 4 or not axes or not exact or any(axis.axis < 2 for axis in axes) or rule.antialias:
        return None
    size = list(x.shape[2:])
    for axis in axes:
        size[axis.axis - 2] = axis.result
    single = any(side == 1 for side in size)
    if rule.mode == "nearest":
        whole = all(float(axis.scale).is_integer() for axis in axes)
        floors = rule.coordinates == "asymmetric" and rule.nearest == "floor"
        halves = rule.coordinates.startswith(("half_pixel", "pytorch")) and rule.nearest.startswith("round")
        return functional.interpolate(x, size, mode="nearest") if whole and not single and (floors or halves) else None
    mode = "bilinear" if rule.mode == "linear" else "bicubic"
    if rule.mode == "cubic" and (rule.cubic != -0.75 or rule.exclude_outside):
        return None
    if rule.coordinates == "align_corners":
        return functional.interpolate(x, size, mode=mode, align_corners=True)
    if rule.coordinates in ("half_pixel", "pytorch_half_pixel") and not single:
        return functional.interpolate(x, size, mode=mode, align_corners=False)
    return None
