"""ONNX files in onnxruntime on the CPU."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Sequence

from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import TensorSpec

if TYPE_CHECKING:
    from edgewright_agent.runtimes.base import Array

PROVIDER = "CPUExecutionProvider"

# onnxruntime's element types that numpy has.
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(uint16)": "uint16",
    "tensor(int16)": "int16",
    "tensor(uint32)": "uint32",
    "tensor(int32)": "int32",
    "tensor(uint64)": "uint64",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


class OnnxSession:
    """An onnxruntime InferenceSession; see base.Session."""

    def __init__(self, session: Any, model: Path) -> None:
        self._session = session
        declared = session.get_inputs()
        leading = (item.shape[0] for item in declared if item.shape)
        batch: set[str | None] = {size for size in leading if isinstance(size, str)}
        self.inputs = tuple(_spec(item, model, batch | {None}) for item in declared)
        # Only an input's own batch symbol is known to be 1 in an output; others may be a count of detections.
        self.outputs = tuple(_spec(item, model, batch) for item in session.get_outputs())
        self.accelerator = ", ".join(session.get_providers())

    def bind(self, feed: Sequence[Array]) -> Callable[[], object]:
        import numpy as np

        binding = self._session.io_binding()
        for spec, array in zip(self.inputs, feed):
            # The binding only points at the array and keeps it alive, so it must be contiguous already.
            binding.bind_cpu_input(spec.name, np.ascontiguousarray(array))
        self._preallocated = []
        for spec in self.outputs:
            if all(isinstance(size, int) for size in spec.shape):
                buffer = np.empty([int(size) for size in spec.shape], dtype=spec.dtype)
                self._preallocated.append(buffer)
                binding.bind_output(spec.name, "cpu", 0, buffer.dtype.type, spec.shape, buffer.ctypes.data)
            else:
                binding.bind_output(spec.name, "cpu")
        return partial(self._session.run_with_iobinding, binding)

    def run(self, feed: Sequence[Array]) -> list[Array]:
        names = [spec.name for spec in self.inputs]
        outputs: list[Array] = self._session.run(None, dict(zip(names, feed)))
        return outputs


class OnnxRuntime:
    """The onnxruntime package; see base.Runtime."""

    def version(self) -> str:
        return f"onnxruntime {_library().__version__}"

    def load(self, model: Path, threads: int) -> OnnxSession:
        ort = _library()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # A pool's threads go on spinning after a run; they must not take cores from the next candidate.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        try:
            session = ort.InferenceSession(str(model), options, providers=[PROVIDER])
        except (state.InvalidProtobuf, state.NoSuchFile) as error:
            raise EdgewrightError(
                ErrorCode.MODEL_CORRUPT,
                f"onnxruntime cannot read the model file: {_reason(error, model)}",
                "export the variant again and push it again",
            ) from error
        except (
            state.Fail,
            state.InvalidGraph,
            state.InvalidArgument,
            state.NotImplemented,
            state.RuntimeException,
        ) as error:
            raise EdgewrightError(
                ErrorCode.MODEL_UNRUNNABLE,
                f"onnxruntime {ort.__version__} cannot load the model: {_reason(error, model)}",
                "an older onnxruntime may lack the model's opset or operators: update it on the device",
            ) from error
        return OnnxSession(session, model)


def _library() -> Any:
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise EdgewrightError(
            ErrorCode.RUNTIME_UNAVAILABLE,
            f"onnxruntime cannot be imported: {error}",
            "install onnxruntime into the agent's environment",
        ) from error
    if hasattr(ort, "disable_telemetry_events"):
        ort.disable_telemetry_events()
    return ort


def _spec(item: Any, model: Path, batch: set[str | None]) -> TensorSpec:
    dtype = _DTYPES.get(item.type)
    if dtype is None:
        raise EdgewrightError(
            ErrorCode.MODEL_UNSUPPORTED,
            f"{model.name}: {item.name!r} has type {item.type}; numeric tensors are supported",
            "cut the part of the graph that makes it off before importing the model",
        )
    shape = list(item.shape)
    if shape and not isinstance(shape[0], int) and shape[0] in batch:
        shape[0] = 1
    return TensorSpec(item.name, tuple(size if isinstance(size, int) else size or "?" for size in shape), dtype)


def _reason(error: Exception, model: Path) -> str:
    """The error's text without the local path; of a long one the beginning and, after the C++ signature that
    onnxruntime puts in the middle, the end, which is the reason."""
    text = " ".join(str(error).replace(str(model), model.name).split()) or type(error).__name__
    return text if len(text) <= 400 else f"{text[:100]} ... {text[-280:]}"


RUNTIME = OnnxRuntime()
