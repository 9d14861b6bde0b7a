"""The worker process: `python -I entry.py SYS_PATH_JSON MEMORY_LIMIT_BYTES`.

Run by file, not by name: an isolated Python finds the agent only after the paths from its first argument
are in place. Requests and replies are JSON lines over stdin and stdout.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    # Libraries may print to stdout: keep the real one for replies and send theirs to stderr.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path.extend(path for path in json.loads(sys.argv[1]) if path not in sys.path)

    from edgewright_agent.worker.commands import Worker
    from edgewright_agent.worker.limits import die_with_parent, limit_memory

    die_with_parent()
    limit_memory(int(sys.argv[2]))
    Worker(sys.stdin, replies).serve()


if __name__ == "__main__":
    main()
