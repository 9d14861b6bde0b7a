"""Errors across a real gRPC call."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from edgewright_contract import agent_pb2 as pb
from edgewright_contract import agent_pb2_grpc as rpc
from edgewright_contract.errors import CATALOGUE, EdgewrightError, ErrorCode
from edgewright_contract.errors_grpc import METADATA_KEY, STATUS_CODES, error_from_rpc, rpc_errors, status_of


class Failing(rpc.AgentServicer):
    """Describe raises what it is told; ListJobs streams nothing; the rest is not there."""

    def __init__(self) -> None:
        self.failure: Exception = RuntimeError()

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeResponse:
        with rpc_errors(context):
            raise self.failure


@pytest.fixture
def server() -> Iterator[tuple[Failing, rpc.AgentStub]]:
    failing = Failing()
    running = grpc.server(ThreadPoolExecutor(2))
    rpc.add_AgentServicer_to_server(failing, running)
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield failing, rpc.AgentStub(channel)
    running.stop(0).wait()


def failure_of(stub: rpc.AgentStub, timeout_s: float = 10.0) -> tuple[grpc.RpcError, EdgewrightError]:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Describe.future(pb.DescribeRequest(), timeout=timeout_s).result()
    return caught.value, error_from_rpc(caught.value)


def test_every_code_crosses_the_wire(server: tuple[Failing, rpc.AgentStub]) -> None:
    """Code, message and hint arrive as they left, for the whole catalogue."""
    failing, stub = server
    for code in ErrorCode:
        failing.failure = EdgewrightError(code, f"grün {code.value}", "try\nagain")

        raw, error = failure_of(stub)

        assert raw.code() is status_of(code)
        assert (error.code, error.message, error.hint) == (code, f"grün {code.value}", "try\nagain")


def test_unforeseen_failure_keeps_its_text(
    server: tuple[Failing, rpc.AgentStub], caplog: pytest.LogCaptureFixture
) -> None:
    """A defect is logged where it happened; the peer learns INTERNAL and nothing else."""
    failing, stub = server
    failing.failure = KeyError("/secret/path")
    caplog.set_level(logging.ERROR)

    raw, error = failure_of(stub)

    assert error.code is ErrorCode.INTERNAL
    assert "secret" not in f"{raw.details()} {error.message} {raw.trailing_metadata()}"
    assert "secret" in caplog.text


def test_very_long_messages_are_cut(server: tuple[Failing, rpc.AgentStub]) -> None:
    """A message beyond what metadata can hold still arrives."""
    failing, stub = server
    failing.failure = EdgewrightError(ErrorCode.MODEL_CORRUPT, "x" * 100_000, "y" * 100_000)

    _, error = failure_of(stub)

    assert error.code is ErrorCode.MODEL_CORRUPT
    assert 100 < len(error.message) < 5000


def test_code_of_a_newer_agent_keeps_its_words() -> None:
    """An unknown code is INTERNAL here, with the message it came with."""

    class Newer(grpc.RpcError):
        def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
            return ((METADATA_KEY, b'{"code": "brand_new", "message": "the flux is low", "hint": "add flux"}'),)

    received = error_from_rpc(Newer())

    assert received.code is ErrorCode.INTERNAL
    assert "the flux is low" in received.message
    assert received.hint == "add flux"


def test_nobody_there_is_unreachable() -> None:
    """A refused connection is DEVICE_UNREACHABLE."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with grpc.insecure_channel(f"127.0.0.1:{taken.getsockname()[1]}") as channel:
            _, error = failure_of(rpc.AgentStub(channel))

    assert error.code is ErrorCode.DEVICE_UNREACHABLE
    assert error.hint


def test_silence_is_a_timeout() -> None:
    """A server that never answers is DEVICE_TIMEOUT."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with grpc.insecure_channel(address) as channel:
            raw, error = failure_of(rpc.AgentStub(channel), timeout_s=0.3)

    assert raw.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert error.code is ErrorCode.DEVICE_TIMEOUT


def test_missing_method_is_a_mismatch(server: tuple[Failing, rpc.AgentStub]) -> None:
    """A call the other side does not know is PROTOCOL_MISMATCH."""
    _, stub = server
    with pytest.raises(grpc.RpcError) as caught:
        stub.ListJobs.future(pb.ListJobsRequest(), timeout=10).result()

    assert error_from_rpc(caught.value).code is ErrorCode.PROTOCOL_MISMATCH


def test_tables_are_total() -> None:
    """Every code has a status that exists, every status a code."""
    assert set(CATALOGUE) == set(ErrorCode)
    assert {status_of(code) for code in ErrorCode} <= set(grpc.StatusCode)
    assert set(STATUS_CODES) == set(grpc.StatusCode)
