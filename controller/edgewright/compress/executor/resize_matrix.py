"""Coordinates and weights of ONNX's Resize along one axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class AxisRule:
    """The attributes of Resize that matter along an axis; names and values are ONNX's."""

    mode: str
    coordinates: str
    nearest: str
    cubic: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    outside: float = 0.0


def source_coordinates(rule: AxisRule, size: int, result: int, scale: float, roi: tuple[float, float]) -> Array:
    """Where each of `result` outputs lies on an input axis of `size`; float64 [result].

    Formulas: ONNX operator Resize, attribute coordinate_transformation_mode.
    """
    place = np.arange(result, dtype=np.float64)
    if rule.coordinates == "asymmetric":
        return place / scale
    if rule.coordinates == "align_corners":
        # As onnxruntime: by the output's whole size. ONNX's reference takes scale * size, which need not be whole.
        return place * (size - 1) / (result - 1) if result > 1 else np.zeros_like(place)
    if rule.coordinates == "tf_crop_and_resize":
        first, last = roi
        if result > 1:
            return first * (size - 1) + place * (last - first) * (size - 1) / (result - 1)
        return np.full_like(place, 0.5 * (first + last) * (size - 1))
    if rule.coordinates == "tf_half_pixel_for_nn":
        return (place + 0.5) / scale
    if rule.coordinates == "pytorch_half_pixel" and result == 1:
        return np.full_like(place, -0.5)
    middle = (place + 0.5) / scale - 0.5
    if rule.coordinates == "half_pixel_symmetric":
        adjust = result / (scale * size)
        return size / 2 * (1 - adjust) + middle
    return middle


def nearest_indices(
    rule: AxisRule, size: int, result: int, scale: float, roi: tuple[float, float] = (0.0, 1.0)
) -> Array:
    """The input position that each output copies; int64 [result]."""
    # Ties decide here: single precision, as runtimes compute it, after a double that hides the formula's own error.
    where = source_coordinates(rule, size, result, scale, roi).astype(np.float32)
    if rule.nearest == "floor":
        chosen = np.floor(where)
    elif rule.nearest == "ceil":
        chosen = np.ceil(where)
    elif rule.nearest == "round_prefer_ceil":
        chosen = np.floor(where + np.float32(0.5))
    else:
        chosen = np.ceil(where - np.float32(0.5))
    return np.clip(chosen, 0, size - 1).astype(np.int64)


def axis_matrix(rule: AxisRule, size: int, result: int, scale: float, roi: tuple[float, float]) -> Array:
    """Weights [result, size + 1], float64. The last column is 1 where the output lies outside the crop."""
    matrix = np.zeros((result, size + 1))
    where = source_coordinates(rule, size, result, scale, roi)
    if rule.mode == "nearest":
        matrix[np.arange(result), nearest_indices(rule, size, result, scale, roi)] = 1
    else:
        for row, coordinate in enumerate(where):
            places, weights = _taps(rule, float(coordinate), scale)
            if rule.exclude_outside:
                weights = np.where((places >= 0) & (places < size), weights, 0)
                weights = weights / weights.sum()
            np.add.at(matrix[row], np.clip(places, 0, size - 1), weights)
    if rule.coordinates == "tf_crop_and_resize":
        outside = (where < 0) | (where > size - 1)
        matrix[outside] = 0
        matrix[outside, -1] = 1
    return matrix


def _taps(rule: AxisRule, coordinate: float, scale: float) -> tuple[Array, Array]:
    """Input positions and weights of one output. Shrinking with antialias widens the filter by 1 / scale."""
    stretch = min(scale, 1.0) if rule.antialias else 1.0
    radius = 1 if rule.mode == "linear" else 2
    base = math.floor(coordinate)
    span = math.ceil(radius / stretch)
    places = np.arange(base - span + 1, base + span + 1)
    distance = np.abs(places - coordinate) * stretch
    weights = np.clip(1 - distance, 0, 1) if rule.mode == "linear" else _keys(distance, rule.cubic)
    return places, weights / weights.sum() if rule.antialias else weights


def _keys(distance: Array, a: float) -> Array:
    """Cubic convolution kernel (Keys, 1981)."""
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
