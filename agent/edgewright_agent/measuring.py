"""From a job's request to a measurement: artifacts become local files, outputs become artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from edgewright_agent.artifacts import ArtifactStore
from edgewright_agent.jobs import JobControl
from edgewright_agent.measure.values import LocalCandidate, LocalInputs, WorkerSettings
from edgewright_contract import agent_pb2 as pb
from edgewright_contract import convert
from edgewright_contract.limits import check_candidate, check_candidates, check_input_set, check_plan
from edgewright_contract.values import Candidate, InputSet, JobPayload, Outputs

BENCHMARK, EVALUATION = "benchmark", "evaluation"


def checked_benchmark(request: pb.StartBenchmarkRequest) -> tuple[str, ...]:
    """Check a request against the limits; return the artifacts it needs. Raises REQUEST_INVALID."""
    candidates = [convert.candidate_from_proto(message) for message in request.candidates]
    check_candidates(candidates)
    check_plan(convert.benchmark_plan_from_proto(request.plan))
    golden = check_input_set(convert.input_set_from_proto(request.golden))
    return (*(candidate.sha256 for candidate in candidates), golden.sha256)


def checked_evaluation(request: pb.StartEvaluationRequest) -> tuple[str, ...]:
    """The same for an evaluation."""
    candidate = check_candidate(convert.candidate_from_proto(request.candidate))
    inputs = check_input_set(convert.input_set_from_proto(request.inputs))
    return candidate.sha256, inputs.sha256


class Measurer:
    """A JobRunner."""

    def __init__(self, store: ArtifactStore, worker: WorkerSettings) -> None:
        self._store = store
        self._worker = worker

    def __call__(
        self,
        kind: str,
        request: bytes,
        workspace: Path,
        emit: Callable[[JobPayload], None],
        control: JobControl,
    ) -> None:
        def publish_outputs(label: str, npz_path: Path) -> None:
            emit(Outputs(label, self._store.adopt(npz_path)))

        # Imported by the first job: an agent that only waits does without.
        from edgewright_agent.measure.benchmark import run_benchmark
        from edgewright_agent.measure.evaluation import run_evaluation

        if kind == BENCHMARK:
            benchmark = pb.StartBenchmarkRequest.FromString(request)
            run_benchmark(
                convert.benchmark_plan_from_proto(benchmark.plan),
                [self._local(convert.candidate_from_proto(message)) for message in benchmark.candidates],
                self._inputs(convert.input_set_from_proto(benchmark.golden)),
                workspace,
                self._worker,
                emit,
                publish_outputs,
                control,
            )
        else:
            evaluation = pb.StartEvaluationRequest.FromString(request)
            run_evaluation(
                self._local(convert.candidate_from_proto(evaluation.candidate)),
                self._inputs(convert.input_set_from_proto(evaluation.inputs)),
                workspace,
                self._worker,
                emit,
                publish_outputs,
                control,
            )

    def _local(self, candidate: Candidate) -> LocalCandidate:
        return LocalCandidate(candidate, self._store.path(candidate.sha256))

    def _inputs(self, inputs: InputSet) -> LocalInputs:
        return LocalInputs(self._store.path(inputs.sha256), inputs.normalization)
