"""Why a worker died, from its exit status, its last words and the kernel's counters."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

from edgewright_contract.errors import EdgewrightError, ErrorCode

# Words of programs that got no memory: C++, Python, the C library, OpenBLAS, onnxruntime, the loader.
_MEMORY_WORDS = (
    "bad_alloc",
    "MemoryError",
    "Cannot allocate memory",
    "cannot allocate memory",
    "Memory allocation still failed",
    "Failed to allocate memory",
    "failed to map segment",
)
QUOTED_LINES = 5

_COMPARE = "run the model on the desktop to see whether the file or the device's runtime is at fault"
HINTS = {
    ErrorCode.WORKER_OUT_OF_MEMORY: "free memory on the device, use a smaller model, or raise the agent's limit",
    ErrorCode.WORKER_CRASHED: _COMPARE,
    ErrorCode.WORKER_FAILED: _COMPARE,
    ErrorCode.DISK_FULL: "free space on the device, or send a smaller input set",
}


@dataclass(frozen=True)
class Death:
    """A process's end: `status` as subprocess gives it (negative: the signal), what it wrote to stderr,
    whether the kernel's out-of-memory killer was at work meanwhile, and the limit it ran under (0: none)."""

    name: str
    status: int
    stderr: str
    oom_killed: bool
    memory_limit_bytes: int


def explain_death(death: Death) -> EdgewrightError:
    """The error to raise: WORKER_OUT_OF_MEMORY or WORKER_CRASHED, with the signal and the last words."""
    lines = [line.strip() for line in death.stderr.splitlines() if line.strip()][-QUOTED_LINES:]
    last_words = f"; its last words: {' | '.join(lines)[-1000:]}" if lines else ""
    limit = f" under a limit of {death.memory_limit_bytes} bytes" if death.memory_limit_bytes else ""
    killed_for_memory = death.status == -signal.SIGKILL and death.oom_killed
    if killed_for_memory or speaks_of_memory(death.stderr):
        how = "the kernel killed it" if killed_for_memory else _how(death.status)
        return EdgewrightError(
            ErrorCode.WORKER_OUT_OF_MEMORY,
            f"{death.name}: the worker ran out of memory{limit} ({how}){last_words}",
            HINTS[ErrorCode.WORKER_OUT_OF_MEMORY],
        )
    return EdgewrightError(
        ErrorCode.WORKER_CRASHED,
        f"{death.name}: the worker died{limit}: {_how(death.status)}{last_words}",
        HINTS[ErrorCode.WORKER_CRASHED],
    )


def speaks_of_memory(text: str) -> bool:
    """Whether an error's text or a process's last words are about missing memory."""
    return any(word in text for word in _MEMORY_WORDS)


def _how(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


def oom_kills(sysroot: Path) -> int:
    """Processes the kernel has killed for lack of memory; 0 where it does not count them (before 4.13)."""
    try:
        lines = (sysroot / "proc/vmstat").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
