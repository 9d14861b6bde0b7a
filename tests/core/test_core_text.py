"""Names, numbers as text, and records as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core import formatting
from edgewright.core.names import check_name, parse_variant, unknown_name
from edgewright.core.plain import from_plain, to_plain
from edgewright.core.values import Color, InputSpec, Interval, Layout, ModelSpec, OutputSpec, Resize
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import DeviceFacts, Reading, RuntimeFacts, TensorSpec


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0 ns"), (850, "850 ns"), (1234, "1.23 µs"), (45_600_000, "45.6 ms"), (3.2e9, "3.20 s")],
)
def test_durations(value: float | None, text: str) -> None:
    """The unit fits the value; three figures are shown."""
    assert formatting.duration(value) == text


def test_a_column_has_one_unit() -> None:
    """A column shares its unit, in which no value is so small that its figures are lost."""
    for values, texts in (
        ((1_200_000, 45_000_000, None), ["1.20 ms", "45.00 ms", "–"]),
        ((408_228, 1_348_190), ["0.408 ms", "1.348 ms"]),
        ((40_000, 1_348_190), ["40.0 µs", "1,348.2 µs"]),
        ((408_228,), ["408 µs"]),
    ):
        unit = formatting.duration_unit(values)
        assert [unit.text(value) for value in values] == texts


def test_sizes_counts_ratios() -> None:
    """Bytes are decimal, counts have letters, a speed-up shows its interval, points their sign."""
    assert formatting.size(5_400_000) == "5.40 MB"
    assert formatting.count(390_000_000) == "390 M"
    assert formatting.count(7) == "7"
    assert formatting.speedup({"value": 1.833, "low": 1.79, "high": 1.884}) == "1.83x (1.79 to 1.88)"
    assert formatting.percent(0.123) == "12.3 %"
    assert [formatting.points(value) for value in (0.2, -0.204, -0.001, None)] == ["+0.20", "-0.20", "0.00", "–"]


def test_variants_are_taken_apart() -> None:
    """MODEL@NAME and back."""
    name = parse_variant("lite0@acc1")
    assert (name.model, name.name, str(name)) == ("lite0", "acc1", "lite0@acc1")


@pytest.mark.parametrize("text", ["", "lite0", "@acc1", "lite0@", "a@b@c", "a b@c", "../x@y"])
def test_what_is_no_variant_is_refused(text: str) -> None:
    """Anything else is NAME_INVALID with the text in the message."""
    with pytest.raises(EdgewrightError) as caught:
        parse_variant(text)
    assert caught.value.code is ErrorCode.NAME_INVALID


@given(st.text(max_size=70))
def test_a_name_that_passes_is_safe(text: str) -> None:
    """Whatever passes has no separator of paths, variants or words, and does not look like an option."""
    try:
        check_name(text, "model")
    except EdgewrightError:
        return

    assert text.isascii()
    assert not set(text) & set("/\\@ \n\t:")
    assert text[0] not in "-."


def test_an_unknown_name_in_an_empty_store() -> None:
    """With nothing there, that is what is said."""
    error = unknown_name(ErrorCode.MODEL_UNKNOWN, "model", "x", [], "edgewright model list")
    assert "There is no model yet" in error.hint
    assert error.exit_status == 2


_texts = st.text(max_size=8)
_readings = st.builds(Reading, _texts, st.none() | st.floats(allow_nan=False, allow_infinity=False) | _texts)
_facts = st.builds(
    DeviceFacts,
    *([_texts] * 3),
    st.integers(0, 64),
    st.lists(_texts, max_size=3).map(tuple),
    st.integers(0, 2**40),
    *([_texts] * 4),
    st.lists(st.builds(RuntimeFacts, _texts, _texts, _texts, st.just(("onnx",))), max_size=2).map(tuple),
    st.lists(_readings, max_size=3).map(tuple),
    st.integers(0, 2**40),
    st.integers(0, 2**30),
)
_specs = st.builds(
    ModelSpec,
    st.builds(
        InputSpec,
        st.none() | st.tuples(st.integers(1, 999), st.integers(1, 999)),
        st.sampled_from(Layout),
        st.sampled_from(Color),
        st.lists(st.floats(0, 255), max_size=3).map(tuple),
        resize=st.sampled_from(Resize),
        resize_size=st.none() | st.integers(1, 999),
    ),
    st.builds(OutputSpec, _texts, st.integers(0, 1)),
)


@given(_facts, _specs)
def test_records_survive_json(facts: DeviceFacts, spec: ModelSpec) -> None:
    """Nested records, enums, tuples and unions come back equal from JSON text."""
    assert from_plain(DeviceFacts, json.loads(json.dumps(to_plain(facts)))) == facts
    assert from_plain(ModelSpec, json.loads(json.dumps(to_plain(spec)))) == spec


def test_plain_forms() -> None:
    """numpy scalars become Python's, what JSON lacks becomes None, unknown keys are ignored."""
    assert to_plain({"a": np.float32(0.5), "b": float("inf"), "c": np.arange(2), "d": np.float64("nan")}) == {
        "a": 0.5,
        "b": None,
        "c": [0, 1],
        "d": None,
    }
    assert from_plain(Interval, {"value": 1, "low": 0.5, "high": 2.0, "new": 3}) == Interval(1.0, 0.5, 2.0)
    assert from_plain(TensorSpec, {"name": "x", "shape": ["N", 3], "dtype": "float32"}).shape == ("N", 3)


def test_what_has_no_plain_form_is_refused() -> None:
    """An object nobody described is a TypeError, a value of the wrong kind too."""

    @dataclass
    class Odd:
        value: object

    with pytest.raises(TypeError, match="no plain form"):
        to_plain(Odd(object()))
    with pytest.raises(TypeError):
        from_plain(Interval, {"value": "x", "low": 0.0, "high": 1.0})
