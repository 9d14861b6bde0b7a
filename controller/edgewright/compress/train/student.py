"""What is trained: a network in torch, and how it becomes a file again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from edgewright.compress.executor.agreement import check_agreement
from edgewright.compress.executor.module import Executor, build_executor
from edgewright.graph.model_file import load_model
from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode

Tensor = Any
# Of a float network's weights; what suits a network lies between a tenth and three times of it.
BASE_RATE = 1e-3


class Student(Protocol):
    """`executor` runs the network. `parameters` are trained: name -> (parameter, its learning rate at the peak, where
    no other was found by trying); `base_rate` is that of the weights. `buffers` are state besides them.
    """

    executor: Executor
    base_rate: float

    @property
    def parameters(self) -> Mapping[str, tuple[Tensor, float]]: ...

    @property
    def buffers(self) -> Mapping[str, Tensor]: ...

    def check(self, probe: Array, threads: int) -> float:
        """Compares with onnxruntime on inputs `probe` before training; returns the difference it found."""
        ...

    def pairs(self, teacher_tensors: Collection[str]) -> dict[str, str]:
        """The student's tensors -> the teacher's that mean the same."""
        ...

    def run(self, inputs: Tensor, capture: Collection[str]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]: ...

    def project(self) -> None:
        """Brings the parameters back to what can be written, after each step."""
        ...

    def write(self, destination: Path) -> None:
        """Writes the network as it is now."""
        ...


class FloatStudent:
    """A float network: its weights are trained as they are."""

    def __init__(self, path: Path, lr: float | None) -> None:
        self._path, self.base_rate = path, lr or BASE_RATE
        self.executor = build_executor(path)
        if not self.executor.trainable:
            raise EdgewrightError(
                ErrorCode.COMPRESSION_FAILED,
                "the network has no weight that can be trained",
                "levels without training (acc1) still work",
            )

    @property
    def parameters(self) -> Mapping[str, tuple[Tensor, float]]:
        return {name: (parameter, self.base_rate) for name, parameter in self.executor.trainable.items()}

    @property
    def buffers(self) -> Mapping[str, Tensor]:
        return self.executor.statistics

    def check(self, probe: Array, threads: int) -> float:
        feed = {self.executor.input_names[0]: probe}
        return check_agreement(self.executor, load_model(self._path), [feed], threads=threads)

    def pairs(self, teacher_tensors: Collection[str]) -> dict[str, str]:
        return {name: name for step in self.executor.steps for name in step.outputs if name in teacher_tensors}

    def run(self, inputs: Tensor, capture: Collection[str]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        return self.executor(inputs, capture=capture)  # type: ignore[no-any-return]

    def project(self) -> None:
        """Any finite float can be written."""

    def write(self, destination: Path) -> None:
        self.executor.write_back(destination)


def snapshot(student: Student) -> dict[str, Array]:
    """Copies of parameters and buffers, as arrays by name."""
    tensors = {**{name: pair[0] for name, pair in student.parameters.items()}, **student.buffers}
    return {name: np.array(value.detach().cpu().numpy()) for name, value in tensors.items()}


def restore(student: Student, arrays: Mapping[str, Array]) -> None:
    """Undoes what happened since `snapshot`."""
    tensors = {**{name: pair[0] for name, pair in student.parameters.items()}, **student.buffers}
    with torch.no_grad():
        for name, value in tensors.items():
            value.copy_(torch.from_numpy(np.array(arrays[name])).reshape(value.shape))
