"""A training killed at any moment goes on, and ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edgewright.compress.train.batches import array_batches
from edgewright.compress.train.options import TrainOptions
from edgewright.compress.train.trainer import train
from edgewright.core.values import ProgressEvent
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.train.networks import classifier, images, judge, perturbed

OPTIONS = TrainOptions(steps=60, lr=3e-3, threads=1, evaluations=4, save_seconds=1e-6)
BATCHES = array_batches(images(100, 1), None, 16, flip=True, shift=1)


class Killed(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, bytes]:
    """(student, teacher, the network that an undisturbed training ends with)."""
    folder = tmp_path_factory.mktemp("resume")
    teacher = classifier(folder / "teacher.onnx")
    student = perturbed(teacher, folder / "student.onnx", 0.4)
    run(student, teacher, folder / "whole.onnx", None)
    return student, teacher, (folder / "whole.onnx").read_bytes()


def run(student: Path, teacher: Path, out: Path, folder: Path | None, stop_at: int = 0, **changes: object) -> object:
    def progress(event: ProgressEvent) -> None:
        if event.text == "training" and event.done == stop_at:
            raise Killed

    options = replace(OPTIONS, **changes)  # type: ignore[arg-type]
    return train(student, teacher, BATCHES, judge(images(64, 2)), options, out, progress, folder)


@pytest.mark.parametrize("stops", [(1,), (15, 16), (29, 44, 59)])
def test_an_interrupted_training_ends_the_same(
    files: tuple[Path, Path, bytes], tmp_path: Path, stops: tuple[int, ...]
) -> None:
    """Wherever it was interrupted, bit for bit; and a finished one answers again without training."""
    student, teacher, whole = files
    for stop in stops:
        with pytest.raises(Killed):
            run(student, teacher, tmp_path / "out.onnx", tmp_path / "state", stop)
        assert not (tmp_path / "out.onnx").exists()

    first = run(student, teacher, tmp_path / "out.onnx", tmp_path / "state")
    again = run(student, teacher, tmp_path / "again.onnx", tmp_path / "state", 1)

    assert (tmp_path / "out.onnx").read_bytes() == whole
    assert (tmp_path / "again.onnx").read_bytes() == whole
    assert first.history == again.history  # type: ignore[attr-defined]
    assert len(list((tmp_path / "state").iterdir())) <= 2


def test_saved_rarely_it_repeats_what_was_lost(files: tuple[Path, Path, bytes], tmp_path: Path) -> None:
    """From a save long before the interruption the same steps are taken again."""
    student, teacher, whole = files
    with pytest.raises(Killed):
        run(student, teacher, tmp_path / "out.onnx", tmp_path / "state", 28, save_seconds=1e6)

    run(student, teacher, tmp_path / "out.onnx", tmp_path / "state", save_seconds=1e6)

    assert (tmp_path / "out.onnx").read_bytes() == whole


PROGRAM = """
import sys
from pathlib import Path
from tests.train.test_resume import run
student, teacher, out, state = map(Path, sys.argv[1:])
print("ready", flush=True)
run(student, teacher, out, state)
"""


def test_kill_9_at_any_moment(files: tuple[Path, Path, bytes], tmp_path: Path) -> None:
    """A real process, killed while it saves after every step, and continued from what it left."""
    student, teacher, whole = files
    out, state = tmp_path / "out.onnx", tmp_path / "state"
    command = [sys.executable, "-c", PROGRAM, str(student), str(teacher), str(out), str(state)]
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    deadline = time.monotonic() + 120
    while not (state / "state.npz").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    time.sleep(random.uniform(0.0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()

    run(student, teacher, out, state)

    assert (state / "state.npz").exists()
    assert out.read_bytes() == whole
    assert not list(tmp_path.glob(".*"))


def test_another_training_is_not_continued(files: tuple[Path, Path, bytes], tmp_path: Path) -> None:
    """Other options with an old checkpoint are refused, and the message says which differ."""
    student, teacher, _ = files
    with pytest.raises(Killed):
        run(student, teacher, tmp_path / "out.onnx", tmp_path / "state", 5)

    with pytest.raises(EdgewrightError, match=r"lr \(was 0.003, is 0.01\)") as caught:
        run(student, teacher, tmp_path / "out.onnx", tmp_path / "state", lr=0.01)

    assert caught.value.code == ErrorCode.OPTION_INVALID


@pytest.mark.parametrize("damage", [b"", b"not a zip file", None])
def test_a_damaged_checkpoint_is_said(files: tuple[Path, Path, bytes], tmp_path: Path, damage: bytes | None) -> None:
    """Empty, foreign or cut: a clear message with the way out, never a traceback of the zip reader."""
    student, teacher, _ = files
    with pytest.raises(Killed):
        run(student, teacher, tmp_path / "out.onnx", tmp_path / "state", 5)
    state = tmp_path / "state" / "state.npz"
    state.write_bytes(state.read_bytes()[:-200] if damage is None else damage)

    with pytest.raises(EdgewrightError, match="cannot be read") as caught:
        run(student, teacher, tmp_path / "out.onnx", tmp_path / "state")

    assert caught.value.code == ErrorCode.OPTION_INVALID
