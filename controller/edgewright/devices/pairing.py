"""Pairing with an agent by its one-time code.

The code carries a prefix of the agent certificate's fingerprint and a secret. The certificate that the address shows
must match the prefix; then both sides derive the same short-lived key from the secret, and the mutual TLS handshake
with it proves the secret. Over that connection the controller hands over its own certificate; both are pinned.
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from edgewright.devices.address import Address
from edgewright.devices.channel import open_secure
from edgewright_contract import agent_pb2 as pb
from edgewright_contract import agent_pb2_grpc as rpc
from edgewright_contract import pairing
from edgewright_contract.certificates import fetch_server_certificate, fingerprint
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.errors_grpc import error_from_rpc

CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class PairedAgent:
    certificate_pem: bytes
    fingerprint: str
    version: str


def pair(address: Address, code_text: str, identity: tuple[bytes, bytes], controller_name: str) -> PairedAgent:
    """Pairs with the agent at `address`.

    Raises PAIRING_CODE_INVALID (not a code), CERTIFICATE_MISMATCH (a code of another agent),
    PAIRING_CODE_REFUSED (used, expired or guessed) or DEVICE_UNREACHABLE.
    """
    code = pairing.parse(code_text)
    certificate = fetch_server_certificate(address.host, address.port, CONNECT_SECONDS)
    if not code.matches(certificate):
        raise EdgewrightError(
            ErrorCode.CERTIFICATE_MISMATCH,
            f"the agent at {address} is not the one that made this code (its certificate differs)",
            "check the address, or get a new code there with `edgewright-agent pair`",
        )
    request = pb.PairRequest(controller_name=controller_name, controller_certificate=identity[1])
    with open_secure(address, pairing.pairing_identity(code.secret), certificate) as channel:
        try:
            stub = rpc.PairingStub(channel)  # type: ignore[no-untyped-call]
            response = stub.Pair.future(request, timeout=CONNECT_SECONDS).result()
        except grpc.RpcError as failure:
            raise _refusal(failure, address) from failure
    return PairedAgent(certificate, fingerprint(certificate), response.agent_version)


def _refusal(failure: grpc.RpcError, address: Address) -> EdgewrightError:
    if failure.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        # The agent answered a moment ago; in TLS 1.3 a refused client is not told why.
        return EdgewrightError(
            ErrorCode.PAIRING_CODE_REFUSED,
            f"the agent at {address} refused the pairing code: it is wrong, used already, or has expired",
            "get a new one on the device with `edgewright-agent pair`",
        )
    return error_from_rpc(failure, str(address))
