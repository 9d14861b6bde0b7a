"""onnxruntime on this machine: the judge of every graph that is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgewright_contract.errors import EdgewrightError, ErrorCode

Arrays = Mapping[str, np.ndarray[Any, np.dtype[Any]]]
Array = np.ndarray[Any, np.dtype[Any]]


def runtime_errors() -> tuple[type[Exception], ...]:
    """The exception types by which onnxruntime refuses a model or an input."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.NotImplemented,
        state.RuntimeException,
        state.EPFail,
    )


def short_reason(error: BaseException) -> str:
    """The first line of a runtime's complaint, without its log prefix."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text.split(" : ", 2)[-1][:400]


def open_session(path: Path, threads: int = 0, optimised: Path | None = None, plain: bool = False) -> Any:
    """An onnxruntime session on the CPU. `threads` 0 lets onnxruntime choose; `plain` switches all graph
    optimisation off; `optimised` is where the optimised graph is written.

    Raises MODEL_UNRUNNABLE with onnxruntime's reason.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Calibration and judging come in bursts; spinning workers would only take the cores of others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0" if threads != 1 else "1")
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if optimised is not None:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(optimised)
    try:
        # Its fallback, which has nowhere to fall to, would talk on stdout.
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except runtime_errors() as error:
        raise EdgewrightError(
            ErrorCode.MODEL_UNRUNNABLE,
            f"onnxruntime {onnxruntime.__version__} cannot load {path.name}: {short_reason(error)}",
            "export the model again, or check that all its operators are standard ONNX ones",
        ) from error


def run(session: Any, inputs: Arrays, outputs: Sequence[str] | None = None) -> list[Array]:
    """Outputs of one call, in the session's order. Raises MODEL_UNRUNNABLE with onnxruntime's reason."""
    try:
        return list(session.run(outputs, dict(inputs)))
    except runtime_errors() as error:
        raise EdgewrightError(
            ErrorCode.MODEL_UNRUNNABLE,
            f"onnxruntime cannot run the model on inputs "
            f"{ {name: tuple(value.shape) for name, value in inputs.items()} }: {short_reason(error)}",
            "check the input size (spec file: [input] size = [height, width])",
        ) from error
