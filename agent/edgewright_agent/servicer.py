"""The two services: each method decodes, makes one call and encodes. Who may call, and errors: server.py."""

# ruff: noqa: ARG002, N802 - gRPC names the methods and passes them both arguments

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Callable, Iterator

import grpc

from edgewright_agent import __version__
from edgewright_agent.artifacts import ArtifactStore
from edgewright_agent.deployments import Deployer, SlotTable
from edgewright_agent.jobs import JobQueue
from edgewright_agent.measuring import BENCHMARK, EVALUATION, checked_benchmark, checked_evaluation
from edgewright_agent.memory import give_back_soon
from edgewright_agent.pushes import PushReceiver
from edgewright_agent.trust import Loopback, Trust
from edgewright_contract import agent_pb2 as pb
from edgewright_contract import agent_pb2_grpc as rpc
from edgewright_contract import convert
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.limits import CERTIFICATE_BYTES_MAX, check_name, check_sha256
from edgewright_contract.transfer import fetch_responses
from edgewright_contract.values import DeviceFacts

# Each keeps a thread of the pool for as long as it lasts; together they leave some for short calls.
WATCHES_MAX, TRANSFERS_MAX, DEPLOYMENTS_MAX = 16, 8, 2


def _invalid(message: str, hint: str = "") -> EdgewrightError:
    return EdgewrightError(ErrorCode.REQUEST_INVALID, message, hint)


class PairingServicer(rpc.PairingServicer):
    def __init__(self, trust: Trust, agent_name: str) -> None:
        self._trust = trust
        self._agent_name = agent_name

    def Pair(self, request: pb.PairRequest, context: grpc.ServicerContext) -> pb.PairResponse:
        check_name(request.controller_name, "controller_name")
        if len(request.controller_certificate) > CERTIFICATE_BYTES_MAX:
            raise _invalid(
                f"the certificate has {len(request.controller_certificate)} bytes; "
                f"allowed: {CERTIFICATE_BYTES_MAX} at most"
            )
        self._trust.pair(self._trust.peer(context), request.controller_name, request.controller_certificate)
        return pb.PairResponse(agent_name=self._agent_name, agent_version=__version__)


class _Places:
    """So many streams of one kind at once; one more is DEVICE_BUSY."""

    def __init__(self, what: str, count: int) -> None:
        self._what, self._count = what, count
        self._free = threading.BoundedSemaphore(count)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Keep a place while inside."""
        if not self._free.acquire(blocking=False):
            raise EdgewrightError(
                ErrorCode.DEVICE_BUSY, f"{self._count} {self._what} are open already", "close one of them"
            )
        try:
            yield
        finally:
            self._free.release()
            give_back_soon()


class AgentServicer(rpc.AgentServicer):
    def __init__(
        self,
        trust: Trust | Loopback,
        store: ArtifactStore,
        receiver: PushReceiver,
        slots: SlotTable,
        deployer: Deployer,
        jobs: JobQueue,
        describe: Callable[[], DeviceFacts],
    ) -> None:
        self._trust = trust
        self._store = store
        self._receiver = receiver
        self._slots = slots
        self._deployer = deployer
        self._jobs = jobs
        self._describe = describe
        self._watches = _Places("job watches", WATCHES_MAX)
        self._transfers = _Places("transfers", TRANSFERS_MAX)
        self._deployments = _Places("deployments", DEPLOYMENTS_MAX)

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeResponse:
        return pb.DescribeResponse(facts=convert.device_facts_to_proto(self._describe()))

    def QueryArtifact(
        self, request: pb.QueryArtifactRequest, context: grpc.ServicerContext
    ) -> pb.QueryArtifactResponse:
        return convert.push_state_to_proto(self._store.query(request.sha256))

    def PushArtifact(
        self, requests: Iterator[pb.PushArtifactRequest], context: grpc.ServicerContext
    ) -> pb.PushArtifactResponse:
        first = next(requests, None)
        if first is None or not first.HasField("header"):
            raise _invalid("a push starts with its header", "use a controller of the same release")
        header = first.header
        with self._transfers.taken():
            size_bytes = self._receiver.receive(
                header.sha256,
                header.size_bytes,
                header.offset,
                _pieces(requests),
                self._trust.peer(context).fingerprint,
                context.is_active,
            )
        return pb.PushArtifactResponse(size_bytes=size_bytes)

    def FetchArtifact(
        self, request: pb.FetchArtifactRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.FetchArtifactResponse]:
        check_sha256(request.sha256)
        with self._transfers.taken(), self._store.using(request.sha256):
            path = self._store.path(request.sha256)
            size_bytes = path.stat().st_size
            if request.offset > size_bytes:
                raise EdgewrightError(
                    ErrorCode.ARTIFACT_OFFSET,
                    f"offset {request.offset} is beyond the artifact's {size_bytes} bytes",
                    "fetch from offset 0",
                )
            yield from fetch_responses(path, request.sha256, request.offset)

    def RemoveArtifact(
        self, request: pb.RemoveArtifactRequest, context: grpc.ServicerContext
    ) -> pb.RemoveArtifactResponse:
        return pb.RemoveArtifactResponse(removed=self._store.remove(request.sha256))

    def Deploy(self, request: pb.DeployRequest, context: grpc.ServicerContext) -> pb.DeployResponse:
        candidate = convert.candidate_from_proto(request.candidate)
        with self._deployments.taken():
            deployment, loaded = self._deployer.deploy(request.slot, candidate, context.is_active)
        return pb.DeployResponse(
            deployment=convert.deployment_to_proto(deployment),
            load_ns=loaded.load_ns,
            first_inference_ns=loaded.first_inference_ns,
        )

    def DeployChecked(
        self, request: pb.DeployCheckedRequest, context: grpc.ServicerContext
    ) -> pb.DeployCheckedResponse:
        candidate = convert.candidate_from_proto(request.candidate)
        goals = convert.deploy_goals_from_proto(request.goals)
        with self._deployments.taken():
            deployment, checks = self._deployer.deploy_checked(request.slot, candidate, goals, context.is_active)
        return pb.DeployCheckedResponse(
            deployment=convert.deployment_to_proto(deployment), checks=convert.deploy_checks_to_proto(checks)
        )

    def Rollback(self, request: pb.RollbackRequest, context: grpc.ServicerContext) -> pb.RollbackResponse:
        deployment = self._deployer.rollback(request.slot, request.active_sha256)
        return pb.RollbackResponse(deployment=convert.deployment_to_proto(deployment))

    def ListDeployments(
        self, request: pb.ListDeploymentsRequest, context: grpc.ServicerContext
    ) -> pb.ListDeploymentsResponse:
        return pb.ListDeploymentsResponse(deployments=[convert.deployment_to_proto(one) for one in self._slots.list()])

    def StartBenchmark(self, request: pb.StartBenchmarkRequest, context: grpc.ServicerContext) -> pb.StartJobResponse:
        return self._start(BENCHMARK, request, checked_benchmark(request))

    def StartEvaluation(self, request: pb.StartEvaluationRequest, context: grpc.ServicerContext) -> pb.StartJobResponse:
        return self._start(EVALUATION, request, checked_evaluation(request))

    def _start(
        self,
        kind: str,
        request: pb.StartBenchmarkRequest | pb.StartEvaluationRequest,
        artifacts: tuple[str, ...],
    ) -> pb.StartJobResponse:
        for sha256 in artifacts:
            self._store.require(sha256)
        data = request.SerializeToString(deterministic=True)
        job = self._jobs.submit(kind, request.request_id, data, [self._store.using(*artifacts)])
        return pb.StartJobResponse(job=convert.job_to_proto(job))

    def WatchJob(self, request: pb.WatchJobRequest, context: grpc.ServicerContext) -> Iterator[pb.JobEvent]:
        with self._watches.taken():
            yield from self._jobs.watch(request.job_id, request.after_sequence, context.is_active)

    def StopJob(self, request: pb.StopJobRequest, context: grpc.ServicerContext) -> pb.StopJobResponse:
        job = self._jobs.stop(request.job_id, request.keep_result)
        return pb.StopJobResponse(job=convert.job_to_proto(job))

    def ListJobs(self, request: pb.ListJobsRequest, context: grpc.ServicerContext) -> pb.ListJobsResponse:
        return pb.ListJobsResponse(jobs=[convert.job_to_proto(job) for job in self._jobs.list()])

    def RevokeController(
        self, request: pb.RevokeControllerRequest, context: grpc.ServicerContext
    ) -> pb.RevokeControllerResponse:
        check_sha256(request.fingerprint)
        if not isinstance(self._trust, Trust):
            raise _invalid("an agent started with --insecure has no paired controllers")
        return pb.RevokeControllerResponse(revoked=self._trust.revoke(request.fingerprint))


def _pieces(requests: Iterator[pb.PushArtifactRequest]) -> Iterator[bytes]:
    for request in requests:
        if request.HasField("header"):
            raise _invalid("a push has one header, as its first message", "use a controller of the same release")
        yield request.data
