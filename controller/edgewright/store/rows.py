"""Records to rows and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import sqlalchemy as sa

T = TypeVar("T")
Clock = Callable[[], str]  # now, UTC, ISO 8601


def utc_now() -> str:
    """Now, to the millisecond, so that text order is time order."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def values_of(record: Any, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """A record's fields by name; JSON columns take mappings and tuples as they are."""
    fields = (field.name for field in dataclasses.fields(record))
    return {name: getattr(record, name) for name in fields if name not in leave_out}


def record_of(kind: type[T], row: sa.Row[Any], **more: Any) -> T:
    """The record of a row; lists of JSON columns become tuples, columns it lacks are left out."""
    known = {field.name for field in dataclasses.fields(cast(Any, kind))}
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in row._mapping.items()
        if name in known
    }
    return kind(**{**values, **more})


def names(connection: sa.Connection, table: sa.Table) -> tuple[str, ...]:
    """Every name in a table."""
    return tuple(connection.scalars(sa.select(table.c.name)))
