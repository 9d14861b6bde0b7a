"""Errors across the wire: one context manager on the server's side, one function on the client's.

The gRPC status follows CATALOGUE; code, message and hint travel as JSON in trailing metadata. An exception
nobody foresaw is logged where it happened and leaves as INTERNAL without its text.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import Iterator

import grpc

from edgewright_contract.errors import CATALOGUE, EdgewrightError, ErrorCode

METADATA_KEY = "edgewright-error-bin"
_TEXT_MAX = 2000  # characters of message and of hint: metadata has to stay below 8 KiB

_logger = logging.getLogger(__name__)

# What a status means that came without our metadata: from the network, gRPC itself, or a foreign server.
STATUS_CODES: dict[grpc.StatusCode, ErrorCode] = {
    grpc.StatusCode.OK: ErrorCode.INTERNAL,  # an error with this status is a defect
    grpc.StatusCode.CANCELLED: ErrorCode.CANCELLED,
    grpc.StatusCode.UNKNOWN: ErrorCode.INTERNAL,
    grpc.StatusCode.INVALID_ARGUMENT: ErrorCode.REQUEST_INVALID,
    grpc.StatusCode.DEADLINE_EXCEEDED: ErrorCode.DEVICE_TIMEOUT,
    grpc.StatusCode.NOT_FOUND: ErrorCode.PROTOCOL_MISMATCH,
    grpc.StatusCode.ALREADY_EXISTS: ErrorCode.PROTOCOL_MISMATCH,
    grpc.StatusCode.PERMISSION_DENIED: ErrorCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ErrorCode.DEVICE_BUSY,
    grpc.StatusCode.FAILED_PRECONDITION: ErrorCode.PROTOCOL_MISMATCH,
    grpc.StatusCode.ABORTED: ErrorCode.DEVICE_UNREACHABLE,
    grpc.StatusCode.OUT_OF_RANGE: ErrorCode.PROTOCOL_MISMATCH,
    grpc.StatusCode.UNIMPLEMENTED: ErrorCode.PROTOCOL_MISMATCH,
    grpc.StatusCode.INTERNAL: ErrorCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE: ErrorCode.DEVICE_UNREACHABLE,
    grpc.StatusCode.DATA_LOSS: ErrorCode.PROTOCOL_MISMATCH,
    grpc.StatusCode.UNAUTHENTICATED: ErrorCode.DEVICE_NOT_PAIRED,
}

_HINTS: dict[ErrorCode, str] = {
    ErrorCode.DEVICE_UNREACHABLE: "check the address and that `edgewright-agent serve` runs "
    "there; a device that no longer trusts this controller answers like this too: pair again with a new code",
    ErrorCode.DEVICE_TIMEOUT: "check the network and the device's load, then try again",
    ErrorCode.DEVICE_NOT_PAIRED: "pair again: `edgewright-agent pair` on the device prints a code",
    ErrorCode.PROTOCOL_MISMATCH: "check the port, and that controller and agent are of the same release",
    ErrorCode.INTERNAL: "the agent's log has the details",
}


def status_of(code: ErrorCode) -> grpc.StatusCode:
    status: grpc.StatusCode = grpc.StatusCode[CATALOGUE[code].grpc_status]
    return status


@contextmanager
def rpc_errors(context: grpc.ServicerContext) -> Iterator[None]:
    """Run the body of an RPC; whatever it raises ends the call with a status."""
    try:
        yield
    except EdgewrightError as caught:
        error = caught
    except grpc.RpcError:
        raise  # the peer is gone; gRPC closes the call by itself
    except Exception:
        _logger.exception("an RPC failed in a way nobody foresaw")
        error = EdgewrightError(ErrorCode.INTERNAL, "the agent failed", _HINTS[ErrorCode.INTERNAL])
    else:
        return
    carried = {
        "code": error.code.value,
        "message": error.message[:_TEXT_MAX],
        "hint": error.hint[:_TEXT_MAX],
    }
    context.set_trailing_metadata(((METADATA_KEY, json.dumps(carried).encode("utf-8")),))
    context.abort(status_of(error.code), error.message[:_TEXT_MAX])


def _carried_error(rpc_error: grpc.RpcError) -> EdgewrightError | None:
    """The error our own servicer sent, or None."""
    for key, value in rpc_error.trailing_metadata() or ():
        if key != METADATA_KEY:
            continue
        try:
            carried = json.loads(value)
            message, hint = str(carried["message"]), str(carried["hint"])
            name = str(carried["code"])
        except (ValueError, KeyError, TypeError):
            return None
        known = name in ErrorCode._value2member_map_
        if not known:  # from a newer agent: keep its words
            return EdgewrightError(ErrorCode.INTERNAL, f"{message} ({name})", hint)
        return EdgewrightError(ErrorCode(name), message, hint)
    return None


def error_from_rpc(rpc_error: grpc.RpcError, device: str = "the device") -> EdgewrightError:
    """What went wrong with a call, in the words of the catalogue; `device` names it in the message."""
    carried = _carried_error(rpc_error)
    if carried is not None:
        return carried
    status = rpc_error.code()
    code = STATUS_CODES.get(status, ErrorCode.INTERNAL)
    details = rpc_error.details() or getattr(status, "name", str(status))
    texts = {
        ErrorCode.DEVICE_UNREACHABLE: f"{device} cannot be reached: {details}",
        ErrorCode.DEVICE_TIMEOUT: f"{device} did not answer in time",
        ErrorCode.CANCELLED: "the call was cancelled",
    }
    return EdgewrightError(code, texts.get(code, f"{device}: {details}"), _HINTS.get(code, ""))
