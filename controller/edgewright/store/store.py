"""Everything a home folder holds, behind one object."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import sqlalchemy as sa

from edgewright.store.artifacts import Artifacts
from edgewright.store.database import Database, sqlite_url
from edgewright.store.datasets import Datasets
from edgewright.store.devices import Devices
from edgewright.store.failures import translated_files
from edgewright.store.locks import FileLocks
from edgewright.store.models import Models
from edgewright.store.results import Results
from edgewright.store.rows import Clock, utc_now
from edgewright.store.schema import (
    bench_results,
    datasets,
    eval_results,
    models,
    pushes,
    variant_artifacts,
)
from edgewright.store.variants import Variants

DATABASE_FILE = "edgewright.db"


class Store:
    """Models, data sets, variants, devices, results and files of one home folder.

    Use as a context manager; several processes may have the same home open.
    """

    def __init__(self, home: Path, url: str, clock: Clock) -> None:
        self.home = home
        self._locks = FileLocks(home / "locks")
        self._database = Database(url, self._locks)
        self.artifacts = Artifacts(home / "artifacts")
        self.datasets = Datasets(self._database, self.artifacts, clock)
        self.models = Models(self._database, clock)
        self.variants = Variants(self._database, clock)
        self.devices = Devices(self._database, clock)
        self.benchmarks = Results(self._database, bench_results, clock)
        self.evaluations = Results(self._database, eval_results, clock)

    @classmethod
    def open(cls, home: Path, *, url: str | None = None, clock: Clock = utc_now) -> Store:
        """Opens a home folder, making or migrating what is needed.

        `url` names another database, such as PostgreSQL's; files stay in `home`.
        Raises STORE_NEWER, STORE_FAILED, PERMISSION_DENIED, DISK_FULL.
        """
        home = home.expanduser().absolute()
        with translated_files(home):
            home.mkdir(parents=True, exist_ok=True)
        return cls(home, url or sqlite_url(home / DATABASE_FILE), clock)

    def work_lock(self, key: str, on_wait: Callable[[], None] | None = None) -> AbstractContextManager[None]:
        """Holds `key` against every other process with this home, so that the same work is done once.

        After the wait, look again whether the work is done. `on_wait` is called once when there is one.
        """
        return self._locks.hold(f"work:{key}", on_wait)

    def sweep(self, older_than_seconds: float = 24 * 3600.0) -> tuple[int, int]:
        """Deletes files that nothing refers to; gives (files, bytes) freed. Young files stay."""
        return self.artifacts.remove_unreferenced(self._referenced(), older_than_seconds)

    def _referenced(self) -> set[str]:
        columns = (
            datasets.c.samples_sha256,
            models.c.source_sha256,
            models.c.artifact_sha256,
            variant_artifacts.c.sha256,
            pushes.c.sha256,
            bench_results.c.evidence_sha256,
            bench_results.c.artifact_sha256,
            eval_results.c.evidence_sha256,
            eval_results.c.artifact_sha256,
        )
        with self._database.read() as connection:
            return {sha256 for column in columns for sha256 in connection.scalars(sa.select(column))}

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
