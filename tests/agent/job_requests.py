"""What the tests of jobs and deployments ask an agent for."""

from __future__ import annotations

import secrets
import time

from edgewright_contract import agent_pb2 as pb
from edgewright_contract import transfer
from tests.agent.harness import Client, RunningAgent, call

Paired = tuple[RunningAgent, Client]


def candidate(sha256: str, label: str = "relu@base", **changes: object) -> pb.Candidate:
    fields = {"label": label, "sha256": sha256, "format": "onnx", "runtime": "onnxruntime", "threads": 1}
    return pb.Candidate(**{**fields, **changes})


def deploy(paired: Client, sha256: str, slot: str = "default", **changes: object) -> pb.DeployResponse:
    return call(paired.stub.Deploy, pb.DeployRequest(slot=slot, candidate=candidate(sha256, **changes)))


def deployments(paired: Client) -> dict[str, pb.Deployment]:
    answer = call(paired.stub.ListDeployments, pb.ListDeploymentsRequest())
    return {one.slot: one for one in answer.deployments}


def push_both(paired: Client, relu: bytes, samples: bytes) -> tuple[str, str]:
    for data in (relu, samples):
        paired.push_bytes(data)
    return transfer.sha256_of_bytes(relu), transfer.sha256_of_bytes(samples)


def benchmark_request(model: str, golden: str, seconds: float, request_id: str = "") -> pb.StartBenchmarkRequest:
    return pb.StartBenchmarkRequest(
        request_id=request_id or secrets.token_hex(8),
        candidates=[candidate(model, "relu@base"), candidate(model, "relu@acc1")],
        golden=pb.InputSet(sha256=golden),
        plan=pb.BenchmarkPlan(
            processes=1, blocks=2, block_seconds=0.01, max_seconds=seconds, warmup_seconds=0.02, seed=7
        ),
    )


def long_request(model: str, golden: str) -> pb.StartBenchmarkRequest:
    """A benchmark that would take minutes."""
    request = benchmark_request(model, golden, 600)
    request.plan.processes, request.plan.blocks, request.plan.block_seconds = 8, 2000, 0.05
    return request


def start(paired: Client, request: pb.StartBenchmarkRequest) -> pb.Job:
    return call(paired.stub.StartBenchmark, request).job


def stop(paired: Client, job_id: str, keep_result: bool) -> pb.Job:
    return call(paired.stub.StopJob, pb.StopJobRequest(job_id=job_id, keep_result=keep_result)).job


def jobs(paired: Client) -> dict[str, pb.Job]:
    return {job.id: job for job in call(paired.stub.ListJobs, pb.ListJobsRequest()).jobs}


def wait_for(what: str, condition: object, timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, f"waited {timeout_s} s for {what}"
        time.sleep(0.01)
