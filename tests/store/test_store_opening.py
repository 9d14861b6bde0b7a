"""Opening a home: made when absent, migrated, refused when it cannot be trusted."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from store_examples import a_model

from edgewright.store.database import sqlite_url
from edgewright.store.migrations.runner import known_revisions
from edgewright.store.schema import REVISION, metadata
from edgewright.store.store import DATABASE_FILE, Store
from edgewright_contract.errors import EdgewrightError, ErrorCode


def test_migrations_make_the_schema(store: Store, home: Path) -> None:
    """The tables that migrations made and the tables the code speaks of are the same."""
    engine = sa.create_engine(sqlite_url(home / DATABASE_FILE))
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert differences == []
    assert known_revisions()[0] == REVISION


def test_the_schema_is_valid_postgresql() -> None:
    """Every table can be said in PostgreSQL's words (compiled, not run)."""
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateTable

    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))


def test_pragmas_hold(store: Store, home: Path) -> None:
    """The file is in WAL mode and foreign keys are enforced on the store's own connections."""
    with store._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def test_a_newer_store_is_refused(home: Path) -> None:
    """A schema this program does not know is STORE_NEWER, and stays as it is."""
    Store.open(home).close()
    with sqlite3.connect(home / DATABASE_FILE) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(EdgewrightError) as caught:
        Store.open(home)

    assert caught.value.code is ErrorCode.STORE_NEWER
    assert "9999" in caught.value.message


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_database_is_named(home: Path, content: bytes) -> None:
    """A file that is no database is STORE_FAILED with the next step, and is not touched."""
    home.mkdir()
    (home / DATABASE_FILE).write_bytes(content)

    with pytest.raises(EdgewrightError) as caught:
        Store.open(home)

    assert caught.value.code is ErrorCode.STORE_FAILED
    assert "backup" in caught.value.hint
    assert (home / DATABASE_FILE).read_bytes() == content


def test_a_home_that_is_a_file_is_named(tmp_path: Path) -> None:
    """A file where the folder should be is STORE_FAILED."""
    (tmp_path / "home").write_text("x")

    with pytest.raises(EdgewrightError) as caught:
        Store.open(tmp_path / "home")

    assert caught.value.code is ErrorCode.STORE_FAILED


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_without_permission_is_named(tmp_path: Path) -> None:
    """A folder that cannot be made is PERMISSION_DENIED."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(EdgewrightError) as caught:
            Store.open(tmp_path / "home")
    finally:
        tmp_path.chmod(0o700)
    assert caught.value.code is ErrorCode.PERMISSION_DENIED


def test_a_full_disk_undoes_the_transaction(store: Store, home: Path) -> None:
    """SQLite's own "full" (here from a page limit) is DISK_FULL, and nothing of the record is there."""
    limit = "PRAGMA max_page_count = 60"

    @sa.event.listens_for(store._database._engine, "begin")
    def _limit(connection: sa.Connection) -> None:
        connection.exec_driver_sql(limit)

    added = 0

    def fill() -> None:
        nonlocal added
        while store.models.add(a_model(f"m{added}")):
            added += 1

    with pytest.raises(EdgewrightError) as caught:
        fill()
    assert caught.value.code is ErrorCode.DISK_FULL

    limit = "PRAGMA max_page_count = 1000000"
    assert len(store.models.list()) == added > 0
    store.models.add(a_model("fits"))


def test_a_full_disk_on_the_first_opening(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSPC while the folder is made is DISK_FULL."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(EdgewrightError) as caught:
        Store.open(home)
    assert caught.value.code is ErrorCode.DISK_FULL
