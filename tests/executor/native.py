"""Small residual and mobile networks written natively in torch, and their ONNX exports: the oracle of training."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn


def relu6() -> nn.Module:
    """What MobileNetV2 uses."""
    return nn.ReLU6(inplace=True)


def silu() -> nn.Module:
    """What EfficientNet and YOLO use."""
    return nn.SiLU(inplace=True)


class Residual(nn.Module):  # type: ignore[misc] # torch is untyped
    """Conv-BN-ReLU, Conv-BN, shortcut, ReLU (He et al., 2015)."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(width, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
        )
        self.second = nn.Sequential(nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out))
        same = stride == 1 and width == out
        shortcut = nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.shortcut = nn.Identity() if same else shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


class Inverted(nn.Module):  # type: ignore[misc] # torch is untyped
    """Expand, depthwise, project, with ReLU6 (Sandler et al., 2018)."""

    def __init__(self, width: int, out: int, stride: int, activation: Callable[[], nn.Module] = relu6) -> None:
        super().__init__()
        inner = width * 6
        self.body = nn.Sequential(
            nn.Conv2d(width, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            activation(),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            activation(),
            nn.Conv2d(inner, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.skip = stride == 1 and width == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.skip else self.body(x)


def residual_network(width: int = 16, blocks: int = 3, classes: int = 10) -> nn.Sequential:
    """[n, 3, h, w] -> [n, classes]."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    for index in range(blocks):
        layers.append(Residual(width << max(index - 1, 0), width << index, 1 if index == 0 else 2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width << (blocks - 1), classes))


def mobile_network(
    width: int = 8, blocks: int = 4, classes: int = 10, activation: Callable[[], nn.Module] = relu6
) -> nn.Sequential:
    """[n, 3, h, w] -> [n, classes]."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), activation()]
    for index in range(blocks):
        layers.append(Inverted(width * (1 + index // 2), width * (1 + (index + 1) // 2), 1 + index % 2, activation))
    last = width * (1 + blocks // 2)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, classes))


def export(network: nn.Module, path: Path, size: int, keep_batchnorm: bool = True) -> Path:
    """Writes the network as ONNX with a free batch: BatchNorm kept as layers, or folded as exports usually are."""
    # PRESERVE keeps layers as they are; EVAL folds them. The network is in evaluation mode in both.
    mode = torch.onnx.TrainingMode.PRESERVE if keep_batchnorm else torch.onnx.TrainingMode.EVAL
    network.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(2, 3, size, size),),
            str(path),
            dynamo=False,
            training=mode,
            do_constant_folding=not keep_batchnorm,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
            opset_version=17,
        )
    return path
