"""What one command line holds: the home folder, the printer and, once asked for, the services."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgewright.cli.terminal import Terminal

if TYPE_CHECKING:
    from edgewright.services.controller import Controller


@dataclass
class Session:
    home: Path
    terminal: Terminal
    _controller: Controller | None = field(default=None, repr=False)

    def controller(self) -> Controller:
        """The services over the home folder; loads the database layer on first use only."""
        if self._controller is None:
            from edgewright.wiring import open_controller

            self._controller = open_controller(self.home)
        return self._controller

    def close(self) -> None:
        if self._controller is not None:
            self._controller.close()
            self._controller = None


def session_of(context: typer.Context) -> Session:
    session = context.find_root().obj
    assert isinstance(session, Session)
    return session
