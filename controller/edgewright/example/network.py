"""The example's network: a plain residual CNN on 28x28 grey images, without anything exotic in it."""

from __future__ import annotations

import torch
from torch import nn

WIDTHS = (48, 64, 112)
BLOCKS = (3, 2, 2)


class ResidualBlock(nn.Module):  # type: ignore[misc]  # torch is opaque to mypy here
    """Two 3x3 convolutions and a shortcut, as in He et al., "Deep Residual Learning", 2016, figure 2."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        same_shape = stride == 1 and channels_in == channels_out
        self.shortcut = (
            nn.Identity()
            if same_shape
            else nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def make_network(classes: int, widths: tuple[int, ...] = WIDTHS, blocks: tuple[int, ...] = BLOCKS) -> nn.Module:
    """Input float32 [N, 1, 28, 28], output logits float32 [N, classes]."""
    layers: list[nn.Module] = [
        nn.Conv2d(1, widths[0], 3, 1, 1, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    channels = widths[0]
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        for position in range(count):
            stride = 2 if stage > 0 and position == 0 else 1
            layers.append(ResidualBlock(channels, width, stride))
            channels = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)
