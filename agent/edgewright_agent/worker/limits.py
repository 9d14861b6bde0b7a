"""What a worker allows itself, set before anything heavy is loaded, and what it took."""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent dies (Linux; elsewhere the closed stdin ends it).

    The parent that counts is the thread that started it.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def limit_memory(limit_bytes: int) -> None:
    """Limits private memory: heap and anonymous mappings. 0: no limit.

    RLIMIT_DATA and not RLIMIT_AS, because runtimes reserve address space and map files far beyond what they
    use. Linux before 4.7 counts the heap alone, so large blocks escape it there.
    """
    if limit_bytes > 0:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard != resource.RLIM_INFINITY:
            limit_bytes = min(limit_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


def peak_memory_bytes() -> int:
    """The largest resident size of this process so far.

    VmHWM rather than getrusage, whose maximum on Linux starts with what the parent had when it forked.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:  # no Linux
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
