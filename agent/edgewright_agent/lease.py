"""One piece of work at a time may use the device: a measurement beside another one measures neither."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import Callable, Iterator

from edgewright_contract.errors import EdgewrightError, ErrorCode

PATIENCE_S = 60.0


class DeviceLease:
    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._holder = ""

    def wait_until_free(self, seconds: float) -> bool:
        """Whether nobody holds the device, after `seconds` at most."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._holder, seconds)

    @contextmanager
    def held(self, what: str, alive: Callable[[], bool], patience_s: float | None = None) -> Iterator[None]:
        """Wait for the device, then keep it while inside.

        Raises DEVICE_BUSY when `patience_s` (None: a minute) has passed, CANCELLED when `alive` turns false.
        """
        until = time.monotonic() + (self._patience_s if patience_s is None else patience_s)
        with self._changed:
            while self._holder:
                if not alive():
                    raise EdgewrightError(ErrorCode.CANCELLED, f"the {what} was given up while it waited")
                if time.monotonic() > until:
                    raise EdgewrightError(
                        ErrorCode.DEVICE_BUSY,
                        f"the device is busy with the {self._holder}",
                        "wait for it, or stop it",
                    )
                self._changed.wait(0.2)
            self._holder = what
        try:
            yield
        finally:
            with self._changed:
                self._holder = ""
                self._changed.notify_all()
