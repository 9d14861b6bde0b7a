"""Why an agent does not answer: TLS tells a refused client nothing, so it is found out from outside."""

from __future__ import annotations

from collections.abc import Callable

from edgewright.devices.address import Address
from edgewright_contract.certificates import fetch_server_certificate, fingerprint
from edgewright_contract.errors import EdgewrightError, ErrorCode

PROBE_SECONDS = 3.0


def explain(
    failure: EdgewrightError, address: Address, pinned: bytes, answers_us: Callable[[], bool]
) -> EdgewrightError:
    """The failure as a person can act on it.

    Another certificate at the address is CERTIFICATE_MISMATCH; the right one that refuses us is DEVICE_NOT_PAIRED;
    otherwise what keeps the address from answering. `answers_us` tries one call on a new connection: when that
    works, the link was only broken for a moment and `failure` stands as it is.
    """
    try:
        shown = fetch_server_certificate(address.host, address.port, PROBE_SECONDS)
    except EdgewrightError as outside:
        return outside
    if fingerprint(shown) != fingerprint(pinned):
        return EdgewrightError(
            ErrorCode.CERTIFICATE_MISMATCH,
            f"the agent at {address} is not the one that was paired: its certificate differs",
            "check the address; if the agent's state was erased, remove the device here and pair again",
        )
    if answers_us():
        return failure
    return EdgewrightError(
        ErrorCode.DEVICE_NOT_PAIRED,
        f"the agent at {address} does not trust this controller: its access was revoked, or the keys here changed",
        "`edgewright-agent pair` on the device, then remove and add it here",
    )
