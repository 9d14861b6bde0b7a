"""Convolutions and pools of any geometry, against onnxruntime."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper

from edgewright.compress.executor.agreement import run_arrays
from edgewright.compress.executor.module import build_executor
from edgewright_contract.errors import EdgewrightError
from tests.executor.small import Array, by_runtime, floats, graph

small = st.integers(1, 3)


def _compare(node: Any, x: Array, constants: dict[str, Array], opset: int) -> None:
    """Equal to onnxruntime; geometries that onnxruntime refuses are no examples."""
    model = graph([node], {"x": x}, ["y"], constants, opset)
    with tempfile.TemporaryDirectory() as folder:
        try:
            (wanted,) = by_runtime(model, {"x": x}, Path(folder))
        except EdgewrightError:
            assume(False)
    assume(wanted.size > 0 and np.isfinite(wanted).all())
    (found,) = run_arrays(build_executor(model), {"x": x})
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@st.composite
def geometry(draw: st.DrawFn) -> dict[str, Any]:
    """Attributes of a window over two axes: explicit pads, or a rule."""
    kernel = [draw(small), draw(small)]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": [draw(small), draw(small)]}
    if draw(st.booleans()):
        attributes["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    else:
        attributes["pads"] = [draw(st.integers(0, kernel[axis % 2] - 1)) for axis in range(4)]
    return attributes


sizes = st.tuples(st.integers(3, 9), st.integers(3, 9))


@settings(max_examples=60, deadline=None)
@given(geometry(), sizes, st.sampled_from([(1, 4), (2, 4), (4, 4), (4, 8)]), st.booleans(), st.booleans())
def test_convolution(
    attributes: dict[str, Any], size: tuple[int, int], groups: tuple[int, int], dilated: bool, bias: bool
) -> None:
    """Pads of all kinds, strides, dilation, groups and bias."""
    group, out = groups
    if dilated and "auto_pad" not in attributes:
        attributes = {**attributes, "dilations": [2, 1]}
    constants = {"w": floats(out, 4 // group, *attributes["kernel_shape"], seed=1)}
    if bias:
        constants["b"] = floats(out, seed=2)
    node = helper.make_node("Conv", ["x", *constants], ["y"], group=group, **attributes)
    _compare(node, floats(2, 4, *size), constants, 17)


@settings(max_examples=60, deadline=None)
@given(geometry(), sizes, st.sampled_from([1, 2]), st.integers(0, 2), st.booleans())
def test_transposed_convolution(
    attributes: dict[str, Any], size: tuple[int, int], group: int, extra: int, bias: bool
) -> None:
    """Unequal pads, output padding up to the stride, groups and bias."""
    more = [min(extra, step - 1) for step in attributes["strides"]]
    constants = {"w": floats(4, 3, *attributes["kernel_shape"], seed=1)}
    if bias:
        constants["b"] = floats(3 * group, seed=2)
    if "auto_pad" not in attributes:
        attributes = {**attributes, "output_padding": more}
    assume(attributes.get("auto_pad", "VALID") == "VALID")
    node = helper.make_node("ConvTranspose", ["x", *constants], ["y"], group=group, **attributes)
    _compare(node, floats(2, 4, *size), constants, 17)


@settings(max_examples=80, deadline=None)
@given(geometry(), sizes, st.booleans(), st.booleans(), st.sampled_from(["MaxPool", "AveragePool"]))
def test_pool(attributes: dict[str, Any], size: tuple[int, int], ceil: bool, include: bool, operator: str) -> None:
    """Pools count the same windows and the same padding, rounded up or down."""
    attributes = dict(attributes)
    if "auto_pad" not in attributes:
        attributes["ceil_mode"] = int(ceil)
    else:  # where a stride exceeds the kernel, onnxruntime refuses some sizes and crops others
        assume(all(a <= b for a, b in zip(attributes["strides"], attributes["kernel_shape"], strict=True)))
    if operator == "AveragePool":
        attributes["count_include_pad"] = int(include)
    _compare(helper.make_node(operator, ["x"], ["y"], **attributes), floats(2, 3, *size), {}, 19)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["nearest", "linear", "cubic"]),
    st.sampled_from(["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]),
    st.sampled_from(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
    st.sampled_from([0.5, 0.75, 1.0, 1.5, 2.0, 3.0]),
    st.sampled_from([0.5, 1.0, 1.25, 2.0]),
    st.booleans(),
)
def test_resize(mode: str, coordinates: str, nearest: str, tall: float, wide: float, by_size: bool) -> None:
    """All modes and coordinate rules, by scales or by sizes."""
    x = floats(2, 3, 8, 6)
    scales = np.array([1, 1, tall, wide], np.float32)
    constants: dict[str, Array] = {"roi": np.zeros(0, np.float32), "scales": scales}
    names = ["x", "roi", "scales"]
    if by_size:
        constants = {"sizes": np.array([2, 3, int(8 * tall), int(6 * wide)], np.int64)}
        names = ["x", "", "", "sizes"]
    node = helper.make_node(
        "Resize", names, ["y"], mode=mode, coordinate_transformation_mode=coordinates, nearest_mode=nearest
    )
    _compare(node, x, constants, 13)
