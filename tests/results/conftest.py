"""A home folder with results of simulated boards."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgewright.core.benchmark import RULES_VERSION, BenchSettings
from edgewright.core.evidence import RunEvidence, evidence_document
from edgewright.core.plain import to_plain
from edgewright.core.simulated_board import SimulatedBoard
from edgewright.core.verdict import Parity
from edgewright.services.results import ResultService
from edgewright.services.workspace import Workspace
from edgewright.store.records import ResultRecord
from edgewright.store.store import Store
from edgewright_contract.values import BenchmarkPlan, Candidate

SAME = Parity(1.0, 40.0, 1.0, True, "same answers")
Measure = Callable[..., list[int]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store.open(home) as opened:
        yield opened


@pytest.fixture
def service(home: Path, store: Store) -> ResultService:
    return ResultService(Workspace(home, store))


@pytest.fixture
def measure(store: Store) -> Measure:
    """Stores one simulated run as a benchmark would; gives the numbers of its results."""

    def run(
        base_ns: float = 2e6, fast_ns: float = 1e6, seed: int = 0, device: str = "bench1", old: bool = False
    ) -> list[int]:
        board = SimulatedBoard({"net@base": base_ns, "net@acc1": fast_ns}, seed=seed)
        evidence = RunEvidence(
            candidates=tuple(Candidate(label, "a" * 64, "onnx", "onnxruntime") for label in board.latencies_ns),
            plan=BenchmarkPlan(processes=5, seed=seed),
            settings=BenchSettings(precision_percent=3, confidence=0.99, seed=seed),
            golden={"sha256": "9" * 64, "count": 8},
            device={"name": device, "fingerprint": "f" * 64},
            events=board.run(),
            baseline="net@base",
            parity={"net@acc1": SAME},
            facts={"board": "simulated"},
            versions={"edgewright": "0"},
            rules=RULES_VERSION,
        )
        document = evidence_document(evidence)
        if old:
            for name in ("baseline", "parity", "facts", "versions", "rules"):
                del document[name]
        sha256, _ = store.artifacts.put_bytes(zlib.compress(json.dumps(document).encode()))
        rows = [
            ResultRecord(
                run_id=f"run{seed}{device}{base_ns:g}{fast_ns:g}",
                variant=candidate.label,
                device=device,
                settings={"runtime": "onnxruntime", "threads": 1, "percentile": 90, "precision_percent": 3},
                summary=to_plain(candidate),
                evidence_sha256=sha256,
                artifact_sha256="a" * 64,
                verdict=candidate.verdict.value,
            )
            for candidate in evidence.summary().candidates
        ]
        return [record.id for record in store.benchmarks.add(rows)]

    return run
