"""Starts real agents and talks to them with bare stubs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from edgewright_contract import agent_pb2 as pb
from edgewright_contract import agent_pb2_grpc as rpc
from edgewright_contract import certificates, pairing, transfer
from edgewright_contract.errors import EdgewrightError
from edgewright_contract.errors_grpc import error_from_rpc

PATIENCE_S = 30.0
CALL_S = 20.0

Identity = tuple[bytes, bytes]


def agent_argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "edgewright_agent", *arguments]


def run_agent(*arguments: str, timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    """One command of the agent to its end."""
    return subprocess.run(agent_argv(*arguments), capture_output=True, text=True, timeout=timeout_s, check=False)


@dataclass
class RunningAgent:
    """A served agent: its process, its port, and what it printed until it was ready."""

    state: Path
    process: subprocess.Popen[str]
    port: int
    started_s: float
    log: Path = field(default_factory=Path)

    @property
    def output(self) -> str:
        return self.log.read_text()

    def printed_code(self) -> str:
        """The code of the first start."""
        return next(word for word in self.output.split() if word.count("-") == 8)

    def kill(self) -> None:
        """As a power cut would: no goodbye."""
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Ask it to stop; return its exit status and how long it took (s)."""
        begin = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S), time.monotonic() - begin

    def pairing_code(self, *arguments: str) -> str:
        done = run_agent("pair", "--state", str(self.state), "--json", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return str(json.loads(done.stdout)["code"])

    def certificate(self) -> bytes:
        return certificates.fetch_server_certificate("127.0.0.1", self.port)


@contextmanager
def agent(
    state: Path, *arguments: str, python: Sequence[str] = (), variables: Mapping[str, str] | None = None
) -> Iterator[RunningAgent]:
    """A real agent on loopback and a port of the system's choice; killed at the end if it still runs."""
    state.parent.mkdir(parents=True, exist_ok=True)
    port_file, log = state.parent / f"{state.name}.port", state.parent / f"{state.name}.log"
    port_file.unlink(missing_ok=True)  # a killed agent leaves it behind
    argv = agent_argv("serve", "--host", "127.0.0.1", "--port", "0", "--state", str(state))
    argv = [*(python or argv[:3]), *argv[3:], "--port-file", str(port_file), *arguments]
    begin = time.monotonic()
    environment = {**os.environ, **(variables or {})}
    with log.open("w") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, text=True, env=environment)
    try:
        while not port_file.exists():
            assert process.poll() is None, f"the agent died:\n{log.read_text()}"
            assert time.monotonic() < begin + PATIENCE_S, f"the agent is not ready:\n{log.read_text()}"
            time.sleep(0.005)
        started = time.monotonic() - begin
        yield RunningAgent(state, process, int(port_file.read_text()), started, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def channel(port: int, identity: Identity | None, server_certificate: bytes) -> Iterator[grpc.Channel]:
    """A connection that pins the agent's certificate; `identity` None shows no certificate of ours."""
    key, certificate = identity or (None, None)
    credentials = grpc.ssl_channel_credentials(server_certificate, key, certificate)
    options = (
        ("grpc.ssl_target_name_override", certificates.TLS_NAME),
        ("grpc.use_local_subchannel_pool", 1),
    )
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as opened:
        yield opened


def pair_with(running: RunningAgent, code_text: str, identity: Identity, name: str = "desk") -> pb.PairResponse:
    code = pairing.parse(code_text)
    certificate = running.certificate()
    assert code.matches(certificate)
    with channel(running.port, pairing.pairing_identity(code.secret), certificate) as opened:
        request = pb.PairRequest(controller_name=name, controller_certificate=identity[1])
        return call(rpc.PairingStub(opened).Pair, request)


def call(method: Any, request: Any, timeout_s: float = CALL_S) -> Any:
    """One call with a deadline; its failure as an EdgewrightError."""
    try:
        return method.future(request, timeout=timeout_s).result()
    except grpc.RpcError as error:
        raise error_from_rpc(error) from error


class Client:
    """A paired controller's calls."""

    def __init__(self, opened: grpc.Channel) -> None:
        self.stub = rpc.AgentStub(opened)

    def describe(self) -> pb.DeviceFacts:
        return call(self.stub.Describe, pb.DescribeRequest()).facts

    def query(self, sha256: str) -> pb.QueryArtifactResponse:
        return call(self.stub.QueryArtifact, pb.QueryArtifactRequest(sha256=sha256))

    def push_bytes(
        self, data: bytes, sha256: str = "", size_bytes: int | None = None, offset: int = 0, end: int | None = None
    ) -> int:
        """Push `data[offset:end]` under a header that may lie."""
        sha256 = sha256 or transfer.sha256_of_bytes(data)
        header = pb.PushHeader(sha256=sha256, size_bytes=len(data) if size_bytes is None else size_bytes, offset=offset)

        def messages() -> Iterator[pb.PushArtifactRequest]:
            yield pb.PushArtifactRequest(header=header)
            body = data[offset:end]
            for begin in range(0, len(body), transfer.CHUNK_BYTES):
                yield pb.PushArtifactRequest(data=body[begin : begin + transfer.CHUNK_BYTES])

        return int(call(self.stub.PushArtifact, messages()).size_bytes)

    def fetch(self, sha256: str, offset: int = 0) -> bytes:
        body = bytearray()
        try:
            for message in self.stub.FetchArtifact(
                pb.FetchArtifactRequest(sha256=sha256, offset=offset), timeout=CALL_S
            ):
                body += message.data
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error
        return bytes(body)

    def watch(self, job_id: str, after: int = 0, timeout_s: float = 60.0) -> Iterator[pb.JobEvent]:
        request = pb.WatchJobRequest(job_id=job_id, after_sequence=after)
        try:
            yield from self.stub.WatchJob(request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error


@contextmanager
def client(running: RunningAgent, identity: Identity) -> Iterator[Client]:
    with channel(running.port, identity, running.certificate()) as opened:
        yield Client(opened)


def expect(code: str, error: EdgewrightError) -> None:
    assert error.code.value == code, f"{error.code.value}: {error.message}"
