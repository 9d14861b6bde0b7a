"""Starting the command line costs little and loads nothing heavy."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

HEAVY = ("torch", "onnx", "onnxruntime", "grpc", "starlette", "fastapi", "numpy", "sqlalchemy", "PIL", "rich", "jinja2")
PROBE = """
import json, sys
from edgewright.cli.app import run
try:
    run({arguments!r})
finally:
    print(json.dumps(sorted(name for name in sys.modules if "." not in name)), file=sys.stderr)
"""


def modules_after(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=list(arguments))], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_loads_nothing_heavy() -> None:
    """`--help` of the program and of a command import no numerical, network, database or web library."""
    for arguments in (["--help"], ["compress", "--help"], ["device", "add", "--help"], ["quickstart", "--help"]):
        loaded = modules_after(*arguments)

        assert "edgewright" in loaded
        assert loaded.isdisjoint(HEAVY), sorted(loaded & set(HEAVY))


def test_help_answers_within_300_ms_of_a_plain_start() -> None:
    """The median of several `--help` is at most 0.3 s above that of an empty Python program."""

    def seconds(*command: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], capture_output=True, check=True)
        return time.perf_counter() - started

    plain, helped = [], []
    for _ in range(7):
        plain.append(seconds("-c", "pass"))
        helped.append(seconds("-c", "from edgewright.cli.app import run; raise SystemExit(run(['--help']))"))

    assert statistics.median(helped) - statistics.median(plain) < 0.3
