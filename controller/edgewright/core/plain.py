"""Records to JSON's plain types and back, led by the type hints of the records."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar, Union

JsonObject = Mapping[str, Any]
T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Dataclasses, enums, tuples and numpy scalars as dict, list, str, int, float, bool and None.

    JSON has no infinity and no NaN: they become None. Raises TypeError for anything else.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(to_plain(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item) for item in value]
    if hasattr(value, "tolist"):  # a numpy scalar or array
        return to_plain(value.tolist())
    raise TypeError(f"{type(value).__name__} has no plain form: {value!r}")


def from_plain(kind: type[T], data: Any) -> T:
    """Rebuilds a `kind` (a dataclass, enum, tuple, mapping or plain type) from what `to_plain` made of it.

    Unknown keys are ignored, so records written by a newer program stay readable.
    Raises TypeError, ValueError or KeyError where the data does not fit.
    """
    return typing.cast(T, _build(kind, data))


def _build(kind: Any, data: Any) -> Any:
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if kind is Any:
        return data
    if origin in (Union, types.UnionType):
        return _build_union(arguments, data)
    if origin in (tuple, list):
        if not isinstance(data, (list, tuple)):
            raise TypeError(f"expected a list, got {data!r}")
        if origin is list or (len(arguments) == 2 and arguments[1] is Ellipsis):
            return origin(_build(arguments[0], item) for item in data)
        if len(arguments) != len(data):
            raise ValueError(f"expected {len(arguments)} items, got {len(data)}")
        return tuple(_build(argument, item) for argument, item in zip(arguments, data, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return {_build(arguments[0], key): _build(arguments[1], item) for key, item in data.items()}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        known = {field.name for field in dataclasses.fields(kind)}
        return kind(**{key: _build(hints[key], item) for key, item in data.items() if key in known})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if kind in (str, int, float, bool) and type(data) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {data!r}")
    return data


def _build_union(arguments: tuple[Any, ...], data: Any) -> Any:
    if data is None and type(None) in arguments:
        return None
    exact = [argument for argument in arguments if argument is type(data)]
    for argument in exact or [argument for argument in arguments if argument is not type(None)]:
        try:
            return _build(argument, data)
        except (TypeError, ValueError, KeyError):
            continue
    raise TypeError(f"{data!r} fits none of {arguments}")
