"""Registered data sets. The list of samples, which may be long, is an artifact."""

from __future__ import annotations

import json
import zlib

import sqlalchemy as sa

from edgewright.core.names import check_name, unknown_name
from edgewright.core.values import Dataset, Sample, Skipped
from edgewright.store.artifacts import Artifacts
from edgewright.store.database import Database
from edgewright.store.records import DatasetRecord
from edgewright.store.rows import Clock, names, record_of, values_of
from edgewright.store.schema import datasets, models
from edgewright_contract.errors import EdgewrightError, ErrorCode


class Datasets:
    """Adds, finds and removes data sets."""

    def __init__(self, database: Database, artifacts: Artifacts, clock: Clock) -> None:
        self._database = database
        self._artifacts = artifacts
        self._clock = clock

    def add(self, dataset: Dataset) -> DatasetRecord:
        """Stores a new data set. Raises NAME_INVALID, DATASET_EXISTS."""
        check_name(dataset.name, "data set")
        record = self._record(dataset)
        samples_sha256, _ = self._artifacts.put_bytes(_pack(dataset))
        with self._database.write() as connection:
            if dataset.name in names(connection, datasets):
                raise EdgewrightError(
                    ErrorCode.DATASET_EXISTS,
                    f"a data set named {dataset.name!r} is already there",
                    f"Choose another name, or `edgewright dataset remove {dataset.name}` first.",
                )
            connection.execute(datasets.insert().values(samples_sha256=samples_sha256, **values_of(record)))
        return record

    def update(self, dataset: Dataset) -> DatasetRecord:
        """Replaces what is stored under the data set's name. Raises DATASET_UNKNOWN."""
        record = self._record(dataset)
        samples_sha256, _ = self._artifacts.put_bytes(_pack(dataset))
        with self._database.write() as connection:
            changed = connection.execute(
                datasets.update()
                .where(datasets.c.name == dataset.name)
                .values(samples_sha256=samples_sha256, **values_of(record))
            )
            if not changed.rowcount:
                raise self._unknown(connection, dataset.name)
        return record

    def get(self, name: str) -> Dataset:
        """The data set with all its samples. Raises DATASET_UNKNOWN, ARTIFACT_UNKNOWN, ARTIFACT_CORRUPT."""
        with self._database.read() as connection:
            row = connection.execute(datasets.select().where(datasets.c.name == name)).first()
            if row is None:
                raise self._unknown(connection, name)
        samples, skipped = _unpack(self._artifacts.read_bytes(row.samples_sha256))
        return Dataset(
            name=row.name,
            format=row.format,
            path=row.path,
            identity=row.identity,
            seed=row.seed,
            class_names=tuple(row.class_names),
            samples=samples,
            skipped=skipped,
        )

    def find(self, name: str) -> DatasetRecord | None:
        """The record without samples, or None where there is none of that name."""
        with self._database.read() as connection:
            row = connection.execute(datasets.select().where(datasets.c.name == name)).first()
            return None if row is None else record_of(DatasetRecord, row)

    def list(self) -> tuple[DatasetRecord, ...]:
        with self._database.read() as connection:
            rows = connection.execute(datasets.select().order_by(datasets.c.name))
            return tuple(record_of(DatasetRecord, row) for row in rows)

    def remove(self, name: str) -> None:
        """Forgets a data set; the images are untouched. Raises DATASET_UNKNOWN, DATASET_IN_USE."""
        with self._database.write() as connection:
            if name not in names(connection, datasets):
                raise self._unknown(connection, name)
            user = connection.scalar(sa.select(models.c.name).where(models.c.dataset == name).limit(1))
            if user is not None:
                raise EdgewrightError(
                    ErrorCode.DATASET_IN_USE,
                    f"model {user!r} uses data set {name!r}",
                    f"`edgewright model remove {user}` first.",
                )
            connection.execute(datasets.delete().where(datasets.c.name == name))

    def _record(self, dataset: Dataset) -> DatasetRecord:
        return DatasetRecord(
            name=dataset.name,
            format=dataset.format,
            path=dataset.path,
            identity=dataset.identity,
            seed=dataset.seed,
            class_names=dataset.class_names,
            sample_count=len(dataset.samples),
            skipped_count=len(dataset.skipped),
            created=self._clock(),
        )

    def _unknown(self, connection: sa.Connection, name: str) -> EdgewrightError:
        return unknown_name(
            ErrorCode.DATASET_UNKNOWN,
            "data set",
            name,
            names(connection, datasets),
            "edgewright dataset list",
        )


def _pack(dataset: Dataset) -> bytes:
    document = {
        "samples": [(sample.file, sample.sha256, sample.class_index) for sample in dataset.samples],
        "skipped": [(item.file, item.reason) for item in dataset.skipped],
    }
    # File names need not be valid UTF-8: ASCII escapes keep lone surrogates.
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode("ascii"), level=1)


def _unpack(data: bytes) -> tuple[tuple[Sample, ...], tuple[Skipped, ...]]:
    document = json.loads(zlib.decompress(data))
    samples = tuple(Sample(file, sha256, index) for file, sha256, index in document["samples"])
    return samples, tuple(Skipped(file, reason) for file, reason in document["skipped"])
