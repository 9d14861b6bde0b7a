"""An interpreter prefix for workers whose null runtime acts like a faulty library.

Usage: python misbehaving_python.py BEHAVIOUR -I entry.py SYS_PATH_JSON MEMORY_LIMIT
"""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import sys
import time

_, behaviour, _, entry, paths, *_ = sys.argv
sys.path.extend(json.loads(paths))
sys.argv = sys.argv[3:]

from edgewright_agent.runtimes import null  # noqa: E402


def act() -> None:
    if behaviour == "print":
        print('{"ok": {}} from a library', flush=True)
        os.write(1, b"raw bytes \xff\xfe\n" * 2000)
    elif behaviour == "segfault":
        ctypes.string_at(0)
    elif behaviour == "bad_alloc":
        os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
        os.abort()
    elif behaviour == "exit":
        os.write(2, b"libfaulty: giving up\n")
        os._exit(3)
    elif behaviour == "memory_error":
        raise MemoryError("of the library")
    elif behaviour == "exception":
        raise ZeroDivisionError("in the library")
    elif behaviour == "sleep":
        time.sleep(600)


null._nothing = act
runpy.run_path(entry, run_name="__main__")
