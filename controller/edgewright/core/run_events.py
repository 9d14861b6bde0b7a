"""A benchmark's events sorted by what they speak of: a candidate, or the machine as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright_contract.values import (
    Block,
    Ended,
    JobEvent,
    Loaded,
    Overhead,
    Reading,
    Telemetry,
    WorkerClosed,
)

_WATCHED = ("cpu_frequency", "temperature", "cpu_busy")  # sensors that verdicts rest on
_MINIMUM_READINGS = 3


@dataclass(frozen=True)
class CandidateRun:
    """What one candidate did; `blocks` has no warm-up and no empty ones, by process and index."""

    label: str
    loads: tuple[Loaded, ...]
    blocks: tuple[Block, ...]
    closes: tuple[WorkerClosed, ...]

    def samples(self) -> NDArray[np.float64]:
        """Every sample in time order of each process, ns, shape (n,)."""
        return np.array([sample for block in self.blocks for sample in block.samples_ns], dtype=np.float64)

    def processes(self) -> list[NDArray[np.float64]]:
        """The samples of each process in time order, ns."""
        by_process: dict[int, list[int]] = {}
        for block in self.blocks:
            by_process.setdefault(block.process, []).extend(block.samples_ns)
        return [np.array(samples, dtype=np.float64) for samples in by_process.values()]


@dataclass(frozen=True)
class MachineRun:
    """What the board did meanwhile; None: not known."""

    overhead: Overhead | None
    complete: bool
    frequency_change: float | None
    frequency_fall: float | None
    temperature: float | None
    temperature_rise: float | None
    other_load: float | None
    unavailable: tuple[str, ...]
    power_modes: int
    swap_growth: float | None


def candidate_runs(events: Sequence[JobEvent]) -> dict[str, CandidateRun]:
    """By label, in the order the labels appeared."""
    loads: dict[str, list[Loaded]] = {}
    blocks: dict[str, list[Block]] = {}
    closes: dict[str, list[WorkerClosed]] = {}
    for event in events:
        payload = event.payload
        if isinstance(payload, Loaded):
            loads.setdefault(payload.label, []).append(payload)
        elif isinstance(payload, Block):
            loads.setdefault(payload.label, [])
            if not payload.warmup and payload.samples_ns:
                blocks.setdefault(payload.label, []).append(payload)
        elif isinstance(payload, WorkerClosed):
            closes.setdefault(payload.label, []).append(payload)
    return {
        label: CandidateRun(
            label,
            tuple(found),
            tuple(sorted(blocks.get(label, []), key=lambda block: (block.process, block.index))),
            tuple(closes.get(label, [])),
        )
        for label, found in loads.items()
    }


def machine_run(events: Sequence[JobEvent]) -> MachineRun:
    """Telemetry, overhead and the end of a run."""
    telemetry = [event.payload for event in events if isinstance(event.payload, Telemetry)]
    blocks = [event.payload for event in events if isinstance(event.payload, Block)]
    overheads = [event.payload for event in events if isinstance(event.payload, Overhead)]
    endings = [event.payload for event in events if isinstance(event.payload, Ended)]
    cores = max((len(event.payload.cpus) for event in events if isinstance(event.payload, Loaded)), default=0)
    frequencies = _numbers(telemetry, "cpu_frequency")
    temperatures = _numbers(telemetry, "temperature")
    return MachineRun(
        overhead=overheads[-1] if overheads else None,
        complete=all(ending.state == "done" for ending in endings),
        frequency_change=_change(frequencies),
        frequency_fall=_fall(frequencies),
        temperature=max(temperatures, default=None),
        temperature_rise=_rise(temperatures),
        other_load=_other_load(_numbers(telemetry, "cpu_busy"), blocks, cores),
        unavailable=_unavailable(telemetry),
        power_modes=max(1, *(len(_texts(telemetry, name)) for name in ("power_mode", "governor"))),
        swap_growth=_growth(_numbers(telemetry, "swap_used")),
    )


def _numbers(telemetry: Sequence[Telemetry], name: str) -> list[float]:
    return [
        float(reading.value)
        for item in telemetry
        for reading in item.readings
        if reading.name == name and isinstance(reading.value, (int, float))
    ]


def _change(values: Sequence[float]) -> float | None:
    if len(values) < _MINIMUM_READINGS or max(values) <= 0:
        return None
    return 1 - min(values) / max(values)


def _fall(values: Sequence[float]) -> float | None:
    """How far the lowest tenth of the readings lies below the highest: single low readings do not count."""
    if len(values) < _MINIMUM_READINGS or max(values) <= 0:
        return None
    return 1 - float(np.quantile(values, 0.1)) / max(values)


def _rise(values: Sequence[float]) -> float | None:
    return None if len(values) < _MINIMUM_READINGS else max(values) - min(values)


def _growth(values: Sequence[float]) -> float | None:
    return None if len(values) < _MINIMUM_READINGS else max(values) - values[0]


def _texts(telemetry: Sequence[Telemetry], name: str) -> set[str]:
    readings = (reading for item in telemetry for reading in item.readings if reading.name == name)
    return {reading.value for reading in readings if isinstance(reading.value, str)}


def _other_load(busy_percent: Sequence[float], blocks: Sequence[Block], cores: int) -> float | None:
    """The share of the machine in use, less what the measured network used of it while it ran."""
    wall = sum(sum(block.samples_ns) for block in blocks)
    if len(busy_percent) < _MINIMUM_READINGS or not cores or not wall:
        return None
    own = sum(block.cpu_ns for block in blocks) / wall / cores
    return max(0.0, float(np.median(busy_percent)) / 100 - own)


def _unavailable(telemetry: Sequence[Telemetry]) -> tuple[str, ...]:
    """Watched sensors that never gave a number, each with its last reason."""
    reasons: dict[str, Reading] = {}
    for item in telemetry:
        for reading in item.readings:
            if reading.name in _WATCHED:
                reasons[reading.name] = reading
    return tuple(
        f"{name}: {reading.unavailable or 'no number'}"
        for name, reading in reasons.items()
        if not _numbers(telemetry, name)
    )
