"""A spec meets a graph: what the spec leaves open is read from the graph, and contradictions are refused."""

from __future__ import annotations

from dataclasses import replace

from edgewright.core.values import Color, InputSpec, Layout, ModelSpec, Resize
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import TensorSpec

# Axes of (channels, height, width).
_AXES = {Layout.NCHW: (1, 2, 3), Layout.NHWC: (3, 1, 2)}
_INTEGER_DTYPES = ("uint8", "int8")


def spec_with_size(spec: ModelSpec, inputs: TensorSpec) -> ModelSpec:
    """`spec` with size and layout filled in from the graph's image input, and the side before the crop.

    Raises SPEC_MISMATCH when spec and graph contradict one another (both are named), and SPEC_INVALID when
    neither says the size.
    """
    if len(inputs.shape) != 4:
        raise _mismatch(
            f"input {inputs.name!r} has shape {_text(inputs)}; an image input has 4 axes",
            "add the model with --task tensor",
        )
    layout = spec.input.layout or _layout_of(inputs, spec.input)
    _check_channels(spec.input, inputs, layout)
    size = _size_of(spec.input, inputs, layout)
    if inputs.dtype in _INTEGER_DTYPES and (spec.input.mean or spec.input.std):
        raise _mismatch(
            f"the network's input is {inputs.dtype}: pixels go in as they are, mean and std have no use",
            'leave input.mean and input.std out, or use a ready spec such as "tf_mobilenet_quant"',
        )
    if spec.input.resize_size is not None and spec.input.resize_size < min(size):
        raise _mismatch(
            f"the network takes {_sides(size)}, larger than input.resize_size {spec.input.resize_size}",
            f"set input.resize_size to {min(size)} or more, or leave it out",
        )
    before_crop = spec.input.resize_size
    if before_crop is None and spec.input.resize is Resize.SHORTER_SIDE:
        before_crop = default_resize_size(size)
    return replace(spec, input=replace(spec.input, size=size, layout=layout, resize_size=before_crop))


def default_resize_size(size: tuple[int, int]) -> int:
    """The shorter side before a crop of `size`, as 256 is for 224."""
    return round(min(size) * 256 / 224)


def _layout_of(inputs: TensorSpec, spec: InputSpec) -> Layout:
    """The axis with as many channels as the colour has; the first is the custom where both or none fit."""
    channels = _channels(spec)
    fits = [layout for layout, axes in _AXES.items() if inputs.shape[axes[0]] == channels]
    return fits[0] if fits else Layout.NCHW


def _check_channels(spec: InputSpec, inputs: TensorSpec, layout: Layout) -> None:
    wanted, found = _channels(spec), inputs.shape[_AXES[layout][0]]
    if isinstance(found, str) or found == wanted:
        return
    other = Layout.NHWC if layout is Layout.NCHW else Layout.NCHW
    if spec.layout is not None and inputs.shape[_AXES[other][0]] == wanted:
        raise _mismatch(
            f"input.layout is {layout.value!r}, but the shape of the network's input {inputs.name!r} is "
            f"{_text(inputs)}",
            f'set input.layout to "{other.value}", or leave it out',
        )
    hint = 'set input.color to "gray"' if found == 1 else 'set input.color to "rgb" or "bgr"'
    raise _mismatch(
        f"input.color {spec.color.value!r} gives {wanted} channels, but the network's input {inputs.name!r} "
        f"has {found} (shape {_text(inputs)}, {layout.value})",
        hint if found in (1, 3) else "only networks that take images of 1 or 3 channels have this task",
    )


def _size_of(spec: InputSpec, inputs: TensorSpec, layout: Layout) -> tuple[int, int]:
    _, height_axis, width_axis = _AXES[layout]
    sides: list[int] = []
    for position, axis in enumerate((height_axis, width_axis)):
        found = inputs.shape[axis]
        if isinstance(found, int) and found > 0:
            sides.append(found)
        elif spec.size is not None:
            sides.append(spec.size[position])
        else:
            raise EdgewrightError(
                ErrorCode.SPEC_INVALID,
                f"the network takes images of any size (input {inputs.name!r}, shape {_text(inputs)}) "
                "and the spec has no input.size",
                "set input.size = [height, width] in the spec file",
            )
    size = (sides[0], sides[1])
    if spec.size is not None and spec.size != size:
        raise _mismatch(
            f"input.size is {_sides(spec.size)}, but the network takes {_sides(size)} "
            f"(input {inputs.name!r}, shape {_text(inputs)})",
            f"set input.size to [{size[0]}, {size[1]}], or leave it out",
        )
    return size


def _channels(spec: InputSpec) -> int:
    return 1 if spec.color is Color.GRAY else 3


def _text(inputs: TensorSpec) -> str:
    return "x".join(str(dimension) for dimension in inputs.shape)


def _sides(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} (height x width)"


def _mismatch(message: str, hint: str) -> EdgewrightError:
    return EdgewrightError(ErrorCode.SPEC_MISMATCH, message, hint)
