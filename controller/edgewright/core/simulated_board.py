"""A virtual device with a scripted truth: the events an agent would send, from a seed. Part of the product's test kit.

What a script makes the board do (heat up, fall back to a slow core, lose a sensor) is known, so that every rule
of the measurement can be tried on it: same events, same `summarise`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgewright_contract.values import (
    Block,
    Ended,
    JobEvent,
    JobPayload,
    Loaded,
    Overhead,
    Reading,
    Telemetry,
    WorkerClosed,
)

CORES = 4
SENSORS = frozenset({"cpu_frequency", "temperature", "cpu_busy"})
_FULL_MHZ, _COOL_DEGC = 2000.0, 50.0


@dataclass(frozen=True)
class Script:
    """What happens; times are shares of the run, 0 .. 1, slow-downs factors of 1 and more; the default is quiet.

    `noise` is the deviation of a sample's logarithm, of which consecutive samples share so much that their
    correlation is `correlation`; `process_spread` that of a process's own level. `drift` slows the run down evenly by
    that factor, from its start to its end. A throttle lowers the clock at `throttle_at` while the chip heats up; with
    `heat` False it is a clock lowered by its governor. While a block runs on a little core, it is `little_core`
    times slower. Other programs take the CPU away for the share `load_share` of the time in some blocks.
    """

    noise: float = 0.01
    correlation: float = 0.5
    process_spread: float = 0.005
    outliers: float = 0.002  # share of samples that take 1.5 to 4 times as long
    drift: float = 1.0
    throttle_at: float | None = None
    throttle: float = 1.4
    heat: bool = True
    little_core: float = 1.0
    little_share: float = 0.3  # of the blocks
    load_share: float = 0.0
    load_from: float = 0.0
    load_to: float = 1.0
    slow_start: float = 1.0  # factor at the start of each process, gone after a third of its blocks
    sensors: frozenset[str] = SENSORS


@dataclass(frozen=True)
class SimulatedBoard:
    """`latencies_ns`: the true median of each candidate's inference on a cool, idle, big core."""

    latencies_ns: Mapping[str, float]
    script: Script = field(default_factory=Script)
    seed: int = 0
    processes: int = 5
    blocks: int = 12
    samples: int = 50

    def run(self, interleaved: bool = True) -> tuple[JobEvent, ...]:
        """One benchmark; not `interleaved`: all of the first candidate, then all of the next."""
        return _Run(self, interleaved).events()


class _Run:
    def __init__(self, board: SimulatedBoard, interleaved: bool) -> None:
        self._board, self._script, self._interleaved = board, board.script, interleaved
        self._random = np.random.default_rng(board.seed)
        self._payloads: list[JobPayload] = [Overhead((900, 1000, 1100), 40)]
        self._now_ns = 0.0
        self._slow = 0.0  # the part of the noise that lasts
        labels = list(board.latencies_ns)
        self._levels = {
            (label, process): math.exp(self._random.normal(0, self._script.process_spread))
            for label in labels
            for process in range(board.processes)
        }
        self._done, self._total = 0, board.processes * board.blocks * len(labels)

    def events(self) -> tuple[JobEvent, ...]:
        board = self._board
        groups = [list(board.latencies_ns)] if self._interleaved else [[label] for label in board.latencies_ns]
        self._telemetry()
        for labels in groups:
            for process in range(board.processes):
                self._process(labels, process)
        self._payloads.append(Ended("done"))
        return tuple(JobEvent(number, payload) for number, payload in enumerate(self._payloads, start=1))

    def _process(self, labels: list[str], process: int) -> None:
        board = self._board
        cpus = tuple(range(CORES))
        for label in labels:
            self._payloads.append(
                Loaded(label, process, 200_000_000, 50_000_000, 9_000_000, "1.0", "CPUExecutionProvider", cpus, (), ())
            )
        for index in range(board.blocks):
            for position in self._random.permutation(len(labels)):
                self._block(labels[position], process, index)
            self._telemetry()
        self._payloads += [WorkerClosed(label, process, 60_000_000) for label in labels]

    def _block(self, label: str, process: int, index: int) -> None:
        script, board = self._script, self._board
        level = board.latencies_ns[label] * self._levels[label, process] * self._pace(index)
        if script.little_core > 1 and self._random.random() < script.little_share:
            level *= script.little_core
        cpu = level * self._noise(board.samples)
        waited = self._waiting(board.samples)
        wall = np.maximum(1, cpu / (1 - waited)).astype(np.int64)
        switches = int(np.count_nonzero(waited > 0))
        self._payloads.append(
            Block(label, process, index, False, tuple(wall.tolist()), int(self._now_ns), int(cpu.sum()), switches)
        )
        self._now_ns += float(wall.sum())
        self._done += 1

    def _pace(self, index: int) -> float:
        """How much slower the whole board is at this moment."""
        script, moment = self._script, self._moment()
        pace: float = script.drift**moment
        if script.throttle_at is not None and moment >= script.throttle_at:
            pace *= script.throttle
        started = min(1.0, index / (self._board.blocks / 3))
        return float(pace * script.slow_start ** (1 - started))

    def _moment(self) -> float:
        return self._done / self._total

    def _noise(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Factors around 1: first-order autoregressive, continued from block to block, and rare outliers."""
        script = self._script
        fresh = self._random.normal(0, math.sqrt(1 - script.correlation**2), count)
        logs = np.empty(count)
        for number in range(count):
            self._slow = script.correlation * self._slow + fresh[number]
            logs[number] = self._slow
        outlier = np.where(self._random.random(count) < script.outliers, self._random.uniform(1.5, 4, count), 1.0)
        return np.asarray(np.exp(script.noise * logs) * outlier)

    def _waiting(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The share of each sample's time in which others had the CPU."""
        script = self._script
        busy = script.load_share > 0 and script.load_from <= self._moment() < script.load_to
        return np.full(count, 0.0) if not busy else self._random.uniform(0, 2 * script.load_share, count).clip(0, 0.9)

    def _telemetry(self) -> None:
        script, moment = self._script, self._moment()
        throttled = script.throttle_at is not None and moment >= script.throttle_at
        loaded = script.load_share > 0 and script.load_from <= moment < script.load_to
        values = {
            "cpu_frequency": _FULL_MHZ / (script.throttle if throttled else 1.0) + self._random.normal(0, 5),
            "temperature": self._temperature(moment),
            "cpu_busy": 100 / CORES + (60.0 if loaded else 0.0) + abs(self._random.normal(0, 2)),
        }
        units = {"cpu_frequency": "MHz", "temperature": "degC", "cpu_busy": "%"}
        readings = tuple(
            Reading(name, value, units[name])
            if name in script.sensors
            else Reading(name, None, units[name], "this board has none")
            for name, value in values.items()
        )
        self._payloads.append(Telemetry(int(self._now_ns), readings))

    def _temperature(self, moment: float) -> float:
        """Rises to 85 degrees until the throttle, and stays; constant without one."""
        script = self._script
        if script.throttle_at is None or not script.heat:
            return _COOL_DEGC + float(self._random.normal(0, 0.5))
        warm = min(1.0, (moment + 0.05) / (script.throttle_at + 0.05))
        return _COOL_DEGC + 35 * warm + float(self._random.normal(0, 0.5))
