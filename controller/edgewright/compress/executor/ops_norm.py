"""Normalisation layers."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from edgewright.compress.executor.node import Node
from edgewright.compress.executor.registry import Run, operator


@operator("BatchNormalization", limits="training outputs", trains=True)
def batch_norm(node: Node) -> Run:
    node.refuse_unless(not any(node.asked(index) for index in range(1, 5)), "training outputs")
    node.refuse_unless(not node.attribute("training_mode", 0), "training_mode 1")
    epsilon = node.attribute("epsilon", 1e-5)
    # torch counts the share of the new statistics; rounded because 0.9 in single precision is 0.89999998.
    momentum = round(1 - node.attribute("momentum", 0.9), 6)

    def run(x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor, training: bool = False) -> Tensor:
        return functional.batch_norm(x, mean, variance, scale, shift, training, momentum, epsilon)

    return run


@operator("InstanceNormalization")
def instance_norm(node: Node) -> Run:
    epsilon = node.attribute("epsilon", 1e-5)

    def run(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return torch.instance_norm(x, scale, shift, None, None, True, 0.0, epsilon, False)

    return run


@operator("LayerNormalization")
def layer_norm(node: Node) -> Run:
    axis, epsilon = node.attribute("axis", -1), node.attribute("epsilon", 1e-5)
    statistics = node.asked(1) or node.asked(2)

    def run(x: Tensor, scale: Tensor, shift: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        axes = tuple(range(axis % x.ndim, x.ndim))
        shape = x.shape[axes[0] :]
        if not statistics:
            if scale.shape == shape and (shift is None or shift.shape == shape):
                return functional.layer_norm(x, shape, scale, shift, epsilon)
            y = functional.layer_norm(x, shape, None, None, epsilon) * scale
            return y if shift is None else y + shift
        mean = x.mean(axes, keepdim=True)
        inverse = torch.rsqrt(x.var(axes, correction=0, keepdim=True) + epsilon)
        y = (x - mean) * inverse * scale
        return (y if shift is None else y + shift, mean, inverse)[: len(node.outputs)]

    return run


@operator("GroupNormalization")
def group_norm(node: Node) -> Run:
    groups, epsilon = node.attribute("num_groups"), node.attribute("epsilon", 1e-5)

    def run(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        if scale.numel() == x.shape[1]:
            return functional.group_norm(x, groups, scale, shift, epsilon)
        repeats = x.shape[1] // groups  # before opset 21: one value a group
        scale, shift = scale.repeat_interleave(repeats), shift.repeat_interleave(repeats)
        return functional.group_norm(x, groups, scale, shift, epsilon)

    return run


@operator("RMSNormalization")
def rms_norm(node: Node) -> Run:
    axis, epsilon = node.attribute("axis", -1), node.attribute("epsilon", 1e-5)

    def run(x: Tensor, scale: Tensor) -> Tensor:
        axes = tuple(range(axis % x.ndim, x.ndim))
        return x * torch.rsqrt((x * x).mean(axes, keepdim=True) + epsilon) * scale

    return run


@operator("LpNormalization")
def lp_normalization(node: Node) -> Run:
    axis, power = node.attribute("axis", -1), node.attribute("p", 2)

    def run(x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, power, dim=axis, keepdim=True)
        return x / torch.where(norm == 0, torch.ones_like(norm), norm)

    return run


@operator("MeanVarianceNormalization")
def mean_variance(node: Node) -> Run:
    axes = node.attribute("axes", [0, 2, 3])

    def run(x: Tensor) -> Tensor:
        mean = x.mean(axes, keepdim=True)
        return (x - mean) / (torch.sqrt(x.var(axes, correction=0, keepdim=True)) + 1e-9)

    return run


@operator("LRN")
def local_response(node: Node) -> Run:
    size, alpha = node.attribute("size"), node.attribute("alpha", 1e-4)
    beta, bias = node.attribute("beta", 0.75), node.attribute("bias", 1.0)

    def run(x: Tensor) -> Tensor:
        flat = (x * x).reshape(x.shape[0], 1, x.shape[1], -1)
        window = functional.pad(flat, (0, 0, (size - 1) // 2, size // 2))
        mean = functional.avg_pool2d(window, (size, 1), 1)  # zeros outside count, as in the definition
        return x / (bias + alpha * mean.reshape(x.shape)) ** beta

    return run
