"""The target of this machine, for compressing without naming a device."""

from __future__ import annotations

import platform
from pathlib import Path

from edgewright.core.targets import target_of_cpu


def host_target(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """From the CPU's flags as the kernel lists them; without /proc the architecture alone decides."""
    flags: set[str] = set()
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("flags", "Features"):
                flags.update(value.split())
                break
    return target_of_cpu(platform.machine(), flags)
