"""The timed region: one inference with its inputs already bound, and nothing else."""

from __future__ import annotations

import gc
import resource
import time
from dataclasses import dataclass
from typing import Callable

# From this many calls on, one more to fill the caches costs at most a tenth.
REFILL_COUNT = 10


@dataclass(frozen=True)
class TimedBlock:
    """Consecutive timed calls: each one's ns, start on the monotonic clock, and what the process used."""

    samples_ns: list[int]
    started_ns: int
    cpu_ns: int
    involuntary_switches: int


def time_block(call: Callable[[], object], count: int, max_seconds: float = 0.0) -> TimedBlock:
    """Times `count` calls one by one; with `max_seconds` (a warm-up) fewer once that is over, at least one.

    The garbage collector is off, the samples' list exists before the first call, and bookkeeping falls
    between two readings of the clock that belong to different calls. A block of ten or more begins with one
    untimed call, as caches still hold what ran before it: another candidate, the collector.
    """
    clock = time.perf_counter_ns
    samples = [0] * count
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        if count >= REFILL_COUNT and max_seconds == 0:
            call()
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        cpu = time.process_time_ns()
        started = time.monotonic_ns()
        if max_seconds > 0:
            done = _until(call, samples, clock() + int(max_seconds * 1e9))
        else:
            done = count
            for index in range(count):
                before = clock()
                call()
                samples[index] = clock() - before
        cpu = time.process_time_ns() - cpu
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches
    finally:
        if collecting:
            gc.enable()
    return TimedBlock(samples[:done], started, cpu, switches)


def _until(call: Callable[[], object], samples: list[int], deadline_ns: int) -> int:
    clock = time.perf_counter_ns
    for index in range(len(samples)):
        before = clock()
        call()
        after = clock()
        samples[index] = after - before
        if after >= deadline_ns:
            return index + 1
    return len(samples)


def timer_resolution_ns(readings: int = 10000) -> int:
    """The smallest step seen between consecutive readings of the clock."""
    clock = time.perf_counter_ns
    smallest = 0
    last = clock()
    for _ in range(readings):
        now = clock()
        if now > last and (smallest == 0 or now - last < smallest):
            smallest = now - last
        last = now
    return smallest
