"""Which runtimes this program knows, and which of them are installed, without importing any of them.

To add one: write its module beside this one (see base.py) and register it below.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import cast

from edgewright_agent.distributions import version_of
from edgewright_agent.runtimes.base import Runtime
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import RuntimeFacts


@dataclass(frozen=True)
class Registration:
    """A runtime's module and the distributions that can provide it, best first; `listed` is False for those
    that are no runtime for users."""

    name: str
    module: str
    packages: tuple[str, ...]
    formats: tuple[str, ...]
    accelerators: tuple[str, ...]
    listed: bool = True


_REGISTERED: dict[str, Registration] = {}


def register(registration: Registration) -> None:
    """Raises EdgewrightError INTERNAL when the name is taken."""
    if registration.name in _REGISTERED:
        raise EdgewrightError(ErrorCode.INTERNAL, f"runtime {registration.name!r} is registered twice")
    _REGISTERED[registration.name] = registration


register(
    Registration(
        "onnxruntime",
        "edgewright_agent.runtimes.onnxruntime",
        ("onnxruntime", "onnxruntime-gpu"),
        ("onnx",),
        ("CPUExecutionProvider",),
    )
)
register(
    Registration(
        "tflite",
        "edgewright_agent.runtimes.tflite",
        ("ai-edge-litert", "tflite-runtime"),
        ("tflite",),
        ("CPU", "XNNPACK"),
    )
)
register(Registration("null", "edgewright_agent.runtimes.null", (), ("null",), ("none",), listed=False))


def available() -> tuple[RuntimeFacts, ...]:
    """The listed runtimes whose distribution is installed beside the agent."""
    return tuple(facts for facts in (_facts(entry) for entry in _REGISTERED.values()) if facts is not None)


def _facts(entry: Registration) -> RuntimeFacts | None:
    if not entry.listed:
        return None
    for package in entry.packages:
        version = version_of(package)
        if version is None:
            continue
        return RuntimeFacts(entry.name, package, version, entry.formats, entry.accelerators)
    return None


def check(name: str, model_format: str) -> None:
    """Raises EdgewrightError RUNTIME_UNAVAILABLE unless `name` is registered and reads `model_format`."""
    entry = _REGISTERED.get(name)
    known = ", ".join(f"{item.name} ({', '.join(item.formats)})" for item in _REGISTERED.values() if item.listed)
    if entry is None:
        raise EdgewrightError(
            ErrorCode.RUNTIME_UNAVAILABLE,
            f"no runtime is called {name!r}; this agent knows {known}",
            "choose one of them with --runtime",
        )
    if model_format not in entry.formats:
        raise EdgewrightError(
            ErrorCode.RUNTIME_UNAVAILABLE,
            f"runtime {name} does not read {model_format!r} files; this agent knows {known}",
            "choose the runtime that reads the file, or export the variant in another format",
        )


def load_runtime(name: str) -> Runtime:
    """Imports a registered runtime's module; for workers only. Raises as `check` for an unknown name."""
    entry = _REGISTERED.get(name)
    if entry is None:
        check(name, "")
        raise AssertionError("check refuses unknown names")
    return cast(Runtime, importlib.import_module(entry.module).RUNTIME)
