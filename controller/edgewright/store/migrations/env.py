"""Alembic's entry: the connection comes from runner.py."""

from __future__ import annotations

from alembic import context

from edgewright.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
