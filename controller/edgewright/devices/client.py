"""One agent as the controller sees it: calls with deadlines, contract values in and out.

Every call goes through `.future()` or is a stream: a blocking stub call can outlive its deadline on a dead link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import grpc

from edgewright.devices.address import Address
from edgewright.devices.diagnosis import PROBE_SECONDS, explain
from edgewright_contract import agent_pb2 as pb
from edgewright_contract import agent_pb2_grpc as rpc
from edgewright_contract import convert
from edgewright_contract.errors import ErrorCode
from edgewright_contract.errors_grpc import error_from_rpc
from edgewright_contract.values import (
    BenchmarkPlan,
    Candidate,
    DeployChecks,
    DeployGoals,
    Deployment,
    DeviceFacts,
    InputSet,
    Job,
    JobEvent,
    PushState,
)

CALL_SECONDS = 15.0
DEPLOY_SECONDS = 180.0  # loading a large model on a slow board
CHECK_SECONDS = 1800.0  # some hundred golden inputs on a slow board, and timing


class AgentClient:
    """A connection to one agent; a context manager.

    `open_channel` makes a new channel; `pinned` is the agent's certificate (PEM), None for plain text.
    """

    def __init__(self, open_channel: Callable[[], grpc.Channel], address: Address, pinned: bytes | None = None) -> None:
        self._open_channel = open_channel
        self._channel = open_channel()
        self._stub = rpc.AgentStub(self._channel)  # type: ignore[no-untyped-call]
        self.address = address
        self._pinned = pinned

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def describe(self, seconds: float = CALL_SECONDS) -> DeviceFacts:
        response = self._call(self._stub.Describe, pb.DescribeRequest(), seconds)
        return convert.device_facts_from_proto(response.facts)

    def query_artifact(self, sha256: str) -> PushState:
        response = self._call(self._stub.QueryArtifact, pb.QueryArtifactRequest(sha256=sha256))
        return PushState(response.complete, response.received_bytes)

    def push_messages(self, messages: Iterator[pb.PushArtifactRequest], seconds: float) -> int:
        """Sends one artifact (or the rest of one); returns the size the agent now holds."""
        with self._translated():
            return int(self._stub.PushArtifact.future(messages, timeout=seconds).result().size_bytes)

    def fetch_messages(self, sha256: str, offset: int, seconds: float) -> Iterator[pb.FetchArtifactResponse]:
        request = pb.FetchArtifactRequest(sha256=sha256, offset=offset)
        with self._translated():
            yield from self._stub.FetchArtifact(request, timeout=seconds)

    def remove_artifact(self, sha256: str) -> bool:
        return bool(self._call(self._stub.RemoveArtifact, pb.RemoveArtifactRequest(sha256=sha256)).removed)

    def deploy(self, slot: str, candidate: Candidate) -> Deployment:
        request = pb.DeployRequest(slot=slot, candidate=convert.candidate_to_proto(candidate))
        response = self._call(self._stub.Deploy, request, DEPLOY_SECONDS)
        return convert.deployment_from_proto(response.deployment)

    def deploy_checked(self, slot: str, candidate: Candidate, goals: DeployGoals) -> tuple[Deployment, DeployChecks]:
        """Deploys if the goals hold on the device; raises DEPLOY_GOAL_MISSED, PROTOCOL_MISMATCH (an older agent)."""
        request = pb.DeployCheckedRequest(
            slot=slot,
            candidate=convert.candidate_to_proto(candidate),
            goals=convert.deploy_goals_to_proto(goals),
        )
        response = self._call(self._stub.DeployChecked, request, CHECK_SECONDS)
        return convert.deployment_from_proto(response.deployment), convert.deploy_checks_from_proto(response.checks)

    def rollback(self, slot: str, active_sha256: str) -> Deployment:
        """Sent twice with the same `active_sha256`, it rolls back once."""
        request = pb.RollbackRequest(slot=slot, active_sha256=active_sha256)
        return convert.deployment_from_proto(self._call(self._stub.Rollback, request).deployment)

    def deployments(self) -> tuple[Deployment, ...]:
        response = self._call(self._stub.ListDeployments, pb.ListDeploymentsRequest())
        return tuple(convert.deployment_from_proto(item) for item in response.deployments)

    def start_benchmark(
        self, request_id: str, candidates: tuple[Candidate, ...], golden: InputSet, plan: BenchmarkPlan
    ) -> Job:
        request = pb.StartBenchmarkRequest(
            request_id=request_id,
            candidates=[convert.candidate_to_proto(candidate) for candidate in candidates],
            golden=convert.input_set_to_proto(golden),
            plan=convert.benchmark_plan_to_proto(plan),
        )
        return convert.job_from_proto(self._call(self._stub.StartBenchmark, request).job)

    def start_evaluation(self, request_id: str, candidate: Candidate, inputs: InputSet) -> Job:
        request = pb.StartEvaluationRequest(
            request_id=request_id,
            candidate=convert.candidate_to_proto(candidate),
            inputs=convert.input_set_to_proto(inputs),
        )
        return convert.job_from_proto(self._call(self._stub.StartEvaluation, request).job)

    def watch_job(self, job_id: str, after_sequence: int, seconds: float) -> Iterator[JobEvent]:
        """Events after `after_sequence`, to the last one; the caller may leave early."""
        request = pb.WatchJobRequest(job_id=job_id, after_sequence=after_sequence)
        call = self._stub.WatchJob(request, timeout=seconds)
        try:
            with self._translated():
                for event in call:
                    yield convert.job_event_from_proto(event)
        finally:
            call.cancel()

    def stop_job(self, job_id: str, *, keep_result: bool) -> Job:
        request = pb.StopJobRequest(job_id=job_id, keep_result=keep_result)
        return convert.job_from_proto(self._call(self._stub.StopJob, request).job)

    def revoke_controller(self, fingerprint: str) -> bool:
        request = pb.RevokeControllerRequest(fingerprint=fingerprint)
        return bool(self._call(self._stub.RevokeController, request).revoked)

    def _call(self, method: Callable[..., Any], request: object, seconds: float = CALL_SECONDS) -> Any:
        with self._translated():
            return method.future(request, timeout=seconds).result()  # type: ignore[attr-defined]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """gRPC's errors stop here: what leaves is an EdgewrightError."""
        try:
            yield
        except grpc.RpcError as failure:
            error = error_from_rpc(failure, str(self.address))
            if error.code is ErrorCode.DEVICE_UNREACHABLE and self._pinned is not None:
                error = explain(error, self.address, self._pinned, self._answers)
            raise error from failure

    def _answers(self) -> bool:
        """Whether a call on a new connection succeeds."""
        with self._open_channel() as channel:
            stub = rpc.AgentStub(channel)  # type: ignore[no-untyped-call]
            try:
                stub.Describe.future(pb.DescribeRequest(), timeout=PROBE_SECONDS).result()
            except grpc.RpcError:
                return False
        return True
