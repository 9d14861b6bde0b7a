"""Telemetry during a job: about once a second, and only while nothing is being timed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable

from edgewright_agent.telemetry.sensors import Sensors
from edgewright_contract.values import JobPayload, Telemetry

INTERVAL_SECONDS = 1.0


class Monitor:
    """Emits Telemetry events; call it between blocks."""

    def __init__(self, sysroot: Path, emit: Callable[[JobPayload], None]) -> None:
        self._sensors = Sensors(sysroot)
        self._emit = emit
        self._last_ns = 0

    def read(self) -> None:
        """Emits the sensors' state now."""
        self._last_ns = time.monotonic_ns()
        self._emit(Telemetry(self._last_ns, self._sensors.read()))

    def read_if_due(self) -> None:
        """As `read`, unless it was read within the last second."""
        if time.monotonic_ns() - self._last_ns >= INTERVAL_SECONDS * 1e9:
            self.read()
