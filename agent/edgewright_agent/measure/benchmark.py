"""Latency of several candidates on this device, interleaved; raw samples only, no statistics."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

from edgewright_agent.measure.monitor import Monitor
from edgewright_agent.measure.schedule import (
    MAX_BLOCK_SAMPLES,
    block_order,
    samples_per_block,
    sampling_over,
    settled,
)
from edgewright_agent.measure.session import check_runtime, start_worker, write_outputs
from edgewright_agent.measure.values import Control, LocalCandidate, LocalInputs, WorkerSettings
from edgewright_agent.worker.client import WorkerProcess
from edgewright_contract.limits import check_candidates, check_plan
from edgewright_contract.values import (
    BenchmarkPlan,
    Block,
    Candidate,
    JobPayload,
    Overhead,
    Progress,
    WorkerClosed,
)

OVERHEAD_SAMPLES = 2000
PROGRESS_SECONDS = 0.5
# A hot board may be this many times slower than it was at warm-up before its block counts as hung.
SLOWDOWN_ALLOWED = 10.0
# Warm-up that does not settle ends after this many times the asked length.
WARMUP_CAP = 5.0
# A warm-up window never holds fewer inferences than its median needs, unless they are very slow.
MIN_WINDOW_SECONDS = 0.05


def run_benchmark(
    plan: BenchmarkPlan,
    candidates: Sequence[LocalCandidate],
    golden: LocalInputs,
    workspace: Path,
    worker: WorkerSettings,
    emit: Callable[[JobPayload], None],
    publish_outputs: Callable[[str, Path], None],
    control: Control,
) -> None:
    """Runs every candidate on the golden inputs, then times them on the first golden sample.

    1. Golden: one worker a candidate; `publish_outputs(label, file)` gets its .npz (see run_evaluation).
    2. Overhead: the same worker, pipe and timed loop around a network that does nothing.
    3. `plan.processes` times: fresh workers for all candidates (Loaded), each warmed up until its windows
       settle (Block with warmup=True), then rounds: in a random order drawn from `plan.seed` every candidate
       runs one block of about `plan.block_seconds` while the others sleep (Block; blocks of one process and
       index are paired). Each process has an equal share of `plan.max_seconds` of rounds, and does at least
       `plan.blocks` rounds unless that takes more than twice its share, which a Progress event then says.
    One sample is bound and repeated: values hardly matter to a network's time, and binding anew would have
    to be timed or waited for. Telemetry is read between blocks only.

    `control.finish_requested()` ends the present process after its round; later processes still do one round
    each, so that no claim rests on one process. Raises EdgewrightError REQUEST_INVALID, and as run_evaluation
    does; no worker is left then.
    """
    check_plan(plan)
    check_candidates([candidate.candidate for candidate in candidates])
    for candidate in candidates:
        check_runtime(candidate)
    Benchmark(plan, candidates, golden, workspace, worker, emit, publish_outputs, control).run()


@dataclass
class Benchmark:
    """One run; see run_benchmark."""

    plan: BenchmarkPlan
    candidates: Sequence[LocalCandidate]
    golden: LocalInputs
    workspace: Path
    settings: WorkerSettings
    emit: Callable[[JobPayload], None]
    publish_outputs: Callable[[str, Path], None]
    control: Control
    told_s: float = 0.0  # when Progress was emitted last

    def __post_init__(self) -> None:
        self.monitor = Monitor(self.settings.sysroot, self.emit)

    def run(self) -> None:
        self.monitor.read()
        for position, candidate in enumerate(self.candidates):
            self._golden_run(position, candidate)
        self._overhead()
        for process in range(self.plan.processes):
            self._process(process)
        self.monitor.read()

    def _golden_run(self, position: int, candidate: LocalCandidate) -> None:
        label = candidate.candidate.label
        self.emit(Progress(f"{label}: golden inputs", position, len(self.candidates)))
        outputs = self.workspace / f"golden-{position}.npz"
        process, _ = start_worker(candidate, 0, self.golden, self.settings, self.control.cancelled)
        with process:
            write_outputs(process, self.golden, outputs, self.settings, self.emit)
        self.publish_outputs(label, outputs)

    def _overhead(self) -> None:
        nothing = LocalCandidate(Candidate("null", "", "null", "null", 1), Path("null"))
        process, _ = start_worker(nothing, 0, None, self.settings, self.control.cancelled)
        with process:
            timed = process.call("measure", self.settings.call_timeout_s, count=OVERHEAD_SAMPLES, timer=True)
        self.emit(Overhead(tuple(timed["samples_ns"]), timed["timer_resolution_ns"]))

    def _process(self, process: int) -> None:
        """Fresh workers for all candidates, their warm-up and their rounds of blocks."""
        with ExitStack() as stack:
            workers = []
            for candidate in self.candidates:
                worker, loaded = start_worker(candidate, process, self.golden, self.settings, self.control.cancelled)
                workers.append(stack.enter_context(worker))
                self.emit(loaded)
            counts = [self._warm_up(worker, process) for worker in workers]
            self._rounds(process, workers, counts)
            for worker in workers:
                self.emit(WorkerClosed(worker.name, process, worker.close()))

    def _warm_up(self, worker: WorkerProcess, process: int) -> int:
        """Runs windows until their medians settle; returns how many inferences make a block."""
        asked = self.plan.warmup_seconds
        window_s = max(MIN_WINDOW_SECONDS, asked / 3.0)
        windows: list[tuple[int, ...]] = []
        started = time.monotonic()
        while True:
            self.monitor.read_if_due()
            windows.append(self._block(worker, process, len(windows), MAX_BLOCK_SAMPLES, window_s))
            spent = time.monotonic() - started
            if spent >= asked and (settled(windows) or self.control.finish_requested()):
                break
            if spent >= asked * WARMUP_CAP and len(windows) >= 2:
                self.emit(Progress(f"{worker.name}: did not settle within {spent:.1f} s of warm-up"))
                break
        return samples_per_block(windows[-1], self.plan.block_seconds)

    def _rounds(self, process: int, workers: list[WorkerProcess], counts: list[int]) -> None:
        plan = self.plan
        share_s = plan.max_seconds / plan.processes
        started = time.monotonic()
        self.monitor.read()
        index = 0
        while not sampling_over(index, plan.blocks, time.monotonic() - started, share_s):
            if index > 0 and self.control.finish_requested():
                break
            for position in block_order(plan.seed, process, index, len(workers)):
                self._block(workers[position], process, index, counts[position])
                self.monitor.read_if_due()
            index += 1
            self._tell(process, time.monotonic() - started, share_s)
        else:
            if index < plan.blocks:
                self.emit(
                    Progress(
                        f"process {process + 1} of {plan.processes}: {index} of {plan.blocks} blocks a"
                        f" candidate, because its {share_s:.1f} s of the time cap were far exceeded"
                    )
                )
        self.monitor.read()

    def _block(
        self, worker: WorkerProcess, process: int, index: int, count: int, warmup_seconds: float = 0.0
    ) -> tuple[int, ...]:
        """Has one block timed and emits it; returns its samples. With `warmup_seconds` it is a warm-up window
        of that length and `count` samples at most."""
        expected_s = warmup_seconds or self.plan.block_seconds
        timed = worker.call(
            "measure",
            self.settings.call_timeout_s + SLOWDOWN_ALLOWED * expected_s,
            count=count,
            max_seconds=warmup_seconds,
        )
        block = Block(
            label=worker.name,
            process=process,
            index=index,
            warmup=warmup_seconds > 0,
            samples_ns=tuple(timed["samples_ns"]),
            started_ns=timed["started_ns"],
            cpu_ns=timed["cpu_ns"],
            involuntary_switches=timed["involuntary_switches"],
        )
        self.emit(block)
        return block.samples_ns

    def _tell(self, process: int, spent_s: float, share_s: float) -> None:
        """Progress in seconds of sampling, about twice a second."""
        now = time.monotonic()
        if now - self.told_s < PROGRESS_SECONDS:
            return
        self.told_s = now
        done = process * share_s + min(spent_s, share_s)
        text = f"sampling, process {process + 1} of {self.plan.processes}"
        self.emit(Progress(text, round(done), max(1, round(self.plan.max_seconds))))
