"""An agent that kills itself (-9) at the Nth change it makes to its state folder, once a test arms it.

Started as a program: `dying_agent.py serve ...` with FAULT_FILE (holds N while armed) and FAULT_ROOT (the state
folder). Changes are seen by an audit hook, which Python calls before the change is made, and by a wrapped fsync; so
killing at 1, 2, 3 ... leaves every state of the disk that lies between two changes.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

from edgewright_agent.cli import main

ROOT, FAULT_FILE = os.environ["FAULT_ROOT"], os.environ["FAULT_FILE"]
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.utime", "os.chmod"}

_inside = threading.local()
_lock = threading.Lock()
_seen = 0
_armed_as = ""


def _count() -> None:
    """One more change; the last one that is allowed ends this process."""
    global _seen, _armed_as
    with _lock:
        try:
            descriptor = os.open(FAULT_FILE, os.O_RDONLY)
        except FileNotFoundError:
            return
        text = os.read(descriptor, 100).decode()
        os.close(descriptor)
        if not text:
            return
        if text != _armed_as:
            _armed_as, _seen = text, 0
        _seen += 1
        if _seen >= int(text.split()[0]):
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & WRITES:
            return
    elif event in CHANGES:
        path = arguments[0]
    else:
        return
    if getattr(_inside, "hook", False) or not isinstance(path, (str, bytes, os.PathLike)):
        return
    if os.fsdecode(path).startswith(ROOT):
        _inside.hook = True
        try:
            _count()
        finally:
            _inside.hook = False


def _fsync(descriptor: int, original: Any = os.fsync) -> None:
    _inside.hook = True
    try:
        _count()
    finally:
        _inside.hook = False
    original(descriptor)


if __name__ == "__main__":
    os.fsync = _fsync
    sys.addaudithook(_hook)
    sys.exit(main(sys.argv[1:]))
