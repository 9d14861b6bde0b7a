"""Results of benchmarks and evaluations: summaries, with the artifact that holds their raw data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import sqlalchemy as sa

from edgewright.core.names import SEPARATOR
from edgewright.store.database import Database
from edgewright.store.records import ResultRecord
from edgewright.store.rows import Clock, record_of, values_of
from edgewright_contract.errors import EdgewrightError, ErrorCode


class Results:
    """Adds and lists `ResultRecord`s of one kind."""

    def __init__(self, database: Database, table: sa.Table, clock: Clock) -> None:
        self._database = database
        self._table = table
        self._clock = clock

    def add(self, records: Iterable[ResultRecord]) -> tuple[ResultRecord, ...]:
        """Stores the results of one run: all of them or none."""
        now = self._clock()
        stamped = tuple(replace(record, created=record.created or now) for record in records)
        if stamped:
            with self._database.write() as connection:
                return tuple(self._insert(connection, record) for record in stamped)
        return ()

    def get(self, number: int) -> ResultRecord:
        """One result by its number. Raises RESULT_UNKNOWN."""
        with self._database.read() as connection:
            row = connection.execute(self._table.select().where(self._table.c.id == number)).first()
        if row is None:
            raise EdgewrightError(
                ErrorCode.RESULT_UNKNOWN,
                f"no result has the number {number}",
                "`edgewright result list` shows them all.",
            )
        return record_of(ResultRecord, row)

    def list(
        self,
        *,
        model: str | None = None,
        variant: str | None = None,
        run_id: str | None = None,
        device: str | None = None,
    ) -> tuple[ResultRecord, ...]:
        """Results, oldest first."""
        table = self._table
        query = table.select().order_by(table.c.id)
        if model is not None:
            query = query.where(table.c.variant.startswith(f"{model}{SEPARATOR}", autoescape=True))
        if variant is not None:
            query = query.where(table.c.variant == variant)
        if run_id is not None:
            query = query.where(table.c.run_id == run_id)
        if device is not None:
            query = query.where(table.c.device == device)
        with self._database.read() as connection:
            return tuple(record_of(ResultRecord, row) for row in connection.execute(query))

    def latest(self, model: str) -> tuple[ResultRecord, ...]:
        """The newest result of each (variant, device) of a model, in the order they were made."""
        newest = {(record.variant, record.device): record for record in self.list(model=model)}
        return tuple(sorted(newest.values(), key=lambda record: record.created))

    def _insert(self, connection: sa.Connection, record: ResultRecord) -> ResultRecord:
        added = connection.execute(self._table.insert().values(values_of(record, ("id",)))).inserted_primary_key
        return replace(record, id=added[0] if added else 0)
