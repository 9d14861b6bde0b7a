"""What a worker does on request, one request at a time, answered in order."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Callable

from edgewright_agent.runtimes.registry import load_runtime
from edgewright_agent.worker.diagnosis import speaks_of_memory
from edgewright_agent.worker.limits import peak_memory_bytes
from edgewright_agent.worker.timing import time_block, timer_resolution_ns
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Normalization, TensorSpec

if TYPE_CHECKING:
    from edgewright_agent.runtimes.base import Runtime, Session

    Message = dict[str, Any]

PROGRESS_SECONDS = 0.5

_ERRNO_CODES = {
    errno.ENOSPC: ErrorCode.DISK_FULL,
    errno.EDQUOT: ErrorCode.DISK_FULL,
    errno.ENOMEM: ErrorCode.WORKER_OUT_OF_MEMORY,
}


class Worker:
    """One runtime, one network, until stdin closes."""

    def __init__(self, requests: IO[str], replies: IO[str]) -> None:
        self._requests = requests
        self._replies = replies
        self._runtime: Runtime | None = None
        self._session: Session | None = None
        self._bound: Callable[[], object] | None = None
        self._commands: dict[str, Callable[[Message], Message]] = {
            "start": self._start,
            "load": self._load,
            "bind": self._bind,
            "measure": self._measure,
            "evaluate": self._evaluate,
            "parity": self._parity,
            "close": self._close,
        }

    def serve(self) -> None:
        """Answers requests until stdin closes. An error is an answer, too."""
        for line in iter(self._requests.readline, ""):
            request = json.loads(line)
            try:
                reply = {"ok": self._commands[request["command"]](request)}
            except EdgewrightError as error:
                reply = _failure(error.code, error.message, error.hint)
            except MemoryError as error:
                reply = _failure(ErrorCode.WORKER_OUT_OF_MEMORY, f"out of memory: {error}")
            except OSError as error:
                reply = _failure(_ERRNO_CODES.get(error.errno or 0, ErrorCode.WORKER_FAILED), str(error))
            except Exception as error:  # noqa: BLE001 - the border of the process: the parent raises it again
                reply = _failure(ErrorCode.WORKER_FAILED, f"{type(error).__name__}: {error}"[:2000])
            self._send(reply)

    def _send(self, message: Message) -> None:
        self._replies.write(json.dumps(message, separators=(",", ":")) + "\n")
        self._replies.flush()

    def _start(self, request: Message) -> Message:
        """Imports the runtime."""
        self._runtime = load_runtime(request["runtime"])
        return {"version": self._runtime.version()}

    def _load(self, request: Message) -> Message:
        """Reads the model; `load_ns` is the runtime's own time for it."""
        assert self._runtime is not None
        before = time.perf_counter_ns()
        self._session = self._runtime.load(Path(request["model"]), request["threads"])
        return {
            "load_ns": time.perf_counter_ns() - before,
            "accelerator": self._session.accelerator,
            "cpus": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
            "inputs": [_spec_to_json(spec) for spec in self._session.inputs],
            "outputs": [_spec_to_json(spec) for spec in self._session.outputs],
        }

    def _bind(self, request: Message) -> Message:
        """Binds sample `index` of `inputs`, or zeros without any, and runs it once."""
        from edgewright_agent.worker import feeding

        assert self._session is not None
        if request.get("inputs"):
            samples = feeding.open_samples(Path(request["inputs"]))
            index = request["index"]
            feed = feeding.feed(samples[index : index + 1], _normalization(request), self._session)
        else:
            feed = feeding.zeros(self._session)
        self._bound = self._session.bind(feed)
        before = time.perf_counter_ns()
        self._bound()
        return {"first_inference_ns": time.perf_counter_ns() - before}

    def _measure(self, request: Message) -> Message:
        assert self._bound is not None
        block = time_block(self._bound, request["count"], request.get("max_seconds", 0.0))
        return {
            "samples_ns": block.samples_ns,
            "started_ns": block.started_ns,
            "cpu_ns": block.cpu_ns,
            "involuntary_switches": block.involuntary_switches,
            **({"timer_resolution_ns": timer_resolution_ns()} if request.get("timer") else {}),
        }

    def _evaluate(self, request: Message) -> Message:
        """Runs all samples one by one into an .npz; tells its progress on the way."""
        from edgewright_agent.worker.evaluation import evaluate

        assert self._session is not None
        told = time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                self._send({"progress": {"done": done, "total": total}})

        count = evaluate(
            self._session,
            Path(request["inputs"]),
            _normalization(request),
            Path(request["outputs"]),
            progress,
        )
        return {"count": count}

    def _parity(self, request: Message) -> Message:
        """Compares two files of outputs; needs no network."""
        from edgewright_agent.worker.parity import compare

        return compare(Path(request["expected"]), Path(request["outputs"]), request["classes"], request["labels"])

    def _close(self, _: Message) -> Message:
        """The last request; `peak_memory_bytes` is the largest resident size so far."""
        return {"peak_memory_bytes": peak_memory_bytes()}


def _failure(code: ErrorCode, message: str, hint: str = "") -> Message:
    if speaks_of_memory(message):  # libraries report it in many types of error
        code, hint = ErrorCode.WORKER_OUT_OF_MEMORY, ""
    return {"error": {"code": code.value, "message": " ".join(message.split()), "hint": hint}}


def _spec_to_json(spec: TensorSpec) -> Message:
    return {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype}


def _normalization(request: Message) -> Normalization:
    given = request["normalization"]
    return Normalization(tuple(given["mean"]), tuple(given["std"]), given["layout"])
