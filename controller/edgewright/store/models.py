"""Imported models."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from edgewright.core.names import SEPARATOR, check_name, unknown_name
from edgewright.store.database import Database
from edgewright.store.records import ModelRecord
from edgewright.store.rows import Clock, names, record_of, values_of
from edgewright.store.schema import bench_results, deployments, eval_results, models
from edgewright_contract.errors import EdgewrightError, ErrorCode


class Models:
    """Adds, finds and removes `ModelRecord`s."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, record: ModelRecord) -> ModelRecord:
        """Stores a new model. Raises NAME_INVALID, MODEL_EXISTS."""
        check_name(record.name, "model")
        record = replace(record, created=record.created or self._clock())
        with self._database.write() as connection:
            if record.name in names(connection, models):
                raise EdgewrightError(
                    ErrorCode.MODEL_EXISTS,
                    f"a model named {record.name!r} is already there",
                    f"Choose another name, or `edgewright model remove {record.name}` first.",
                )
            connection.execute(models.insert().values(values_of(record)))
        return record

    def update(self, record: ModelRecord) -> ModelRecord:
        """Replaces what is stored under the record's name. Raises MODEL_UNKNOWN."""
        record = replace(record, created=record.created or self._clock())
        with self._database.write() as connection:
            changed = connection.execute(models.update().where(models.c.name == record.name).values(values_of(record)))
            if not changed.rowcount:
                raise self._unknown(connection, record.name)
        return record

    def get(self, name: str) -> ModelRecord:
        """Raises MODEL_UNKNOWN."""
        with self._database.read() as connection:
            row = connection.execute(models.select().where(models.c.name == name)).first()
            if row is None:
                raise self._unknown(connection, name)
            return record_of(ModelRecord, row)

    def find(self, name: str) -> ModelRecord | None:
        """The model, or None where there is none of that name."""
        with self._database.read() as connection:
            row = connection.execute(models.select().where(models.c.name == name)).first()
            return None if row is None else record_of(ModelRecord, row)

    def list(self) -> tuple[ModelRecord, ...]:
        with self._database.read() as connection:
            rows = connection.execute(models.select().order_by(models.c.name))
            return tuple(record_of(ModelRecord, row) for row in rows)

    def remove(self, name: str) -> None:
        """Removes a model, its variants and its results; files stay until a sweep.

        Raises MODEL_UNKNOWN, or MODEL_IN_USE while a variant of it is active on a device.
        """
        prefix = f"{name}{SEPARATOR}"
        with self._database.write() as connection:
            if name not in names(connection, models):
                raise self._unknown(connection, name)
            active = connection.execute(
                sa.select(deployments.c.variant, deployments.c.device, deployments.c.slot)
                .where(deployments.c.active, deployments.c.variant.startswith(prefix, autoescape=True))
                .limit(1)
            ).first()
            if active is not None:
                raise EdgewrightError(
                    ErrorCode.MODEL_IN_USE,
                    f"{active.variant} is active on device {active.device}, slot {active.slot}",
                    "Push another variant there or remove the device first.",
                )
            for results in (bench_results, eval_results):
                connection.execute(results.delete().where(results.c.variant.startswith(prefix, autoescape=True)))
            connection.execute(models.delete().where(models.c.name == name))

    def _unknown(self, connection: sa.Connection, name: str) -> EdgewrightError:
        return unknown_name(ErrorCode.MODEL_UNKNOWN, "model", name, names(connection, models), "edgewright model list")
