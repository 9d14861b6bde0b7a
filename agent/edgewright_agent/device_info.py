"""The facts of this machine that make a measurement believable and a target derivable."""

from __future__ import annotations

import os
import platform
import shutil
import time
from pathlib import Path

from edgewright_agent import __version__
from edgewright_agent.runtimes import registry
from edgewright_agent.telemetry import cgroup, cpu
from edgewright_agent.telemetry.files import Unavailable, meminfo, read_text
from edgewright_agent.telemetry.sensors import Sensors
from edgewright_contract.values import DeviceFacts

BUSY_SECONDS = 0.1
# What firmware says that nobody filled in.
_NO_NAMES = frozenset({"", "to be filled by o.e.m.", "system product name", "default string", "none", "n/a"})


def collect(sysroot: Path, state_dir: Path) -> DeviceFacts:
    """All facts, read anew; takes 0.1 s, over which `cpu_busy` is measured.

    `sysroot` is "/" but in tests; the agent's own memory and architecture are always those of this process.
    A number that cannot be known is 0, a text "unknown".
    """
    return DeviceFacts(
        board=board(sysroot),
        cpu_model=cpu.cpu_model(sysroot),
        architecture=platform.machine(),
        cores=_cores(sysroot),
        cpu_flags=cpu.cpu_flags(sysroot),
        memory_bytes=_memory(sysroot),
        system=_system(sysroot),
        kernel=_text(sysroot / "proc/sys/kernel/osrelease") or platform.release(),
        python_version=platform.python_version(),
        agent_version=__version__,
        runtimes=registry.available(),
        readings=Sensors(sysroot).read_over(BUSY_SECONDS),
        disk_free_bytes=shutil.disk_usage(_existing(state_dir)).free,
        agent_memory_bytes=_resident(),
        clock_unix_ns=time.time_ns(),
    )


def board(sysroot: Path) -> str:
    """The board's name: device tree, else the firmware's product name, else a description."""
    for name in ("proc/device-tree/model", "sys/firmware/devicetree/base/model"):
        model = _text(sysroot / name)
        if model:
            return model
    vendor, product = (_text(sysroot / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name"))
    if product.lower() not in _NO_NAMES:
        return product if vendor.lower() in _NO_NAMES or vendor in product else f"{vendor} {product}"
    kind = "virtual machine" if "hypervisor" in cpu.cpu_flags(sysroot) else "machine"
    return f"{platform.machine()} {kind}"


def _cores(sysroot: Path) -> int:
    """Cores that work here can use: online, allowed by the affinity mask, within the CPU quota."""
    limits = [cpu.online_cores(sysroot), cgroup.cpu_quota(sysroot)]
    if sysroot == Path("/") and hasattr(os, "sched_getaffinity"):
        limits.append(len(os.sched_getaffinity(0)))
    return min(limit for limit in limits if limit)


def _memory(sysroot: Path) -> int:
    try:
        total = meminfo(sysroot).get("MemTotal", 0)
    except Unavailable:
        total = 0
    limit = cgroup.memory_limit(sysroot)
    return min(total, limit) if total and limit else total or limit or 0


def _system(sysroot: Path) -> str:
    for line in _text(sysroot / "etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip().strip('"')
    return platform.system()


def _resident() -> int:
    """VmRSS of this process in bytes."""
    for line in _text(Path("/proc/self/status")).splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _existing(folder: Path) -> Path:
    """`folder` or the nearest folder above it that exists."""
    return next(item for item in (folder, *folder.absolute().parents) if item.is_dir())


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except Unavailable:
        return ""
