"""Paired devices, what was pushed to them and what is active there."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from edgewright.core.names import check_name, unknown_name
from edgewright.store.database import Database
from edgewright.store.records import DeploymentRecord, DeviceRecord, JsonObject, PushRecord
from edgewright.store.rows import Clock, names, record_of, values_of
from edgewright.store.schema import deployments, devices, pushes
from edgewright_contract.errors import EdgewrightError, ErrorCode


class Devices:
    """Adds, finds and removes `DeviceRecord`s."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, record: DeviceRecord) -> DeviceRecord:
        """Stores a new device. Raises NAME_INVALID, DEVICE_EXISTS."""
        check_name(record.name, "device")
        now = self._clock()
        record = replace(record, added=record.added or now, last_seen=record.last_seen or now)
        with self._database.write() as connection:
            if record.name in names(connection, devices):
                raise EdgewrightError(
                    ErrorCode.DEVICE_EXISTS,
                    f"a device named {record.name!r} is already there",
                    f"Choose another name, or `edgewright device remove {record.name}` first.",
                )
            connection.execute(devices.insert().values(values_of(record)))
        return record

    def seen(self, name: str, facts: JsonObject, target: str) -> DeviceRecord:
        """Stores fresh facts of a device that just answered. Raises DEVICE_UNKNOWN."""
        with self._database.write() as connection:
            changed = connection.execute(
                devices.update()
                .where(devices.c.name == name)
                .values(facts=facts, target=target, last_seen=self._clock())
            )
            if not changed.rowcount:
                raise self._unknown(connection, name)
        return self.get(name)

    def set_tags(self, name: str, tags: tuple[str, ...]) -> DeviceRecord:
        """Replaces a device's tags. Raises DEVICE_UNKNOWN."""
        with self._database.write() as connection:
            changed = connection.execute(devices.update().where(devices.c.name == name).values(tags=tags))
            if not changed.rowcount:
                raise self._unknown(connection, name)
        return self.get(name)

    def update(self, record: DeviceRecord) -> DeviceRecord:
        """Replaces what is stored under the record's name, such as its address. Raises DEVICE_UNKNOWN."""
        with self._database.write() as connection:
            changed = connection.execute(
                devices.update().where(devices.c.name == record.name).values(values_of(record))
            )
            if not changed.rowcount:
                raise self._unknown(connection, record.name)
        return record

    def get(self, name: str) -> DeviceRecord:
        """Raises DEVICE_UNKNOWN."""
        with self._database.read() as connection:
            row = connection.execute(devices.select().where(devices.c.name == name)).first()
            if row is None:
                raise self._unknown(connection, name)
            return record_of(DeviceRecord, row)

    def find(self, name: str) -> DeviceRecord | None:
        """The device, or None where there is none of that name."""
        with self._database.read() as connection:
            row = connection.execute(devices.select().where(devices.c.name == name)).first()
            return None if row is None else record_of(DeviceRecord, row)

    def list(self) -> tuple[DeviceRecord, ...]:
        with self._database.read() as connection:
            rows = connection.execute(devices.select().order_by(devices.c.name))
            return tuple(record_of(DeviceRecord, row) for row in rows)

    def remove(self, name: str) -> None:
        """Forgets a device, its pushes and deployments; its results stay. Raises DEVICE_UNKNOWN."""
        with self._database.write() as connection:
            removed = connection.execute(devices.delete().where(devices.c.name == name))
            if not removed.rowcount:
                raise self._unknown(connection, name)

    def add_push(self, record: PushRecord) -> PushRecord:
        """Notes a finished transfer. Raises DEVICE_UNKNOWN."""
        record = replace(record, created=record.created or self._clock())
        with self._database.write() as connection:
            self._check(connection, record.device)
            connection.execute(pushes.insert().values(values_of(record)))
        return record

    def list_pushes(self, device: str | None = None) -> tuple[PushRecord, ...]:
        """Transfers, oldest first."""
        query = pushes.select().order_by(pushes.c.id)
        if device is not None:
            query = query.where(pushes.c.device == device)
        with self._database.read() as connection:
            return tuple(record_of(PushRecord, row) for row in connection.execute(query))

    def add_deployment(self, record: DeploymentRecord) -> DeploymentRecord:
        """Notes what a slot now runs; the one before is kept, no longer active. Raises DEVICE_UNKNOWN."""
        record = replace(record, created=record.created or self._clock())
        with self._database.write() as connection:
            self._check(connection, record.device)
            if record.active:
                connection.execute(
                    deployments.update()
                    .where(deployments.c.device == record.device, deployments.c.slot == record.slot)
                    .values(active=False)
                )
            connection.execute(deployments.insert().values(values_of(record)))
        return record

    def list_deployments(self, device: str | None = None, *, active_only: bool = False) -> tuple[DeploymentRecord, ...]:
        """Deployments, oldest first."""
        query = deployments.select().order_by(deployments.c.id)
        if device is not None:
            query = query.where(deployments.c.device == device)
        if active_only:
            query = query.where(deployments.c.active)
        with self._database.read() as connection:
            return tuple(record_of(DeploymentRecord, row) for row in connection.execute(query))

    def _check(self, connection: sa.Connection, name: str) -> None:
        if name not in names(connection, devices):
            raise self._unknown(connection, name)

    def _unknown(self, connection: sa.Connection, name: str) -> EdgewrightError:
        return unknown_name(
            ErrorCode.DEVICE_UNKNOWN, "device", name, names(connection, devices), "edgewright device list"
        )
