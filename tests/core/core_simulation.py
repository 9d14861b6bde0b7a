"""Boards with a known truth, as the events an agent would send."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

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


def block(
    label: str,
    process: int,
    index: int,
    samples_ns: Sequence[float],
    *,
    warmup: bool = False,
    switches: int = 0,
) -> Block:
    """A block whose CPU time is its wall time: one thread, never waiting."""
    samples = tuple(int(value) for value in samples_ns)
    return Block(label, process, index, warmup, samples, 0, sum(samples), switches)


def events_of(*payloads: JobPayload) -> list[JobEvent]:
    return [JobEvent(number, payload) for number, payload in enumerate(payloads, start=1)]


def quiet_board(
    latencies_ns: dict[str, float],
    *,
    seed: int = 0,
    processes: int = 3,
    blocks: int = 12,
    samples: int = 20,
    noise: float = 0.005,
    speed: Callable[[int, int], float] = lambda process, index: 1.0,
    readings: Callable[[int], Sequence[Reading]] = lambda step: (),
    switches: int = 0,
) -> list[JobEvent]:
    """An interleaved run; `speed(process, index)` slows every candidate of that moment alike."""
    random = np.random.default_rng(seed)
    payloads: list[JobPayload] = [Overhead((900, 1000, 1100), 40)]
    step = 0
    for process in range(processes):
        for label in latencies_ns:
            payloads.append(
                Loaded(
                    label, process, 200_000_000, 50_000_000, 9_000_000, "1.30.0", "CPUExecutionProvider", (0, 1), (), ()
                )
            )
        for index in range(blocks):
            for label, latency in latencies_ns.items():
                times = latency * speed(process, index) * np.exp(random.normal(0, noise, samples))
                payloads.append(block(label, process, index, times, switches=switches))
            payloads.append(Telemetry(step, tuple(readings(step))))
            step += 1
        payloads += [WorkerClosed(label, process, 60_000_000 + process) for label in latencies_ns]
    payloads.append(Ended("done"))
    return events_of(*payloads)


def drifting_pair(seed: int, *, true_speedup: float, interleaved: bool) -> tuple[list[Block], list[Block]]:
    """A board that heats up: one throttle of 20 % to 40 % at a random moment, after which all is slower.

    Interleaved, both candidates of an index share their moment; sequentially, the baseline runs first.
    """
    random = np.random.default_rng(seed)
    total = 60
    throttle_at, depth = random.integers(5, total - 5), random.uniform(1.2, 1.4)

    def moment(number: int) -> float:
        return (depth if number >= throttle_at else 1.0) * math.exp(random.normal(0, 0.01))

    baseline, candidate = [], []
    for index in range(total // 2):
        first, second = (2 * index, 2 * index + 1) if interleaved else (index, total // 2 + index)
        baseline.append(block("base", 0, index, [1e6 * true_speedup * moment(first)]))
        candidate.append(block("small", 0, index, [1e6 * moment(second)]))
    return baseline, candidate
