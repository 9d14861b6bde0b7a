"""What processor this is, from /proc/cpuinfo."""

from __future__ import annotations

from pathlib import Path

from edgewright_agent.telemetry.files import Unavailable, listed, read_text

# (implementer, part) of MIDR_EL1, as arm64 kernels print them.
_ARM_PARTS = {
    (0x41, 0xC07): "Cortex-A7",
    (0x41, 0xC08): "Cortex-A8",
    (0x41, 0xC09): "Cortex-A9",
    (0x41, 0xC0D): "Cortex-A17",
    (0x41, 0xC0E): "Cortex-A17",
    (0x41, 0xC0F): "Cortex-A15",
    (0x41, 0xD01): "Cortex-A32",
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD04): "Cortex-A35",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD0D): "Cortex-A77",
    (0x41, 0xD0E): "Cortex-A76AE",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x41, 0xD44): "Cortex-X1",
    (0x41, 0xD46): "Cortex-A510",
    (0x41, 0xD47): "Cortex-A710",
    (0x41, 0xD48): "Cortex-X2",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4B): "Cortex-A78C",
    (0x41, 0xD4D): "Cortex-A715",
    (0x41, 0xD4E): "Cortex-X3",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD80): "Cortex-A520",
    (0x41, 0xD81): "Cortex-A720",
    (0x41, 0xD82): "Cortex-X4",
    (0x4E, 0x000): "NVIDIA Denver",
    (0x4E, 0x003): "NVIDIA Denver 2",
    (0x4E, 0x004): "NVIDIA Carmel",
}


def cpuinfo(root: Path) -> list[dict[str, str]]:
    """/proc/cpuinfo as one table a paragraph; empty where it cannot be read."""
    try:
        text = read_text(root / "proc/cpuinfo")
    except Unavailable:
        return []
    paragraphs = []
    for paragraph in text.split("\n\n"):
        pairs = (line.split(":", 1) for line in paragraph.splitlines() if ":" in line)
        paragraphs.append({name.strip(): value.strip() for name, value in pairs})
    return paragraphs


def cpu_model(root: Path) -> str:
    """The processor's name; on ARM the kinds of its cores, "Cortex-A72+Cortex-A53", later designs first."""
    tables = cpuinfo(root)
    for table in tables:
        if table.get("model name") and "CPU part" not in table:
            return " ".join(table["model name"].split())
    parts = set()
    for table in tables:
        try:
            parts.add((int(table["CPU implementer"], 16), int(table["CPU part"], 16)))
        except (KeyError, ValueError):
            continue
    if not parts:
        return "unknown"
    ordered = sorted(parts, key=lambda part: (part[1], part[0]), reverse=True)
    return "+".join(
        _ARM_PARTS.get(part, f"unknown ARM core (implementer {part[0]:#x}, part {part[1]:#x})") for part in ordered
    )


def cpu_flags(root: Path) -> tuple[str, ...]:
    """Instruction set extensions that every core has, sorted: x86 "flags", ARM "Features"."""
    sets = [
        set((table.get("flags") or table.get("Features") or "").split())
        for table in cpuinfo(root)
        if "flags" in table or "Features" in table
    ]
    return tuple(sorted(set.intersection(*sets))) if sets else ()


def online_cores(root: Path) -> int:
    """Cores that are switched on, at least 1."""
    try:
        count = len(cpu_list(read_text(root / "sys/devices/system/cpu/online")))
    except (Unavailable, ValueError):
        count = len(listed(root / "sys/devices/system/cpu", "cpu[0-9]*"))
    return count or sum(1 for table in cpuinfo(root) if "processor" in table) or 1


def cpu_list(text: str) -> tuple[int, ...]:
    """The kernel's list form, "0-3,5", as numbers. Raises ValueError."""
    numbers: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return tuple(numbers)
