"""One engine, short transactions, migrations on open."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from edgewright.core.plain import to_plain
from edgewright.store.failures import database_error
from edgewright.store.locks import FileLocks
from edgewright.store.schema import REVISION
from edgewright_contract.errors import EdgewrightError, ErrorCode

BUSY_SECONDS = 30.0
_IMMEDIATE = "edgewright_immediate"


class Database:
    """The database of a store, brought to this program's schema.

    Raises STORE_NEWER when a newer program has been here, STORE_FAILED when it is damaged.
    """

    def __init__(self, url: str, locks: FileLocks) -> None:
        self._engine = sa.create_engine(url, json_serializer=_to_json)
        self.where = self._engine.url.database or url
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _configure_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        try:
            self._migrate(locks)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent view for the time of the block."""
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: committed when the block ends, undone when it raises."""
        with self._translated(), self._engine.connect() as plain:
            connection = plain.execution_options(**{_IMMEDIATE: True})
            with connection.begin():
                yield connection

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise  # repositories check names inside the same transaction: this one is a bug
        except DBAPIError as error:
            raise database_error(error, self.where) from error

    def _migrate(self, locks: FileLocks) -> None:
        if self._revision() == REVISION:
            return  # the usual case costs one SELECT and no import of alembic
        with locks.hold("migrate"):
            found = self._revision()
            if found == REVISION:
                return
            from edgewright.store.migrations.runner import known_revisions, upgrade

            if found is not None and found not in known_revisions():
                raise EdgewrightError(
                    ErrorCode.STORE_NEWER,
                    f"{self.where} has schema {found}, this program knows up to {REVISION}",
                    "Use the newer edgewright that made it, or another folder with --home.",
                )
            with self.write() as connection:
                upgrade(connection)

    def _revision(self) -> str | None:
        with self.read() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def sqlite_url(path: Path) -> str:
    return sa.URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def _to_json(value: Any) -> str:
    return json.dumps(to_plain(value), allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late: _begin_sqlite says it
    for pragma in (
        f"busy_timeout = {int(BUSY_SECONDS * 1000)}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer that begins as a reader may find its view outdated and fail; IMMEDIATE waits in line instead.
    immediate = connection.get_execution_options().get(_IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
