"""What a container or service manager allows this process: memory and CPU quota, cgroup v1 and v2."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath

from edgewright_agent.telemetry.files import Unavailable, read_text, readable_numbers

# v1 says "no limit" with a number near 2^63.
NO_LIMIT = float(1 << 60)


def memory_limit(root: Path) -> int | None:
    """The tightest memory limit in bytes, None without any."""
    limits = []
    for folder in _folders(root, "memory"):
        limits += readable_numbers([folder / "memory.max", folder / "memory.limit_in_bytes"])
    limits = [limit for limit in limits if 0 < limit < NO_LIMIT]
    return int(min(limits)) if limits else None


def memory_left(root: Path) -> int | None:
    """The least of limit minus usage over all groups that have a limit, in bytes; None without any."""
    left = []
    for folder in _folders(root, "memory"):
        for limit, usage in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            numbers = readable_numbers([folder / limit, folder / usage])
            if len(numbers) == 2 and numbers[0] < NO_LIMIT:
                left.append(max(0, int(numbers[0] - numbers[1])))
    return min(left) if left else None


def cpu_quota(root: Path) -> int | None:
    """How many whole cores the CPU quota amounts to, rounded up; None without one."""
    quotas = []
    for folder in _folders(root, "cpu"):
        try:
            quota, period = read_text(folder / "cpu.max").split()
        except (Unavailable, ValueError):
            numbers = readable_numbers([folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"])
            if len(numbers) == 2 and numbers[0] > 0 and numbers[1] > 0:
                quotas.append(numbers[0] / numbers[1])
            continue
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            quotas.append(int(quota) / int(period))
    return max(1, math.ceil(min(quotas))) if quotas else None


def _folders(root: Path, controller: str) -> list[Path]:
    """The process's group and all above it, in the v2 tree and in the controller's v1 tree.

    Inside a container the path may be the host's and lead nowhere; the tree's top still holds the limit.
    """
    trees = root / "sys/fs/cgroup"
    folders = [trees, trees / controller]
    try:
        lines = read_text(root / "proc/self/cgroup").splitlines()
    except Unavailable:
        lines = []
    for line in lines:
        parts = line.split(":", 2)
        if len(parts) != 3:
            continue
        if parts[1] == "":
            top = trees
        elif controller in parts[1].split(","):
            top = trees / controller
        else:
            continue
        inner = PurePosixPath(parts[2].lstrip("/"))
        if ".." not in inner.parts:
            folders += [top / group for group in (inner, *inner.parents) if str(group) != "."]
    return folders
