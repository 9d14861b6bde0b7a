"""Spec files: what is read, what is refused, and how a spec meets a graph."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.spec import (
    NAMED_SPECS,
    parse_spec,
    resolve_spec,
    spec_from_dict,
    spec_to_dict,
    spec_with_size,
)
from edgewright.core.values import Color, InputSpec, Interpolation, Layout, ModelSpec, OutputSpec, Resize
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import TensorSpec

WHOLE = """
[input]
size = [224, 192]
layout = "nhwc"
color = "bgr"
mean = [127.0, 127, 127.0]
std = 128
resize = "letterbox"
resize_size = 256
interpolation = "bicubic"
pad = 0
[output]
decoder = "probabilities"
first_class = 1
"""


def refusal(text: str) -> EdgewrightError:
    with pytest.raises(EdgewrightError) as caught:
        parse_spec(text, "my.toml")
    assert caught.value.code is ErrorCode.SPEC_INVALID
    return caught.value


def test_every_key_is_read() -> None:
    """A file with all keys gives a spec with all values."""
    assert parse_spec(WHOLE, "my.toml") == ModelSpec(
        InputSpec(
            size=(224, 192),
            layout=Layout.NHWC,
            color=Color.BGR,
            mean=(127.0, 127.0, 127.0),
            std=(128.0,),
            resize=Resize.LETTERBOX,
            resize_size=256,
            interpolation=Interpolation.BICUBIC,
            pad=0,
        ),
        OutputSpec("probabilities", 1),
    )


def test_an_empty_file_is_the_default() -> None:
    """All keys are optional."""
    assert parse_spec("", "my.toml") == ModelSpec()


@pytest.mark.parametrize("name", sorted(NAMED_SPECS))
def test_ready_specs_survive_being_written_down(name: str) -> None:
    """Each ready spec is valid as a file, and the same after a round trip."""
    assert spec_from_dict(spec_to_dict(NAMED_SPECS[name]), name) == resolve_spec(name) == NAMED_SPECS[name]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[input]\nsice = [1, 2]", "my.toml: unknown key input.sice; known: size, layout", "did you mean size?"),
        ("[inputs]", "my.toml: unknown key inputs; known: input, output", "did you mean input?"),
        ("input = 3", "my.toml: input is 3; allowed: a table [input]", ""),
        ("[input]\nsize = 224", "input.size is 224; allowed: [height, width]", ""),
        ("[input]\nsize = [0, 5]", "input.size is [0, 5]", ""),
        ("[input]\nsize = [true, 5]", "input.size is [True, 5]", ""),
        ('[input]\ncolor = "RGB"', 'input.color is \'RGB\'; allowed: "rgb", "bgr", "gray"', 'mean "rgb"?'),
        ('[input]\nresize = "crop"', "input.resize is 'crop'", ""),
        ("[input]\nmean = [1.0, 2.0]", "input.mean is [1.0, 2.0]; allowed: one value, or 3", ""),
        ('[input]\ncolor = "gray"\nstd = [2.0, 2.0, 2.0]', "or 1 as color is 'gray'", ""),
        ("[input]\nmean = [nan]", "input.mean is [nan]", ""),
        ("[input]\nstd = [0.229, 0.224, 0.225]", "input.std is [0.229, 0.224, 0.225]", "multiply"),
        ("[input]\nstd = 0", "input.std is 0", ""),
        ("[input]\npad = 256", "input.pad is 256; allowed: a whole number from 0 to 255", ""),
        ("[input]\nsize = [224, 300]\nresize_size = 200", "input.resize_size is 200; allowed: at least 224", ""),
        ('[output]\ndecoder = "yolo"', "output.decoder is 'yolo'; allowed: \"logits\"", ""),
        ("[output]\nfirst_class = 2", "output.first_class is 2", ""),
        ("[input\nsize", "my.toml is not TOML", "docs/specs.md"),
    ],
)
def test_wrong_files_are_refused_with_key_value_and_what_is_allowed(text: str, message: str, hint: str) -> None:
    """The message leads to the place; the hint to the next step."""
    error = refusal(text)

    assert message in error.message
    assert hint in error.hint
    assert error.hint


def test_an_unknown_ready_spec_gives_the_nearest_name() -> None:
    """A name that is neither a spec nor a text lists the known ones."""
    with pytest.raises(EdgewrightError) as caught:
        resolve_spec("efficientnet-lite")

    assert caught.value.code is ErrorCode.SPEC_INVALID
    assert caught.value.hint == "did you mean efficientnet_lite?"


KEYS = st.sampled_from(["size", "layout", "color", "mean", "std", "resize", "resize_size", "pad", "x", "decoder"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["rgb", "nchw"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=120))
def test_any_text_ends_in_a_spec_or_a_known_error(text: str) -> None:
    """No text leads to a traceback, neither as a file nor as a name."""
    for call in (lambda: parse_spec(text, "f"), lambda: resolve_spec(text)):
        with contextlib.suppress(EdgewrightError):
            call()


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["input", "output", "y"]), VALUES | st.dictionaries(KEYS, VALUES)))
def test_any_tables_end_in_a_spec_that_survives_a_round_trip_or_a_known_error(data: dict[str, object]) -> None:
    """Values of any type are judged, never passed on unchecked."""
    with contextlib.suppress(EdgewrightError):
        spec = spec_from_dict(data, "f")
        assert spec_from_dict(spec_to_dict(spec), "f") == spec


def tensor(*shape: int | str, dtype: str = "float32") -> TensorSpec:
    return TensorSpec("data", shape, dtype)


@pytest.mark.parametrize(
    ("spec", "shape", "size", "layout"),
    [
        (InputSpec(), ("n", 3, 224, 192), (224, 192), Layout.NCHW),
        (InputSpec(), (1, 224, 192, 3), (224, 192), Layout.NHWC),
        (InputSpec(size=(64, 32)), ("n", 3, "h", "w"), (64, 32), Layout.NCHW),
        (InputSpec(size=(64, 32), layout=Layout.NHWC), ("n", "a", "b", "c"), (64, 32), Layout.NHWC),
        (InputSpec(size=(64, 32)), (1, 3, 64, "w"), (64, 32), Layout.NCHW),
        (InputSpec(color=Color.GRAY), (1, 28, 28, 1), (28, 28), Layout.NHWC),
        (InputSpec(), (1, 3, 10, 3), (10, 3), Layout.NCHW),
    ],
)
def test_size_and_layout_come_from_the_graph(
    spec: InputSpec, shape: tuple[int | str, ...], size: tuple[int, int], layout: Layout
) -> None:
    """What the spec leaves open the graph says, and the other way round."""
    filled = spec_with_size(ModelSpec(spec), tensor(*shape)).input

    assert (filled.size, filled.layout) == (size, layout)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (InputSpec(), 256),
        (InputSpec(resize_size=224), 224),
        (InputSpec(resize=Resize.STRETCH), None),
    ],
)
def test_the_side_before_the_crop_is_made_explicit(spec: InputSpec, expected: int | None) -> None:
    """What is understood is shown as a number, where there is a crop."""
    assert spec_with_size(ModelSpec(spec), tensor(1, 3, 224, 224)).input.resize_size == expected


@pytest.mark.parametrize(
    ("spec", "given_tensor", "code", "words"),
    [
        (
            InputSpec(size=(224, 224)),
            tensor(1, 3, 192, 192),
            ErrorCode.SPEC_MISMATCH,
            ["input.size is 224x224", "takes 192x192"],
        ),
        (
            InputSpec(layout=Layout.NCHW),
            tensor(1, 224, 224, 3),
            ErrorCode.SPEC_MISMATCH,
            ["layout is 'nchw'", "1x224x224x3"],
        ),
        (InputSpec(), tensor(1, 1, 28, 28), ErrorCode.SPEC_MISMATCH, ["'rgb' gives 3 channels", "has 1"]),
        (InputSpec(), tensor(1, 3), ErrorCode.SPEC_MISMATCH, ["1x3", "4 axes"]),
        (InputSpec(), tensor(1, 3, "h", 5), ErrorCode.SPEC_INVALID, ["no input.size", "1x3xhx5"]),
        (InputSpec(mean=(1.0,)), tensor(1, 8, 8, 3, dtype="uint8"), ErrorCode.SPEC_MISMATCH, ["uint8"]),
        (InputSpec(resize_size=100), tensor(1, 3, 224, 224), ErrorCode.SPEC_MISMATCH, ["224x224", "100"]),
    ],
)
def test_contradictions_between_spec_and_graph_are_refused(
    spec: InputSpec, given_tensor: TensorSpec, code: ErrorCode, words: list[str]
) -> None:
    """Both sides of a contradiction are named, with the key to change."""
    with pytest.raises(EdgewrightError) as caught:
        spec_with_size(ModelSpec(spec), given_tensor)

    assert caught.value.code is code
    assert all(word in caught.value.message for word in words)
    assert "input." in caught.value.hint or "--task" in caught.value.hint
