"""TFLite files on the CPU: ai-edge-litert where there is one, else tflite-runtime."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Sequence

from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import TensorSpec

if TYPE_CHECKING:
    from edgewright_agent.runtimes.base import Array

# (module, distribution), best first: the newer one has faster integer kernels.
_LIBRARIES = (
    ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ("tflite_runtime.interpreter", "tflite-runtime"),
)


class TfliteSession:
    """A TFLite interpreter; see base.Session.

    Integer outputs that carry a scale and a zero point are dequantised by `run`: (q - zero_point) * scale in
    float32. Inputs are taken in the network's own dtype.
    """

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._inputs = interpreter.get_input_details()
        self._outputs = interpreter.get_output_details()
        self.inputs = tuple(_spec(item) for item in self._inputs)
        self.outputs = tuple(_spec(item) for item in self._outputs)
        self.accelerator = _accelerator(interpreter)

    def bind(self, feed: Sequence[Array]) -> Callable[[], object]:
        self._place(feed)
        call: Callable[[], object] = self._interpreter.invoke
        return call

    def run(self, feed: Sequence[Array]) -> list[Array]:
        self._place(feed)
        self._interpreter.invoke()
        return [_dequantised(self._interpreter.get_tensor(item["index"]), item) for item in self._outputs]

    def _place(self, feed: Sequence[Array]) -> None:
        for item, array in zip(self._inputs, feed):
            self._interpreter.set_tensor(item["index"], array)


class TfliteRuntime:
    """Whichever TFLite package is installed; see base.Runtime."""

    def version(self) -> str:
        _, package = _library()
        return f"{package} {importlib.metadata.version(package)}"

    def load(self, model: Path, threads: int) -> TfliteSession:
        library, package = _library()
        with model.open("rb") as file:
            if file.read(8)[4:] != b"TFL3":
                raise EdgewrightError(
                    ErrorCode.MODEL_CORRUPT,
                    f"{model.name} is not a TFLite file: the mark TFL3 is missing",
                    "export the variant again and push it again",
                )
        try:
            interpreter = library.Interpreter(model_path=str(model), num_threads=threads)
            for item in interpreter.get_input_details():
                signature = list(item["shape_signature"])
                if signature and signature[0] == -1:
                    interpreter.resize_tensor_input(item["index"], [1, *item["shape"][1:]])
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            broken = "flatbuffer" in str(error).lower()
            raise EdgewrightError(
                ErrorCode.MODEL_CORRUPT if broken else ErrorCode.MODEL_UNRUNNABLE,
                f"{package} cannot load the model: {str(error).strip()[:300]}",
                "the file may be damaged, or need operators that this TFLite build lacks",
            ) from error
        return TfliteSession(interpreter)


def _library() -> tuple[Any, str]:
    reasons = []
    for module, package in _LIBRARIES:
        try:
            return importlib.import_module(module), package
        except ImportError as error:
            reasons.append(f"{package}: {error}")
    raise EdgewrightError(
        ErrorCode.RUNTIME_UNAVAILABLE,
        f"no TFLite runtime can be imported ({'; '.join(reasons)})",
        "install ai-edge-litert, or tflite-runtime, into the agent's environment",
    )


def _spec(item: Any) -> TensorSpec:
    import numpy as np

    signature = [int(size) for size in item["shape_signature"]] or [int(size) for size in item["shape"]]
    shape = tuple(
        now if wanted != -1 or axis == 0 else "?"
        for axis, (wanted, now) in enumerate(zip(signature, (int(size) for size in item["shape"])))
    )
    return TensorSpec(str(item["name"]), shape, np.dtype(item["dtype"]).name)


def _accelerator(interpreter: Any) -> str:
    """Delegates replace the nodes they took; the list of operators is the only place that tells."""
    try:
        names = {str(item.get("op_name", "")) for item in interpreter._get_ops_details()}
    except (AttributeError, RuntimeError):
        return "CPU"
    return "CPU, XNNPACK" if any("delegate" in name.lower() for name in names) else "CPU"


def _dequantised(array: Array, item: Any) -> Array:
    import numpy as np

    scales = item["quantization_parameters"]["scales"]
    if not np.issubdtype(array.dtype, np.integer) or len(scales) == 0 or scales[0] == 0:
        return array
    zero_point = int(item["quantization_parameters"]["zero_points"][0])
    return (array.astype(np.float32) - np.float32(zero_point)) * np.float32(scales[0])


RUNTIME = TfliteRuntime()
