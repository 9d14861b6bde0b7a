"""Variants of models and their artifacts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import sqlalchemy as sa

from edgewright.core.names import SEPARATOR, check_name, unknown_name
from edgewright.store.database import Database
from edgewright.store.records import VariantArtifact, VariantRecord
from edgewright.store.rows import Clock, names, record_of, values_of
from edgewright.store.schema import deployments, models, variant_artifacts, variants
from edgewright_contract.errors import EdgewrightError, ErrorCode


class Variants:
    """Adds, finds and removes `VariantRecord`s; one per (model, name, target)."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(self, record: VariantRecord) -> VariantRecord:
        """Stores a variant with its artifacts, in place of the one with the same model, name and target.

        Raises NAME_INVALID, MODEL_UNKNOWN.
        """
        check_name(record.name, "variant")
        record = replace(record, created=record.created or self._clock())
        with self._database.write() as connection:
            known = names(connection, models)
            if record.model not in known:
                raise unknown_name(ErrorCode.MODEL_UNKNOWN, "model", record.model, known, "edgewright model list")
            connection.execute(variants.delete().where(_is(record.model, record.name, record.target)))
            added = connection.execute(
                variants.insert().values(values_of(record, leave_out=("artifacts",))).returning(variants.c.id)
            ).scalar_one()
            if record.artifacts:
                connection.execute(
                    variant_artifacts.insert(),
                    [{"variant_id": added, **values_of(item)} for item in record.artifacts],
                )
        return record

    def find(self, model: str, name: str, target: str) -> VariantRecord | None:
        """The variant made for exactly this target, or None."""
        found = self._select(_is(model, name, target))
        return found[0] if found else None

    def get(self, model: str, name: str, target: str | None = None) -> VariantRecord:
        """The variant for `target`, or the newest one where no target is given. Raises VARIANT_UNKNOWN."""
        found = self._select(_is(model, name, target))
        if not found:
            raise self._unknown(model, name, target)
        return max(found, key=lambda record: record.created)

    def list(self, model: str | None = None, name: str | None = None) -> tuple[VariantRecord, ...]:
        """Variants by model, then in the order they were made."""
        conditions = sa.true() if model is None else variants.c.model == model
        if name is not None:
            conditions = sa.and_(conditions, variants.c.name == name)
        return self._select(conditions)

    def remove(self, model: str, name: str, target: str | None = None) -> int:
        """Removes a variant for one target or for all; gives how many.

        Raises VARIANT_UNKNOWN, or MODEL_IN_USE while it is active on a device.
        """
        label = f"{model}{SEPARATOR}{name}"
        with self._database.write() as connection:
            active = connection.scalar(
                sa.select(deployments.c.device).where(deployments.c.active, deployments.c.variant == label).limit(1)
            )
            if active is not None:
                raise EdgewrightError(
                    ErrorCode.MODEL_IN_USE,
                    f"{label} is active on device {active}",
                    "Push another variant there or remove the device first.",
                )
            removed = connection.execute(variants.delete().where(_is(model, name, target))).rowcount
        if not removed:
            raise self._unknown(model, name, target)
        return removed

    def _select(self, condition: sa.ColumnElement[bool]) -> tuple[VariantRecord, ...]:
        order = (variants.c.model, variants.c.created, variants.c.id)
        with self._database.read() as connection:
            rows = connection.execute(variants.select().where(condition).order_by(*order)).all()
            files = defaultdict(list)
            chosen = sa.select(variants.c.id).where(condition)
            for row in connection.execute(
                variant_artifacts.select()
                .where(variant_artifacts.c.variant_id.in_(chosen))
                .order_by(variant_artifacts.c.id)
            ):
                files[row.variant_id].append(record_of(VariantArtifact, row))
        return tuple(record_of(VariantRecord, row, artifacts=tuple(files[row.id])) for row in rows)

    def _unknown(self, model: str, name: str, target: str | None) -> EdgewrightError:
        with self._database.read() as connection:
            known_models = names(connection, models)
        if model not in known_models:
            return unknown_name(ErrorCode.MODEL_UNKNOWN, "model", model, known_models, "edgewright model list")
        others = self.list(model)
        targets = sorted({record.target for record in others if record.name == name})
        if target is not None and targets:
            return EdgewrightError(
                ErrorCode.VARIANT_UNKNOWN,
                f"{model}{SEPARATOR}{name} was not made for target {target!r}, only for {', '.join(targets)}",
                f"`edgewright compress {model} --target {target}` makes it.",
            )
        labels = {record.label for record in others}
        return unknown_name(
            ErrorCode.VARIANT_UNKNOWN,
            "variant",
            f"{model}{SEPARATOR}{name}",
            labels,
            "edgewright variant list",
        )


def _is(model: str, name: str, target: str | None) -> sa.ColumnElement[bool]:
    condition = sa.and_(variants.c.model == model, variants.c.name == name)
    return condition if target is None else sa.and_(condition, variants.c.target == target)
