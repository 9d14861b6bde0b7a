"""The gRPC server: its options, its threads, and the guard every call passes."""

from __future__ import annotations

import errno
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterator

import grpc

from edgewright_agent.servicer import AgentServicer, PairingServicer
from edgewright_agent.trust import Loopback, Peer, Trust
from edgewright_contract import agent_pb2_grpc as rpc
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.errors_grpc import rpc_errors
from edgewright_contract.limits import MESSAGE_BYTES_MAX

# 16 watches, 8 transfers and 2 deployments at most leave 6 for short calls. They start when needed.
THREADS = 32
CALLS_MAX = 128

OPTIONS = (
    ("grpc.so_reuseport", 0),  # else a second agent would silently share the port
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    # A cut link is noticed within 15 s on both sides, and a controller that pings as often is not punished.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
)


class Guard(grpc.ServerInterceptor):  # type: ignore[misc]
    """Runs every method with its caller checked and its errors translated."""

    def __init__(self, peer_of: Callable[[grpc.ServicerContext], Peer]) -> None:
        self._peer_of = peer_of

    def intercept_service(
        self, continuation: Callable[[Any], Any], details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        handler = continuation(details)
        if handler is None:
            return None
        service = details.method.strip("/").partition("/")[0]
        behaviors = {
            (False, False): (handler.unary_unary, grpc.unary_unary_rpc_method_handler),
            (False, True): (handler.unary_stream, grpc.unary_stream_rpc_method_handler),
            (True, False): (handler.stream_unary, grpc.stream_unary_rpc_method_handler),
            (True, True): (handler.stream_stream, grpc.stream_stream_rpc_method_handler),
        }
        behavior, make = behaviors[handler.request_streaming, handler.response_streaming]
        guarded = self._stream(behavior, service) if handler.response_streaming else self._one(behavior, service)
        return make(guarded, handler.request_deserializer, handler.response_serializer)

    def _one(self, behavior: Callable[[Any, Any], Any], service: str) -> Callable[[Any, Any], Any]:
        def guarded(request: Any, context: grpc.ServicerContext) -> Any:
            with rpc_errors(context):
                self._admit(context, service)
                return behavior(request, context)

        return guarded

    def _stream(self, behavior: Callable[[Any, Any], Any], service: str) -> Callable[[Any, Any], Iterator[Any]]:
        def guarded(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with rpc_errors(context):
                self._admit(context, service)
                yield from behavior(request, context)

        return guarded

    def _admit(self, context: grpc.ServicerContext, service: str) -> None:
        peer = self._peer_of(context)
        if peer.service != service:
            raise EdgewrightError(
                ErrorCode.PERMISSION_DENIED,
                f"{peer.name} may use {peer.service} only, not {service}",
                "a pairing code is for pairing; afterwards use the paired controller's certificate",
            )


def free_port_checked(host: str, port: int) -> None:
    """Say why we could not listen there, which gRPC does not.

    Raises AGENT_ADDRESS_IN_USE, ADDRESS_INVALID or PERMISSION_DENIED.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except PermissionError as error:
        raise EdgewrightError(
            ErrorCode.PERMISSION_DENIED, f"no right to listen on port {port}", "choose a port above 1023"
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise in_use(host, port) from error
        raise EdgewrightError(
            ErrorCode.ADDRESS_INVALID,
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            "name an address of this machine with --host",
        ) from error


def in_use(host: str, port: int) -> EdgewrightError:
    return EdgewrightError(
        ErrorCode.AGENT_ADDRESS_IN_USE,
        f"another program listens on {host}:{port}",
        "stop it, or choose another port with --port; 0 takes any free one",
    )


def start_server(
    host: str,
    port: int,
    trust: Trust | Loopback,
    agent: AgentServicer,
    pairing: PairingServicer | None,
) -> tuple[grpc.Server, int]:
    """Listen and serve; return the server and the port. With `Loopback` the connection is plain text."""
    free_port_checked(host, port)
    server = grpc.server(
        ThreadPoolExecutor(THREADS, thread_name_prefix="rpc"),
        interceptors=[Guard(trust.peer)],
        options=OPTIONS,
        maximum_concurrent_rpcs=CALLS_MAX,
    )
    rpc.add_AgentServicer_to_server(agent, server)  # type: ignore[no-untyped-call]
    if pairing is not None:
        rpc.add_PairingServicer_to_server(pairing, server)  # type: ignore[no-untyped-call]
    address = f"[{host.strip('[]')}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if isinstance(trust, Trust):
            bound = server.add_secure_port(address, trust.credentials())
        else:
            bound = server.add_insecure_port(address)
    except RuntimeError as error:
        raise in_use(host, port) from error
    if bound == 0:
        raise in_use(host, port)
    server.start()
    return server, int(bound)
