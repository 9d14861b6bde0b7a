"""Activations that exporters write out operator by operator, run as one: torch's own kernels need a fraction of the
time and keep one tensor for the backward pass instead of five.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor

from edgewright.compress.executor.step import Step


def fuse_activations(steps: Sequence[Step], constants: Mapping[str, Tensor], outputs: Collection[str]) -> list[Step]:
    """The steps with x * sigmoid(x) and x / 2 * (1 + erf(x / sqrt 2)) as one step each.

    Tensors within them vanish: only those that nothing else reads are taken.
    """
    search = _Search(steps, constants, outputs)
    fused: dict[str, Step] = {}
    gone: set[str] = set()
    for step in steps:
        found = search.swish(step) or search.gelu(step)
        if found is not None:
            fused[step.outputs[0]], inner = found
            gone |= inner
    return [fused.get(step.outputs[0], step) for step in steps if step.outputs[0] not in gone]


class _Search:
    def __init__(self, steps: Sequence[Step], constants: Mapping[str, Tensor], outputs: Collection[str]) -> None:
        self._made = {name: step for step in steps for name in step.outputs}
        self._reads = Counter(name for step in steps for name in step.inputs)
        self._reads.update(outputs)
        self._constants = constants

    def swish(self, step: Step) -> tuple[Step, set[str]] | None:
        """Mul(x, Sigmoid(x)), in either order."""
        if step.op != "Mul":
            return None
        for x, gate in (step.inputs, step.inputs[::-1]):
            inner = self._inner(gate, "Sigmoid")
            if inner is not None and inner.inputs == (x,):
                return Step(step.name, "Swish", functional.silu, (x,), step.outputs), {gate}
        return None

    def gelu(self, step: Step) -> tuple[Step, set[str]] | None:
        """Mul(Mul(x, 1 + Erf(x / sqrt 2)), 1/2), or with the half at x, or at the sum."""
        if step.op != "Mul":
            return None
        for place in (0, 1):
            factors, inner = self._factors(step, place)
            halves = [name for name in factors if self._is(name, 0.5)]
            rest = [name for name in factors if name not in halves]
            if len(factors) != 3 or len(halves) != 1 or len(rest) != 2:
                continue
            for x, total in (rest, rest[::-1]):
                tail = self._one_plus_erf(total, x)
                if tail is not None:
                    return Step(step.name, "Gelu", functional.gelu, (x,), step.outputs), inner | tail
        return None

    def _factors(self, step: Step, place: int) -> tuple[list[str], set[str]]:
        """The factors of a product of three, whose inner product is at `place`; and the tensor that vanishes."""
        inner = self._inner(step.inputs[place], "Mul")
        if inner is None:
            return [], set()
        return [step.inputs[1 - place], *inner.inputs], {step.inputs[place]}

    def _one_plus_erf(self, name: str, x: str) -> set[str] | None:
        total = self._inner(name, "Add")
        if total is None:
            return None
        for value, one in (total.inputs, total.inputs[::-1]):
            curve = self._inner(value, "Erf")
            scaled = None if curve is None else self._made.get(curve.inputs[0])
            if curve is None or scaled is None or not self._is(one, 1.0) or self._reads[curve.inputs[0]] != 1:
                continue
            divided = scaled.op == "Div" and self._is(scaled.inputs[1], math.sqrt(2)) and scaled.inputs[0] == x
            times = scaled.op == "Mul" and any(
                self._is(factor, math.sqrt(0.5)) and other == x
                for factor, other in (scaled.inputs, scaled.inputs[::-1])
            )
            if divided or times:
                return {name, value, curve.inputs[0]}
        return None

    def _inner(self, name: str, op: str) -> Step | None:
        """The step of this kind that makes a tensor which is read once."""
        step = self._made.get(name)
        return step if step is not None and step.op == op and self._reads[name] == 1 else None

    def _is(self, name: str, value: float) -> bool:
        held = self._constants.get(name)
        return (
            held is not None
            and held.numel() == 1
            and torch.is_floating_point(held)
            and math.isclose(held.item(), value, rel_tol=1e-5)
        )
