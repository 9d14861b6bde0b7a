"""The built-in example: a small trained network and held-out labelled images, shipped with the package.

The images are 4,000 of Fashion-MNIST's test images (MIT licence, see LICENSE.fashion-mnist); the network
never saw them in training. `python -m edgewright.example.train` makes both files again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class ExampleFiles:
    """Where the example lies: an ONNX file, a zipped imagefolder, and the name of the model's spec."""

    model: Path
    dataset: Path
    spec_name: str


def files() -> ExampleFiles:
    """The example's files inside the installed package."""
    return ExampleFiles(_FOLDER / "fashion_resnet.onnx", _FOLDER / "fashion_images.zip", "example")
