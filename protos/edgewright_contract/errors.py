"""One error type, one catalogue of stable codes.

EdgewrightError
└── carries an ErrorCode; the catalogue gives its exit status, its gRPC status and its page in docs/errors.md

A message has what was wrong with its value and what is allowed; a hint has the next step.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_GOAL_MISSED, EXIT_CANCELLED = 0, 1, 2, 3, 130


class ErrorCode(str, Enum):
    """Stable names; they may be added, never renamed."""

    # input of a command
    USAGE = "usage"
    NAME_INVALID = "name_invalid"
    FILE_NOT_FOUND = "file_not_found"
    OPTION_INVALID = "option_invalid"
    # models
    MODEL_UNRECOGNISED = "model_unrecognised"
    MODEL_CORRUPT = "model_corrupt"
    MODEL_OPSET_UNSUPPORTED = "model_opset_unsupported"
    MODEL_WEIGHTS_MISSING = "model_weights_missing"
    MODEL_TOO_LARGE = "model_too_large"
    MODEL_UNRUNNABLE = "model_unrunnable"
    MODEL_UNSUPPORTED = "model_unsupported"
    MODEL_NOT_FINITE = "model_not_finite"
    MODEL_UNKNOWN = "model_unknown"
    MODEL_EXISTS = "model_exists"
    MODEL_IN_USE = "model_in_use"
    # specs
    SPEC_INVALID = "spec_invalid"
    SPEC_MISMATCH = "spec_mismatch"
    # data sets
    DATASET_EMPTY = "dataset_empty"
    DATASET_INVALID = "dataset_invalid"
    DATASET_ONE_CLASS = "dataset_one_class"
    DATASET_TOO_SMALL = "dataset_too_small"
    DATASET_UNKNOWN = "dataset_unknown"
    DATASET_EXISTS = "dataset_exists"
    DATASET_IN_USE = "dataset_in_use"
    DATASET_CHANGED = "dataset_changed"
    DATASET_REQUIRED = "dataset_required"
    LABEL_INVALID = "label_invalid"
    # variants and compression
    VARIANT_UNKNOWN = "variant_unknown"
    LEVEL_UNKNOWN = "level_unknown"
    RECIPE_INVALID = "recipe_invalid"
    TARGET_UNKNOWN = "target_unknown"
    COMPRESSION_FAILED = "compression_failed"
    # results
    RESULT_UNKNOWN = "result_unknown"
    RESULT_CORRUPT = "result_corrupt"
    RESULT_VERSION = "result_version"
    # store
    STORE_BUSY = "store_busy"
    STORE_FAILED = "store_failed"
    STORE_NEWER = "store_newer"
    DISK_FULL = "disk_full"
    # devices
    DEVICE_UNKNOWN = "device_unknown"
    DEVICE_EXISTS = "device_exists"
    DEVICE_UNREACHABLE = "device_unreachable"
    DEVICE_NOT_PAIRED = "device_not_paired"
    DEVICE_TIMEOUT = "device_timeout"
    CERTIFICATE_MISMATCH = "certificate_mismatch"
    PAIRING_CODE_INVALID = "pairing_code_invalid"
    PAIRING_CODE_REFUSED = "pairing_code_refused"
    PROTOCOL_MISMATCH = "protocol_mismatch"
    ADDRESS_INVALID = "address_invalid"
    # agent
    AGENT_STATE_LOCKED = "agent_state_locked"
    AGENT_STATE_UNUSABLE = "agent_state_unusable"
    AGENT_ADDRESS_IN_USE = "agent_address_in_use"
    AGENT_NOT_RUNNING = "agent_not_running"
    INSECURE_REFUSED = "insecure_refused"
    PERMISSION_DENIED = "permission_denied"
    ARTIFACT_UNKNOWN = "artifact_unknown"
    ARTIFACT_CORRUPT = "artifact_corrupt"
    ARTIFACT_OFFSET = "artifact_offset"
    ARTIFACT_IN_USE = "artifact_in_use"
    REQUEST_INVALID = "request_invalid"
    RUNTIME_UNAVAILABLE = "runtime_unavailable"
    WORKER_CRASHED = "worker_crashed"
    WORKER_TIMEOUT = "worker_timeout"
    WORKER_OUT_OF_MEMORY = "worker_out_of_memory"
    WORKER_FAILED = "worker_failed"
    JOB_UNKNOWN = "job_unknown"
    JOB_INTERRUPTED = "job_interrupted"
    QUEUE_FULL = "queue_full"
    DEVICE_BUSY = "device_busy"
    SLOT_UNKNOWN = "slot_unknown"
    DEPLOY_GOAL_MISSED = "deploy_goal_missed"
    ROLLBACK_UNAVAILABLE = "rollback_unavailable"
    # general
    DEPENDENCY_MISSING = "dependency_missing"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


@dataclass(frozen=True)
class CatalogueEntry:
    """What a code means at the borders: process exit status and gRPC status name."""

    exit_status: int
    grpc_status: str


def _entry(exit_status: int, grpc_status: str) -> CatalogueEntry:
    return CatalogueEntry(exit_status, grpc_status)


_INPUT = _entry(EXIT_USAGE, "INVALID_ARGUMENT")
_UNKNOWN = _entry(EXIT_USAGE, "NOT_FOUND")
_EXISTS = _entry(EXIT_USAGE, "ALREADY_EXISTS")
_FAILED = _entry(EXIT_FAILED, "FAILED_PRECONDITION")
_ABORTED = _entry(EXIT_FAILED, "ABORTED")

CATALOGUE: dict[ErrorCode, CatalogueEntry] = {
    ErrorCode.USAGE: _INPUT,
    ErrorCode.NAME_INVALID: _INPUT,
    ErrorCode.FILE_NOT_FOUND: _UNKNOWN,
    ErrorCode.OPTION_INVALID: _INPUT,
    ErrorCode.MODEL_UNRECOGNISED: _INPUT,
    ErrorCode.MODEL_CORRUPT: _INPUT,
    ErrorCode.MODEL_OPSET_UNSUPPORTED: _INPUT,
    ErrorCode.MODEL_WEIGHTS_MISSING: _INPUT,
    ErrorCode.MODEL_TOO_LARGE: _INPUT,
    ErrorCode.MODEL_UNRUNNABLE: _INPUT,
    ErrorCode.MODEL_UNSUPPORTED: _INPUT,
    ErrorCode.MODEL_NOT_FINITE: _INPUT,
    ErrorCode.MODEL_UNKNOWN: _UNKNOWN,
    ErrorCode.MODEL_EXISTS: _EXISTS,
    ErrorCode.MODEL_IN_USE: _INPUT,
    ErrorCode.SPEC_INVALID: _INPUT,
    ErrorCode.SPEC_MISMATCH: _INPUT,
    ErrorCode.DATASET_EMPTY: _INPUT,
    ErrorCode.DATASET_INVALID: _INPUT,
    ErrorCode.DATASET_ONE_CLASS: _INPUT,
    ErrorCode.DATASET_TOO_SMALL: _INPUT,
    ErrorCode.DATASET_UNKNOWN: _UNKNOWN,
    ErrorCode.DATASET_EXISTS: _EXISTS,
    ErrorCode.DATASET_IN_USE: _INPUT,
    ErrorCode.DATASET_CHANGED: _INPUT,
    ErrorCode.DATASET_REQUIRED: _INPUT,
    ErrorCode.LABEL_INVALID: _INPUT,
    ErrorCode.VARIANT_UNKNOWN: _UNKNOWN,
    ErrorCode.LEVEL_UNKNOWN: _INPUT,
    ErrorCode.RECIPE_INVALID: _INPUT,
    ErrorCode.TARGET_UNKNOWN: _INPUT,
    ErrorCode.COMPRESSION_FAILED: _FAILED,
    ErrorCode.RESULT_UNKNOWN: _UNKNOWN,
    ErrorCode.RESULT_CORRUPT: _entry(EXIT_FAILED, "DATA_LOSS"),
    ErrorCode.RESULT_VERSION: _FAILED,
    ErrorCode.STORE_BUSY: _entry(EXIT_FAILED, "UNAVAILABLE"),
    ErrorCode.STORE_FAILED: _FAILED,
    ErrorCode.STORE_NEWER: _FAILED,
    ErrorCode.DISK_FULL: _entry(EXIT_FAILED, "RESOURCE_EXHAUSTED"),
    ErrorCode.DEVICE_UNKNOWN: _UNKNOWN,
    ErrorCode.DEVICE_EXISTS: _EXISTS,
    ErrorCode.DEVICE_UNREACHABLE: _entry(EXIT_FAILED, "UNAVAILABLE"),
    ErrorCode.DEVICE_NOT_PAIRED: _entry(EXIT_FAILED, "UNAUTHENTICATED"),
    ErrorCode.DEVICE_TIMEOUT: _entry(EXIT_FAILED, "DEADLINE_EXCEEDED"),
    ErrorCode.CERTIFICATE_MISMATCH: _entry(EXIT_FAILED, "UNAUTHENTICATED"),
    ErrorCode.PAIRING_CODE_INVALID: _INPUT,
    ErrorCode.PAIRING_CODE_REFUSED: _entry(EXIT_FAILED, "UNAUTHENTICATED"),
    ErrorCode.PROTOCOL_MISMATCH: _entry(EXIT_FAILED, "UNIMPLEMENTED"),
    ErrorCode.ADDRESS_INVALID: _INPUT,
    ErrorCode.AGENT_STATE_LOCKED: _FAILED,
    ErrorCode.AGENT_STATE_UNUSABLE: _FAILED,
    ErrorCode.AGENT_ADDRESS_IN_USE: _FAILED,
    ErrorCode.AGENT_NOT_RUNNING: _FAILED,
    ErrorCode.INSECURE_REFUSED: _INPUT,
    ErrorCode.PERMISSION_DENIED: _entry(EXIT_FAILED, "PERMISSION_DENIED"),
    ErrorCode.ARTIFACT_UNKNOWN: _entry(EXIT_FAILED, "NOT_FOUND"),
    ErrorCode.ARTIFACT_CORRUPT: _entry(EXIT_FAILED, "DATA_LOSS"),
    ErrorCode.ARTIFACT_OFFSET: _entry(EXIT_FAILED, "OUT_OF_RANGE"),
    ErrorCode.ARTIFACT_IN_USE: _FAILED,
    ErrorCode.REQUEST_INVALID: _INPUT,
    ErrorCode.RUNTIME_UNAVAILABLE: _FAILED,
    ErrorCode.WORKER_CRASHED: _ABORTED,
    ErrorCode.WORKER_TIMEOUT: _ABORTED,
    ErrorCode.WORKER_OUT_OF_MEMORY: _ABORTED,
    ErrorCode.WORKER_FAILED: _ABORTED,
    ErrorCode.JOB_UNKNOWN: _entry(EXIT_FAILED, "NOT_FOUND"),
    ErrorCode.JOB_INTERRUPTED: _ABORTED,
    ErrorCode.QUEUE_FULL: _entry(EXIT_FAILED, "RESOURCE_EXHAUSTED"),
    ErrorCode.DEVICE_BUSY: _entry(EXIT_FAILED, "RESOURCE_EXHAUSTED"),
    ErrorCode.SLOT_UNKNOWN: _UNKNOWN,
    ErrorCode.DEPLOY_GOAL_MISSED: _entry(EXIT_GOAL_MISSED, "FAILED_PRECONDITION"),
    ErrorCode.ROLLBACK_UNAVAILABLE: _FAILED,
    ErrorCode.DEPENDENCY_MISSING: _FAILED,
    ErrorCode.CANCELLED: _entry(EXIT_CANCELLED, "CANCELLED"),
    ErrorCode.INTERNAL: _entry(EXIT_FAILED, "INTERNAL"),
}


class EdgewrightError(Exception):
    """Anything a person caused or can mend. `hint` says the next step."""

    def __init__(self, code: ErrorCode, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    @property
    def exit_status(self) -> int:
        return CATALOGUE[self.code].exit_status

    def as_json(self) -> dict[str, dict[str, str]]:
        return {"error": {"code": self.code.value, "message": self.message, "hint": self.hint}}
