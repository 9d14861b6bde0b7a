"""Tiny networks made on the spot, and owners of jobs that stop them when told to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgewright_agent.measure.values import LocalCandidate, LocalInputs
from edgewright_contract.values import Block, Candidate, JobPayload, Normalization

FORMATS = {"onnxruntime": "onnx", "tflite": "tflite", "null": "null"}
IMAGES = Normalization((127.0,), (128.0,), "nchw")


def local(path: Path, label: str = "tiny@base", runtime: str = "onnxruntime") -> LocalCandidate:
    return LocalCandidate(Candidate(label, "0" * 64, FORMATS[runtime], runtime, 1), path)


NOTHING = local(Path("null"), "nothing@base", "null")


def tensor(name: str, shape: list[int | str | None], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def save_model(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    **weights: np.ndarray[Any, Any],
) -> Path:
    """An ONNX file that every onnxruntime since 1.13 reads (opset 13, IR 8)."""
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def dense_weights(classes: int = 5) -> np.ndarray[Any, Any]:
    return np.random.default_rng(7).standard_normal((12, classes)).astype(np.float32)


def dense_model(path: Path, batch: int | str = 1, classes: int = 5) -> Path:
    """/head/logits = flatten(x) @ dense_weights, x being [batch, 3, 2, 2]."""
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "w"], ["/head/logits"]),
    ]
    outputs = [tensor("/head/logits", [batch, classes])]
    return save_model(path, nodes, [tensor("x", [batch, 3, 2, 2])], outputs, w=dense_weights(classes))


def hungry_model(path: Path, floats: int) -> Path:
    """Needs `floats` * 4 bytes in the middle: sum(expand(x))."""
    nodes = [
        helper.make_node("Expand", ["x", "shape"], ["wide"]),
        helper.make_node("ReduceMean", ["wide"], ["y"], keepdims=1),
    ]
    shape = np.array([floats], dtype=np.int64)
    return save_model(path, nodes, [tensor("x", [1])], [tensor("y", [1])], shape=shape)


def save_images(path: Path, count: int = 6) -> LocalInputs:
    """Byte images [2, 2, 3], which IMAGES turns into `dense_model`'s input."""
    np.save(path, np.random.default_rng(3).integers(0, 256, (count, 2, 2, 3), dtype=np.uint8))
    return LocalInputs(path, IMAGES)


@dataclass
class Owner:
    """The owner of a job: keeps its events and outputs, and stops it after some seconds or blocks."""

    cancel_after_s: float = float("inf")
    finish_after_blocks: int = 1 << 30
    events: list[JobPayload] = field(default_factory=list)
    outputs: dict[str, Path] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def emit(self, payload: JobPayload) -> None:
        self.events.append(payload)

    def publish(self, label: str, path: Path) -> None:
        self.outputs[label] = path

    def cancelled(self) -> bool:
        return time.monotonic() - self.started >= self.cancel_after_s

    def finish_requested(self) -> bool:
        return len(self.blocks()) >= self.finish_after_blocks

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def blocks(self) -> list[Block]:
        return [block for block in self.of(Block) if not block.warmup]


def running(pid: int) -> bool:
    """Whether a process lives; one that is dead but not yet waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] not in "ZX"
