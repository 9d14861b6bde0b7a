"""Adam over a student's parameters, with a state that can be saved as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from edgewright.compress.train.student import Student
from edgewright.graph.session import Array

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Optimiser:
    """Adam (Kingma and Ba 2015), without weight decay; each parameter has the student's rate times a common factor."""

    def __init__(self, student: Student, max_gradient_norm: float) -> None:
        self._parameters = {name: pair[0] for name, pair in student.parameters.items()}
        self._rates = {name: pair[1] for name, pair in student.parameters.items()}
        self._max_norm = max_gradient_norm
        self._adam = torch.optim.Adam([{"params": [self._parameters[name]], "lr": 0.0} for name in self._parameters])

    def clear(self) -> None:
        """Forgets gradients."""
        self._adam.zero_grad(set_to_none=True)

    def step(self, factor: float) -> bool:
        """One update at `factor` of the rates, gradients cut to the norm; False, and nothing done, when a gradient is
        NaN or infinite.
        """
        gradients = [value.grad for value in self._parameters.values() if value.grad is not None]
        if not gradients:
            return False
        norm = float(torch.linalg.vector_norm(torch.stack([gradient.norm() for gradient in gradients])))
        if not np.isfinite(norm):
            return False
        if norm > self._max_norm:
            for gradient in gradients:
                gradient.mul_(self._max_norm / norm)
        for group, rate in zip(self._adam.param_groups, self._rates.values(), strict=True):
            group["lr"] = rate * factor
        self._adam.step()
        return True

    def arrays(self) -> dict[str, Array]:
        """Moments and step counts: {"exp_avg/NAME": array, ...}."""
        found: dict[str, Array] = {}
        for name, value in self._parameters.items():
            state: dict[str, Any] = self._adam.state.get(value, {})
            for key in (*_MOMENTS, "step") if state else ():
                found[f"{key}/{name}"] = state[key].detach().cpu().numpy().copy()
        return found

    def load(self, arrays: Mapping[str, Array]) -> None:
        """The state that `arrays` gave."""
        for name, value in self._parameters.items():
            if f"step/{name}" in arrays:
                state = self._adam.state[value]
                for key in _MOMENTS:
                    state[key] = (
                        torch.from_numpy(np.array(arrays[f"{key}/{name}"])).reshape(value.shape).to(value.device)
                    )
                state["step"] = torch.tensor(float(arrays[f"step/{name}"]))
