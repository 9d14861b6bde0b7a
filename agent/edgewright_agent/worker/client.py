"""The parent's side of a worker process. Light: neither numpy nor a runtime is imported here."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Callable, cast

from edgewright_agent.measure.values import WorkerSettings
from edgewright_agent.worker.diagnosis import HINTS, Death, explain_death, oom_kills
from edgewright_contract.errors import EdgewrightError, ErrorCode

ENTRY = Path(__file__).with_name("entry.py")
POLL_SECONDS = 0.2
GONE_SECONDS = 2.0
MAX_REPLY_BYTES = 64 << 20
MAX_STDERR_BYTES = 16 << 10

# One thread for numpy's libraries (the runtime has its own setting), and no chatter from TensorFlow's.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


class WorkerProcess:
    """A worker in a process group of its own. Leaving the `with` block leaves no process behind.

    `cancelled` is asked several times a second while a reply is awaited; once it says True the process is
    killed and EdgewrightError CANCELLED raised. Any other failure kills the process as well, so that whoever
    catches the error knows the memory is free again. The kernel kills the worker when the thread that started
    it ends: start and use it in one thread.
    """

    def __init__(self, settings: WorkerSettings, name: str, cancelled: Callable[[], bool]) -> None:
        self.name = name
        self._settings = settings
        self._cancelled = cancelled
        self._pending = b""
        self._stderr = b""
        self._oom_kills_before = oom_kills(settings.sysroot)
        self.started_ns = time.monotonic_ns()
        paths = [os.path.abspath(path) for path in sys.path if path]  # noqa: PTH100 - sys.path is text
        try:
            self._process = subprocess.Popen(
                [
                    *settings.python,
                    "-I",
                    str(ENTRY),
                    json.dumps(paths),
                    str(settings.memory_limit_bytes),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={**os.environ, **_ENVIRONMENT},
                start_new_session=True,
            )
        except OSError as error:
            raise EdgewrightError(
                ErrorCode.WORKER_FAILED,
                f"{name}: a worker could not be started with {settings.python[0]!r}: {error}",
                "AGENT_PYTHON must start a Python 3.8 or newer; unset it to use the agent's own",
            ) from error
        self._selector = selectors.DefaultSelector()
        for stream in (self._process.stdout, self._process.stderr):
            os.set_blocking(cast("IO[bytes]", stream).fileno(), False)
            self._selector.register(cast("IO[bytes]", stream), selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def call(
        self,
        command: str,
        timeout_s: float,
        progress: Callable[[int, int], None] | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Sends one command and waits for its reply; `timeout_s` starts anew with each progress message.

        Raises EdgewrightError: what the worker reports, or WORKER_CRASHED, WORKER_OUT_OF_MEMORY,
        WORKER_TIMEOUT, CANCELLED.
        """
        try:
            self._send({"command": command, **arguments})
            while True:
                message = json.loads(self._line(command, timeout_s))
                if "progress" in message:
                    if progress is not None:
                        progress(message["progress"]["done"], message["progress"]["total"])
                    continue
                if "error" in message:
                    raise self._reported(message["error"])
                return cast("dict[str, Any]", message["ok"])
        except BaseException:
            self.kill()
            raise

    def _send(self, request: dict[str, Any]) -> None:
        line = json.dumps(request).encode() + b"\n"
        # A dead worker's pipe refuses the request; the missing reply then tells how it died.
        with contextlib.suppress(BrokenPipeError):
            cast("IO[bytes]", self._process.stdin).write(line)

    def _line(self, command: str, timeout_s: float) -> bytes:
        """The next line of stdout."""
        deadline = time.monotonic() + timeout_s
        searched = 0
        while True:
            end = self._pending.find(b"\n", searched)
            if end >= 0:
                line, self._pending = self._pending[:end], self._pending[end + 1 :]
                return line
            searched = len(self._pending)
            if searched > MAX_REPLY_BYTES:
                raise EdgewrightError(
                    ErrorCode.WORKER_FAILED, f"{self.name}: a reply longer than {MAX_REPLY_BYTES} bytes"
                )
            if self._cancelled():
                raise EdgewrightError(ErrorCode.CANCELLED, "cancelled")
            left = deadline - time.monotonic()
            if left <= 0:
                raise EdgewrightError(
                    ErrorCode.WORKER_TIMEOUT,
                    f"{self.name}: the worker gave no answer to {command!r} within {timeout_s:g} s",
                    "try a smaller model, or raise the agent's time limit",
                )
            if not self._receive(min(left, POLL_SECONDS)):
                raise self._death()

    def _receive(self, timeout_s: float) -> bool:
        """Reads what is there; False once stdout has ended."""
        for key, _ in self._selector.select(timeout_s):
            chunk = os.read(key.fd, 1 << 16)
            if key.fileobj is self._process.stderr:
                self._stderr = (self._stderr + chunk)[-MAX_STDERR_BYTES:]
                if not chunk:
                    self._selector.unregister(key.fileobj)
            elif chunk:
                self._pending += chunk
            else:
                return False
        return True

    def _reported(self, error: dict[str, str]) -> EdgewrightError:
        code = ErrorCode(error["code"])
        limit = self._settings.memory_limit_bytes
        under = f" (limit {limit} bytes)" if limit and code is ErrorCode.WORKER_OUT_OF_MEMORY else ""
        return EdgewrightError(code, f"{self.name}: {error['message']}{under}", error["hint"] or HINTS.get(code, ""))

    def _death(self) -> EdgewrightError:
        """stdout has ended: how did the process?"""
        try:
            status = self._process.wait(GONE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            status = cast(int, self._process.returncode)
        while self._selector.get_map() and self._drain_stderr():
            pass
        return explain_death(
            Death(
                self.name,
                status,
                self._stderr.decode("utf-8", "replace"),
                oom_kills(self._settings.sysroot) > self._oom_kills_before,
                self._settings.memory_limit_bytes,
            )
        )

    def _drain_stderr(self) -> bool:
        stream = cast("IO[bytes]", self._process.stderr)
        try:
            chunk = os.read(stream.fileno(), 1 << 16)
        except BlockingIOError:
            return False
        self._stderr = (self._stderr + chunk)[-MAX_STDERR_BYTES:]
        return bool(chunk)

    def close(self) -> int:
        """Ends the worker in order; returns its peak resident size in bytes."""
        peak = int(self.call("close", self._settings.call_timeout_s)["peak_memory_bytes"])
        self.kill()
        return peak

    def kill(self) -> None:
        """Kills the worker's whole process group and waits until it is gone. Does no harm twice."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            cast("IO[bytes]", stream).close()
        self._selector.close()
