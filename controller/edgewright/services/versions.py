"""Which programs made a figure."""

from __future__ import annotations

import importlib.metadata
import platform

from edgewright import __version__

_PACKAGES = ("numpy", "onnx", "onnxruntime", "torch")


def versions() -> dict[str, str]:
    """This controller's own version, Python's and those of the libraries that are installed."""
    found = {"edgewright": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
