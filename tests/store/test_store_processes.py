"""Several commands at once: real processes on one home."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgewright.store.store import Store

_OPEN_AND_ADD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from store_examples import a_model
from edgewright.store.store import Store
with Store.open(Path(sys.argv[1])) as store:
    for index in range(10):
        store.models.add(a_model(f"m{sys.argv[2]}-{index}"))
        store.artifacts.put_bytes(b"same bytes")
"""

_WORK_ONCE = """
import sys, time
from pathlib import Path
from edgewright.store.store import Store
home = Path(sys.argv[1])
waited = []
with Store.open(home) as store, store.work_lock("compress:lite0", lambda: waited.append(1)):
    if not (home / "result").exists():
        (home / "work.log").open("a").write("worked\\n")
        time.sleep(0.5)
        (home / "result").write_text("done")
print(len(waited))
"""

_HOLD_FOREVER = """
import sys, time
from pathlib import Path
from edgewright.store.store import Store
with Store.open(Path(sys.argv[1])) as store, store.work_lock("k"):
    print("held", flush=True)
    time.sleep(600)
"""


def _start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_commands_at_once_lose_nothing(home: Path) -> None:
    """Four processes make one home and write into it: all migrate safely, all rows are there."""
    started = [_start(_OPEN_AND_ADD, str(home), str(n), str(Path(__file__).parent)) for n in range(4)]

    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors

    with Store.open(home) as store:
        assert len(store.models.list()) == 40
        assert len(list(store.artifacts.digests())) == 1


def test_the_same_work_is_done_once(home: Path) -> None:
    """Of three processes with one key one works; the others wait, say so once, and find it done."""
    Store.open(home).close()
    started = [_start(_WORK_ONCE, str(home)) for _ in range(3)]

    outputs = [process.communicate(timeout=60) for process in started]

    assert [process.returncode for process in started] == [0, 0, 0], outputs
    assert (home / "work.log").read_text() == "worked\n"
    assert {out.strip() for out, _ in outputs} <= {"0", "1"}


def test_a_killed_holder_frees_its_lock(home: Path) -> None:
    """A lock does not outlive its process, even one that was killed."""
    holder = _start(_HOLD_FOREVER, str(home))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waited = []

    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with Store.open(home) as store, store.work_lock("k", lambda: waited.append(1)):
        pass

    assert waited == []


def test_different_work_does_not_wait(store: Store) -> None:
    """Locks of different keys are independent, and one is free again after its block."""
    start = time.monotonic()
    with store.work_lock("a", pytest.fail), store.work_lock("b", pytest.fail):
        pass
    with store.work_lock("a", pytest.fail):
        pass
    assert time.monotonic() - start < 5


def test_opening_is_light() -> None:
    """An open of a ready store loads neither alembic nor anything of the heavy stack."""
    script = (
        "import sys, tempfile, pathlib\n"
        "from edgewright.store.store import Store\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "Store.open(home).close()\n"
        "print([name for name in ('alembic', 'torch', 'onnx', 'grpc', 'numpy') if name in sys.modules])\n"
    )
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Store.open(Path(folder)).close()
        done = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
