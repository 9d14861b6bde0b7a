"""Importance by gradients: what the loss does when a channel is taken away, without any label of the user's.

A gate g = 1 on output channel c of a layer scales the channel's weights and bias together. For one sample,

    s[n, c] = dL_n / dg_c = sum over positions of y[n, c, ...] * dL_n / dy[n, c, ...]
            = sum over the channel's weights (and bias) of w * dL_n / dw

and setting the gate to 0 changes the loss by about -s + s^2 / 2. One backward pass gives s for a whole batch, sample by
sample, because in evaluation mode samples do not touch one another.

* Fisher: mean over n of s^2 / 2 (Theis et al. 2018, Faster Gaze Prediction with Dense Networks and Fisher Pruning).
  For channels that can only go together (Liu et al. 2021, Group Fisher Pruning) the s of all members are added first:
  `gate_gradients` gives them.
* Taylor: mean over n of |s| (Molchanov et al. 2017, Pruning Convolutional Neural Networks for Resource Efficient
  Inference).

L is the negative log-likelihood of an outcome drawn from the network's own answer: a class from its probabilities, or,
for other outputs, a normal variable around each output with the variance of its channel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from edgewright.compress.executor.module import Executor
from edgewright.compress.judge import probabilities
from edgewright.compress.train.losses import channel_variance
from edgewright.graph.session import Array
from edgewright_contract.errors import EdgewrightError, ErrorCode

Tensor = Any
# A weight is looked for behind these, through their first input.
_CARRIERS = frozenset(
    {"Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "QuantizeLinear", "DequantizeLinear"}
)


@dataclass(frozen=True)
class Gate:
    """Where a weight's output channels can be gated: `axis` of the tensor `output`."""

    weight: str
    output: str
    axis: int


def fisher(
    executor: Executor, batches: Iterable[Array], classification: bool, max_batches: int = 16, seed: int = 0
) -> dict[str, Array]:
    """Weight name -> mean over samples of s^2 / 2, float64 [output channels]; see `gate_gradients`."""
    gradients = gate_gradients(executor, batches, classification, max_batches, seed)
    return {name: 0.5 * np.square(value).mean(axis=0) for name, value in gradients.items()}


def taylor(
    executor: Executor, batches: Iterable[Array], classification: bool, max_batches: int = 16, seed: int = 0
) -> dict[str, Array]:
    """Weight name -> mean over samples of |s|, float64 [output channels]; see `gate_gradients`."""
    gradients = gate_gradients(executor, batches, classification, max_batches, seed)
    return {name: np.abs(value).mean(axis=0) for name, value in gradients.items()}


def gate_gradients(
    executor: Executor, batches: Iterable[Array], classification: bool, max_batches: int = 16, seed: int = 0
) -> dict[str, Array]:
    """Weight name -> s, float64 [samples, output channels], for every Conv, ConvTranspose, Gemm and MatMul weight and
    BatchNormalization scale (whose "output" is the normalised channel). Weights read more than once are added up.

    `batches` are network-ready float32 inputs [n, ...], at most `max_batches` of them; `classification` says that the
    first output holds logits or probabilities, classes last. The executor's weights and mode are not changed.

    Raises DATASET_EMPTY without a batch, COMPRESSION_FAILED without a float output, MODEL_NOT_FINITE.
    """
    gates = find_gates(executor)
    names = {gate.output for gate in gates}
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[Array]] = {gate.weight: [] for gate in gates}
    was_training = executor.training
    executor.eval()
    try:
        for count, batch in enumerate(batches):
            if count >= max_batches:
                break
            outputs, captured = executor(torch.from_numpy(np.array(batch)), capture=names)
            loss = _drawn_loss(outputs, classification, generator)
            kept = {name: value for name, value in captured.items() if value.requires_grad}
            slopes = dict(zip(kept, torch.autograd.grad(loss, list(kept.values()), allow_unused=True), strict=True))
            summed: dict[str, Array] = {}
            for gate in gates:
                slope = slopes.get(gate.output)
                s = _per_sample(captured[gate.output], slope, gate.axis, len(batch))
                summed[gate.weight] = s if gate.weight not in summed else summed[gate.weight] + s
            for name, value in summed.items():
                found[name].append(value)
    finally:
        executor.train(was_training)
    if not any(found.values()):
        raise EdgewrightError(
            ErrorCode.DATASET_EMPTY, "no batch to measure importance on", "add images to the calibration set"
        )
    joined = {name: np.concatenate(parts) for name, parts in found.items()}
    wrong = [name for name, value in joined.items() if not np.isfinite(value).all()]
    if wrong:
        raise EdgewrightError(
            ErrorCode.MODEL_NOT_FINITE,
            f"the gradient of {wrong[0]!r} has NaN or infinite values",
            "check that weights and images are finite (mean and std in the spec)",
        )
    return joined


def find_gates(executor: Executor) -> tuple[Gate, ...]:
    """Every place where a trainable weight makes output channels, in order of computation."""
    trainable = executor.trainable
    behind = {step.outputs[0]: step.inputs[0] for step in executor.steps if step.op in _CARRIERS}

    def root(name: str) -> str:
        while name not in trainable and name in behind:
            name = behind[name]
        return name

    found = []
    for step in executor.steps:
        roots = [root(name) for name in step.inputs[:2]]
        if len(roots) < 2 or step.op not in ("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization"):
            continue
        if roots[1] in trainable:
            axis = -1 if step.op in ("Gemm", "MatMul") else 1
            found.append(Gate(roots[1], step.outputs[0], axis))
        elif step.op == "MatMul" and roots[0] in trainable:
            found.append(Gate(roots[0], step.outputs[0], -2))
    return tuple(found)


def _drawn_loss(outputs: tuple[Tensor, ...], classification: bool, generator: Any) -> Tensor:
    """Sum over samples of -log p(drawn outcome), as far as it depends on the weights."""
    if classification:
        scores = outputs[0].reshape(-1, outputs[0].shape[-1])
        p = torch.from_numpy(probabilities(scores.detach().numpy().astype(np.float64)))
        drawn = torch.multinomial(p, 1, generator=generator)
        are_probabilities = bool((p == scores.detach()).all())
        logs = torch.log(scores.clamp_min(1e-7)) if are_probabilities else torch.log_softmax(scores, dim=-1)
        return -logs.gather(1, drawn).sum()
    floats = [output for output in outputs if output.is_floating_point() and output.requires_grad]
    if not floats:
        raise EdgewrightError(
            ErrorCode.COMPRESSION_FAILED,
            "no float output of the network depends on its weights",
            "cut the post-processing off and export the network again",
        )
    # d/dy of (y - drawn)^2 / (2 var) with drawn = y + sqrt(var) e is -e / sqrt(var).
    parts = []
    for output in floats:
        noise = torch.randn(output.shape, generator=generator)
        parts.append((output * noise / channel_variance(output.detach()).sqrt()).sum())
    total: Tensor = torch.stack(parts).sum()
    return total


def _per_sample(value: Tensor, slope: Tensor | None, axis: int, samples: int) -> Array:
    """sum of value * slope over all but samples and `axis`, [samples, channels]. Where windows or tokens were put on
    the first axis, each sample's share of it lies together.
    """
    axis %= value.ndim
    if slope is None:
        return np.zeros((samples, value.shape[axis]))
    product = (value.detach() * slope).movedim(axis, -1)
    if axis == 0 or product.shape[0] % samples:
        # No axis of samples: the whole batch counts as one, shared out evenly.
        total = product.reshape(-1, product.shape[-1]).sum(dim=0).double().numpy()
        return np.repeat(total[None] / samples, samples, axis=0)
    found: Array = product.reshape(samples, -1, product.shape[-1]).sum(dim=1).double().numpy()
    return found
