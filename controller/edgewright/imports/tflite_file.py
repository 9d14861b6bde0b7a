"""TFLite files: taken as they are. They are opened in a process of their own, which a damaged file may kill."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgewright.imports.imported import ImportedModel
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import TensorSpec

_SECONDS = 120.0


def describe_tflite(path: Path) -> ImportedModel:
    """Facts of a TFLite file, found by loading it and running it once on zeros.

    Raises FILE_NOT_FOUND, DEPENDENCY_MISSING (ai-edge-litert absent), MODEL_CORRUPT, MODEL_UNRUNNABLE.
    """
    if not path.is_file():
        raise EdgewrightError(ErrorCode.FILE_NOT_FOUND, f"no model file {path}", "check the path")
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise EdgewrightError(
            ErrorCode.DEPENDENCY_MISSING,
            "TFLite files need the package ai-edge-litert, which is not installed",
            "pip install 'edgewright[tflite]'",
        )
    facts = _probe(path)
    return ImportedModel(
        framework="tflite",
        inputs=_specs(facts["inputs"]),
        outputs=_specs(facts["outputs"]),
        opset=0,
        parameters=int(facts["parameters"]),
        macs=int(facts["macs"]),
        size_bytes=path.stat().st_size,
        import_difference=0.0,
        simplified=False,
        notes=tuple(facts["notes"]),
        nodes_before=int(facts["nodes"]),
        nodes_after=int(facts["nodes"]),
    )


def _probe(path: Path) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "edgewright.imports.tflite_probe", str(path.resolve())],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EdgewrightError(
            ErrorCode.MODEL_UNRUNNABLE,
            f"{path.name} did not finish one run within {_SECONDS:.0f} s",
            "use a smaller network",
        ) from error
    if done.returncode == 0:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer
    if done.returncode < 0:
        raise _corrupt(path, f"reading it ended the process with signal {-done.returncode}")
    try:
        failure = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit status {done.returncode}"
        raise _corrupt(path, reason) from None
    if failure["stage"] == "run":
        raise EdgewrightError(
            ErrorCode.MODEL_UNRUNNABLE,
            f"TFLite cannot run {path.name}: {failure['reason']}",
            "check that all its operators are built into TFLite",
        )
    raise _corrupt(path, failure["reason"])


def _corrupt(path: Path, reason: str) -> EdgewrightError:
    return EdgewrightError(
        ErrorCode.MODEL_CORRUPT,
        f"{path.name} is not a whole TFLite file: {reason[:300]}",
        "copy the file again, or export the model again",
    )


def _specs(items: list[str]) -> tuple[TensorSpec, ...]:
    specs = []
    for item in items:
        name, shape, dtype = json.loads(item)
        specs.append(TensorSpec(name, tuple(shape), dtype))
    return tuple(specs)
