"""The interleaved benchmark with real workers: its order of events, its stops and its failures."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from worker_examples import Owner, dense_model, local, save_images

from edgewright_agent.measure.benchmark import run_benchmark
from edgewright_agent.measure.schedule import block_order
from edgewright_agent.measure.values import LocalCandidate, LocalInputs, WorkerSettings
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import (
    BenchmarkPlan,
    Block,
    Loaded,
    Overhead,
    Progress,
    Telemetry,
    WorkerClosed,
)

PLAN = BenchmarkPlan(processes=2, blocks=3, block_seconds=0.02, max_seconds=0.5, warmup_seconds=0.1, seed=5)


def dense_candidates(folder: Path, count: int) -> list[LocalCandidate]:
    return [
        local(dense_model(folder / f"dense{number}.onnx", classes=5 + number), f"dense{number}@base")
        for number in range(count)
    ]


def benchmark(
    plan: BenchmarkPlan,
    candidates: list[LocalCandidate],
    golden: LocalInputs,
    settings: WorkerSettings,
    owner: Owner,
) -> Owner:
    run_benchmark(plan, candidates, golden, golden.path.parent, settings, owner.emit, owner.publish, owner)
    return owner


def no_workers_left() -> bool:
    return not [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


def test_a_whole_run(settings: WorkerSettings, tmp_path: Path) -> None:
    """Three candidates, two processes: golden outputs, overhead, loads, warm-ups, paired blocks, peaks, telemetry."""
    candidates = dense_candidates(tmp_path, 3)
    labels = [candidate.candidate.label for candidate in candidates]

    owner = benchmark(PLAN, candidates, save_images(tmp_path / "images.npy"), settings, Owner())

    assert sorted(owner.outputs) == labels
    assert np.load(owner.outputs["dense1@base"])["/head/logits"].shape == (6, 6)
    (overhead,) = owner.of(Overhead)
    assert len(overhead.samples_ns) >= 1000
    assert 0 < overhead.timer_resolution_ns < 1_000_000
    assert [(event.process, event.label) for event in owner.of(Loaded)] == list(itertools.product(range(2), labels))
    closed = owner.of(WorkerClosed)
    assert [(event.process, event.label) for event in closed] == list(itertools.product(range(2), labels))
    assert all(event.peak_memory_bytes > 10 << 20 for event in closed)
    assert isinstance(owner.events[0], Telemetry)
    assert isinstance(owner.events[-1], Telemetry)
    warmups = {(block.process, block.label) for block in owner.of(Block) if block.warmup}
    assert warmups == set(itertools.product(range(2), labels))
    assert no_workers_left()


def test_blocks_are_interleaved_in_the_seeds_order(settings: WorkerSettings, tmp_path: Path) -> None:
    """Every round holds one block of each candidate, in the order drawn, one after another in time."""
    candidates = dense_candidates(tmp_path, 3)
    labels = [candidate.candidate.label for candidate in candidates]

    owner = benchmark(PLAN, candidates, save_images(tmp_path / "images.npy"), settings, Owner())

    blocks = owner.blocks()
    for process in range(PLAN.processes):
        mine = [block for block in blocks if block.process == process]
        rounds = max(block.index for block in mine) + 1
        drawn = [(index, labels[position]) for index in range(rounds) for position in block_order(5, process, index, 3)]
        assert [(block.index, block.label) for block in mine] == drawn
    for before, after in itertools.pairwise(blocks):
        assert before.started_ns + sum(before.samples_ns) <= after.started_ns
        assert before.samples_ns
        assert all(sample > 0 for sample in before.samples_ns)
    telemetry = owner.of(Telemetry)
    for reading in telemetry:
        for block in blocks:
            assert not block.started_ns < reading.at_ns < block.started_ns + sum(block.samples_ns)


def test_the_time_is_shared(settings: WorkerSettings, tmp_path: Path) -> None:
    """Each process samples for about its half of the cap, which is respected within a round."""
    plan = replace(PLAN, max_seconds=1.0)

    owner = benchmark(plan, dense_candidates(tmp_path, 2), save_images(tmp_path / "i.npy"), settings, Owner())

    for process in range(2):
        starts = [block.started_ns for block in owner.blocks() if block.process == process]
        assert 0.2 < (max(starts) - min(starts)) / 1e9 < 1.5  # 0.5 s on a quiet machine


def test_a_far_exceeded_cap_is_said(settings: WorkerSettings, tmp_path: Path) -> None:
    """Blocks that would take more than twice their share are cut short, never to nothing, and Progress says so."""
    plan = replace(PLAN, processes=1, blocks=1000, max_seconds=0.1)

    owner = benchmark(plan, dense_candidates(tmp_path, 2), save_images(tmp_path / "i.npy"), settings, Owner())

    assert 2 <= len(owner.blocks()) < 100
    assert any("of 1000 blocks" in event.text for event in owner.of(Progress))


def test_finishing_keeps_a_round_of_every_process(settings: WorkerSettings, tmp_path: Path) -> None:
    """Asked to finish, the run ends its round, gives later processes one round each, and raises nothing."""
    plan = replace(PLAN, processes=3, max_seconds=60.0)
    owner = Owner(finish_after_blocks=3)
    started = time.monotonic()

    benchmark(plan, dense_candidates(tmp_path, 2), save_images(tmp_path / "i.npy"), settings, owner)

    assert time.monotonic() - started < 20.0
    rounds = [(block.process, block.index) for block in owner.blocks() if block.label == "dense0@base"]
    assert rounds == [(0, 0), (0, 1), (1, 0), (2, 0)]
    assert len(owner.blocks()) == 2 * len(rounds)


@pytest.mark.parametrize("after_s", [0.05, 1.5])
def test_cancelling_ends_within_two_seconds(settings: WorkerSettings, tmp_path: Path, after_s: float) -> None:
    """Whether in a golden run or in the middle of sampling: CANCELLED, and no worker is left."""
    plan = replace(PLAN, max_seconds=120.0)
    candidates = dense_candidates(tmp_path, 2)
    owner = Owner(cancel_after_s=after_s)

    with pytest.raises(EdgewrightError) as caught:
        benchmark(plan, candidates, save_images(tmp_path / "i.npy"), settings, owner)

    assert caught.value.code is ErrorCode.CANCELLED
    assert time.monotonic() - owner.started < after_s + 2.0
    assert no_workers_left()


def test_one_bad_candidate_fails_the_run_and_leaves_no_worker(settings: WorkerSettings, tmp_path: Path) -> None:
    """The error names the candidate whose model is corrupt; the others' workers are gone."""
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    candidates = [*dense_candidates(tmp_path, 1), local(tmp_path / "bad.onnx", "broken@acc1")]

    with pytest.raises(EdgewrightError) as caught:
        benchmark(PLAN, candidates, save_images(tmp_path / "i.npy"), settings, Owner())

    assert caught.value.code is ErrorCode.MODEL_CORRUPT
    assert "broken@acc1" in caught.value.message
    assert no_workers_left()


def test_a_worker_that_dies_while_it_is_measured_fails_the_run(settings: WorkerSettings, tmp_path: Path) -> None:
    """kill -9 of one worker between blocks is WORKER_CRASHED naming its candidate."""

    class Killer(Owner):
        def emit(self, payload: object) -> None:
            super().emit(payload)
            if isinstance(payload, Block) and not payload.warmup and payload.index == 1:
                for child in psutil.Process().children():
                    child.kill()

    with pytest.raises(EdgewrightError) as caught:
        benchmark(PLAN, dense_candidates(tmp_path, 2), save_images(tmp_path / "i.npy"), settings, Killer())

    assert caught.value.code is ErrorCode.WORKER_CRASHED
    assert "SIGKILL" in caught.value.message
    assert no_workers_left()


@pytest.mark.parametrize(
    "plan",
    [
        replace(PLAN, processes=0),
        replace(PLAN, blocks=0),
        replace(PLAN, max_seconds=-1.0),
        replace(PLAN, block_seconds=float("nan")),
        replace(PLAN, warmup_seconds=float("inf")),
    ],
)
def test_impossible_plans_are_refused(settings: WorkerSettings, tmp_path: Path, plan: BenchmarkPlan) -> None:
    """No process, no block, negative or unreal times: REQUEST_INVALID before any worker starts."""
    no_start = replace(settings, python=("no worker is started",))

    with pytest.raises(EdgewrightError) as caught:
        benchmark(plan, dense_candidates(tmp_path, 1), save_images(tmp_path / "i.npy"), no_start, Owner())

    assert caught.value.code is ErrorCode.REQUEST_INVALID


def test_labels_are_unique(settings: WorkerSettings, tmp_path: Path) -> None:
    """Two candidates of one label could not be told apart, and none is no benchmark."""
    twice = dense_candidates(tmp_path, 1) * 2
    for candidates in (twice, []):
        with pytest.raises(EdgewrightError) as caught:
            benchmark(PLAN, candidates, save_images(tmp_path / "i.npy"), settings, Owner())

        assert caught.value.code is ErrorCode.REQUEST_INVALID
