"""gRPC channels to agents: pinned certificates both ways, or plain text on loopback when asked for."""

from __future__ import annotations

import grpc

from edgewright.devices.address import Address
from edgewright_contract.certificates import TLS_NAME
from edgewright_contract.limits import MESSAGE_BYTES_MAX

# Silence on a connection means trouble: a cut link is noticed within 15 s. Pings slower than 10 s are never
# punished by a default server ("too many pings").
_OPTIONS = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    # An agent that comes back must be found again at once, not after a back-off of minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Two channels to one agent with different certificates must not share a connection.
    ("grpc.use_local_subchannel_pool", 1),
)


def open_secure(address: Address, identity: tuple[bytes, bytes], agent_certificate: bytes) -> grpc.Channel:
    """A channel to the holder of `agent_certificate` (PEM) alone; it shows `identity`, (key, certificate) PEM."""
    credentials = grpc.ssl_channel_credentials(
        root_certificates=agent_certificate,
        private_key=identity[0],
        certificate_chain=identity[1],
    )
    options = (*_OPTIONS, ("grpc.ssl_target_name_override", TLS_NAME))
    return grpc.secure_channel(str(address), credentials, options=options)


def open_insecure(address: Address) -> grpc.Channel:
    """A plain-text channel; the caller has checked that the address is loopback."""
    return grpc.insecure_channel(str(address), options=_OPTIONS)
