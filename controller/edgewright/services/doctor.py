"""Use case: is this installation sound, and does every device answer?"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright_contract.errors import EdgewrightError

if TYPE_CHECKING:
    from edgewright.services.controller import Controller

LEAST_FREE_BYTES = 2 * 1024**3
# distribution, what for, the extra that brings it
_PARTS = (
    ("onnxruntime", "running and judging networks", ""),
    ("grpcio", "talking to agents", ""),
    ("onnx", "importing and compressing", "compress"),
    ("onnxslim", "simplifying at import", "compress"),
    ("torch", "training steps", "compress"),
    ("ai-edge-litert", ".tflite files on this machine", "tflite"),
)


def examine(home: Path, open_controller: Callable[[], Controller]) -> list[dict[str, Any]]:
    """Findings {check, state: ok | warning | failed, text, hint}; never raises for what it finds."""
    findings = [_python(), *(_part(*part) for part in _PARTS), _int8(), _home(home)]
    try:
        controller = open_controller()
    except EdgewrightError as failure:
        return [*findings, _finding("store", "failed", failure.message, failure.hint)]
    findings.append(_finding("store", "ok", f"{len(controller.models.list())} models, database readable"))
    for device in controller.devices.list():
        state = "ok" if device["online"] else "failed"
        text = f"{device['address']}: {'answers' if device['online'] else device['offline_reason']}"
        hint = "" if device["online"] else "is it switched on, and does `edgewright-agent serve` run there?"
        findings.append(_finding(f"device {device['name']}", state, text, hint))
    return findings


def _finding(check: str, state: str, text: str, hint: str = "") -> dict[str, Any]:
    return {"check": check, "state": state, "text": text, "hint": hint}


def _python() -> dict[str, Any]:
    return _finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def _part(distribution: str, purpose: str, extra: str) -> dict[str, Any]:
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        hint = f"pip install 'edgewright[{extra}]'" if extra else "pip install edgewright"
        return _finding(distribution, "warning" if extra else "failed", f"not installed: {purpose} is missing", hint)
    return _finding(distribution, "ok", f"{version} ({purpose})")


def _int8() -> dict[str, Any]:
    from edgewright.core.targets import int8_policy
    from edgewright.services.host_target import host_target

    target = host_target()
    policy = int8_policy(target)
    state = "ok" if policy.can_win else "warning"
    return _finding("int8 on this machine", state, f"{target}: {policy.reason}")


def _home(home: Path) -> dict[str, Any]:
    place = home
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK):
        return _finding("home", "failed", f"{home} cannot be written", "choose another folder with --home DIR")
    free = shutil.disk_usage(place).free
    text = f"{home}, {free / 1024**3:.0f} GiB free"
    if free < LEAST_FREE_BYTES:
        return _finding("home", "warning", text, "free some space: images and variants are kept there")
    return _finding("home", "ok", text)
