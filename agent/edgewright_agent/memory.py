"""Memory a transfer leaves in the allocator goes back to the system: a waiting agent has to stay small."""

from __future__ import annotations

import threading

_DELAY_S = 0.5  # after the call: its buffers are still in use when the servicer returns


def _trim() -> None:
    import ctypes

    # glibc alone has it; other C libraries give back by themselves.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def give_back_soon() -> None:
    timer = threading.Timer(_DELAY_S, _trim)
    timer.daemon = True
    timer.start()
