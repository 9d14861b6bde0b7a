"""What the parent hands to a measurement. Light: no numpy, no runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgewright_contract.values import Candidate, Normalization


@dataclass(frozen=True)
class LocalCandidate:
    """A candidate and the file that holds its artifact on this device."""

    candidate: Candidate
    model_path: Path


@dataclass(frozen=True)
class LocalInputs:
    """A .npy file of samples along axis 0 on this device, and how a sample becomes network input."""

    path: Path
    normalization: Normalization


@dataclass(frozen=True)
class WorkerSettings:
    """How workers are started and limited.

    `python` is the argv prefix that starts a Python (an emulator may stand before it); `memory_limit_bytes` 0
    means no limit; `load_timeout_s` covers starting and loading, `call_timeout_s` any later call;
    `sysroot` is where /proc and /sys are looked up ("/" but in tests).
    """

    python: tuple[str, ...]
    memory_limit_bytes: int
    load_timeout_s: float
    call_timeout_s: float
    sysroot: Path


class Control(Protocol):
    """How the owner of a job speaks to a running measurement; asked several times a second."""

    def cancelled(self) -> bool:
        """True once the result is unwanted."""
        ...

    def finish_requested(self) -> bool:
        """True once sampling should stop and what is there be kept."""
        ...
