"""The one printer: data to stdout, everything else to stderr; `--json` puts exactly one document on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgewright_contract.errors import EdgewrightError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from edgewright.core.values import ProgressCallback, ProgressEvent

    StateCallback = Callable[[str, str], None]


@dataclass
class Terminal:
    """Where a command shows its result. `as_json` decides once for the whole process."""

    as_json: bool = False

    def document(self, data: dict[str, Any]) -> None:
        """The machine-readable answer; printed only with --json."""
        if self.as_json:
            sys.stdout.write(json.dumps(data, indent=2, allow_nan=False) + "\n")

    def line(self, text: str = "") -> None:
        """One line of the answer for people."""
        if not self.as_json:
            sys.stdout.write(text + "\n")

    def info(self, text: str) -> None:
        sys.stderr.write(text + "\n")

    def warning(self, text: str) -> None:
        sys.stderr.write(f"warning: {text}\n")

    def error(self, failure: EdgewrightError) -> None:
        if self.as_json:
            self.document(failure.as_json())
            return
        sys.stderr.write(f"error: {failure.message}\n")
        if failure.hint:
            sys.stderr.write(f"  next: {failure.hint}\n")
        sys.stderr.write(f"  code: {failure.code.value}\n")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
        """A table for people; numbers (a column starting with ">") align right."""
        if self.as_json:
            return
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
        for column in columns:
            table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        _console(stderr=False).print(table)

    @contextmanager
    def progress(self) -> Iterator[ProgressCallback]:
        """A progress display on stderr: bars on a terminal, plain lines elsewhere."""
        if sys.stderr.isatty():
            with _bars() as callback:
                yield callback
        else:
            yield _lines()

    @contextmanager
    def fleet(self, many: bool) -> Iterator[tuple[ProgressCallback, StateCallback | None]]:
        """A live table on stderr, one row a device and one for this machine (lines where stderr is no terminal); the
        usual progress, and None, for one device."""
        if not many:
            with self.progress() as progress:
                yield progress, None
        elif sys.stderr.isatty():
            with _live_table() as tell:
                yield _told(tell), tell
        else:
            tell = _state_lines()
            yield _told(tell), tell


def _told(tell: StateCallback) -> ProgressCallback:
    """Progress that belongs to no device, as the state of this machine."""

    def show(event: ProgressEvent) -> None:
        share = f" {100 * event.done // event.total} %" if event.total > 1 else ""
        tell("this machine", event.text + share)

    return show


@contextmanager
def _live_table() -> Iterator[StateCallback]:
    from threading import Lock

    from rich.box import SIMPLE_HEAD
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    states: dict[str, str] = {}
    lock = Lock()

    def table() -> Table:
        shown = Table("device", "state", box=SIMPLE_HEAD, pad_edge=False)
        with lock:
            for name in sorted(states):
                shown.add_row(Text(name), Text(states[name]))
        return shown

    def tell(name: str, state: str) -> None:
        with lock:
            states[name] = state

    with Live(get_renderable=table, console=_console(stderr=True), refresh_per_second=5):
        yield tell


def _state_lines() -> StateCallback:
    """A line where a device begins something else; percentages are left out."""
    last: dict[str, str] = {}

    def tell(name: str, state: str) -> None:
        words = state.split()
        short = " ".join(words[:-2]) if words[-1:] == ["%"] else state
        if last.get(name) != short:
            last[name] = short
            sys.stderr.write(f"{name}: {short}\n")
            sys.stderr.flush()

    return tell


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    # Redirected output has no width of its own: rows must not be folded at 80.
    return Console(stderr=stderr, width=None if stream.isatty() else 160, highlight=False)


@contextmanager
def _bars() -> Iterator[ProgressCallback]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console(stderr=True), transient=False) as progress:
        tasks: dict[str, TaskID] = {}

        def show(event: ProgressEvent) -> None:
            if event.text not in tasks:
                tasks[event.text] = progress.add_task(event.text, total=event.total or None)
            progress.update(tasks[event.text], completed=event.done, total=event.total or None)

        yield show


def _lines() -> ProgressCallback:
    """At most one line per stage every two seconds, so that logs stay short."""
    import time

    last: dict[str, float] = {}

    def show(event: ProgressEvent) -> None:
        now = time.monotonic()
        finished = event.total > 0 and event.done >= event.total
        if now - last.get(event.text, -10.0) < 2.0 and not finished:
            return
        last[event.text] = float("inf") if finished else now
        count = f" {event.done}/{event.total}" if event.total else ""
        sys.stderr.write(f"{event.text}{count}\n")
        sys.stderr.flush()

    return show
