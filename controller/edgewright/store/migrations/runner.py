"""Runs alembic from inside the program: no ini file, no logging set-up."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def known_revisions() -> tuple[str, ...]:
    """Every schema this program can start from, newest first."""
    script = ScriptDirectory.from_config(_config())
    return tuple(item.revision for item in script.walk_revisions())


def upgrade(connection: sa.Connection) -> None:
    """Brings the schema to the newest revision, inside the caller's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
