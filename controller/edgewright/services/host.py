"""Running a network on this machine: for judging at import and for `eval --host`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.core.values import ProgressCallback, ProgressEvent
from edgewright.services.inputs import InputFile
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Outputs = dict[str, np.ndarray[Any, Any]]


def run_on_host(
    path: Path, format_name: str, tensor: TensorSpec, inputs: InputFile, text: str, progress: ProgressCallback
) -> Outputs:
    """All outputs by name, samples along axis 0; quantised TFLite outputs are dequantised to float32."""
    import numpy as np

    runner = _run_onnx if format_name == "onnx" else _run_tflite
    rows: dict[str, list[np.ndarray[Any, Any]]] = {}
    for index, outputs in enumerate(runner(path, inputs.batches(tensor.dtype))):
        for name, value in outputs.items():
            rows.setdefault(name, []).append(value)
        progress(ProgressEvent(text, index + 1, inputs.count))
    return {name: np.concatenate(values) for name, values in rows.items()}


def _run_onnx(path: Path, batches: Iterator[np.ndarray[Any, Any]]) -> Iterator[Outputs]:
    from edgewright.graph.session import open_session, run

    session = open_session(path)
    name = session.get_inputs()[0].name
    names = [output.name for output in session.get_outputs()]
    for batch in batches:
        yield dict(zip(names, run(session, {name: batch}), strict=True))


def _run_tflite(path: Path, batches: Iterator[np.ndarray[Any, Any]]) -> Iterator[Outputs]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as failure:
        raise EdgewrightError(
            ErrorCode.DEPENDENCY_MISSING,
            "running a .tflite file here needs ai-edge-litert",
            "install it with: pip install 'edgewright[tflite]', or use --device",
        ) from failure
    import numpy as np

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    details = interpreter.get_output_details()
    for batch in batches:
        interpreter.set_tensor(entry, batch)
        interpreter.invoke()
        outputs = {}
        for detail in details:
            value = interpreter.get_tensor(detail["index"])
            scale, zero_point = detail["quantization"]
            if scale and value.dtype != np.float32:
                value = ((value.astype(np.float32) - zero_point) * scale).astype(np.float32)
            outputs[detail["name"]] = value
        yield outputs
