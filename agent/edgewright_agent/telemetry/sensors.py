"""Every sensor of values.READING_NAMES, read from /proc and /sys; a missing one says why and is never 0."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Callable

from edgewright_agent.telemetry import cgroup
from edgewright_agent.telemetry.files import (
    Unavailable,
    listed,
    meminfo,
    read_text,
    readable_numbers,
)
from edgewright_agent.telemetry.power import board_power_w
from edgewright_contract.values import READING_NAMES, Reading

# Outside of these a sensor is not telling a chip's temperature; unconnected ones read 0 or -273.
PLAUSIBLE_DEGC = (-40.0, 150.0)


class Sensors:
    """Reads all sensors of one machine. Stateful: `cpu_busy` covers the time since the last reading."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._cpu = root / "sys/devices/system/cpu"
        self._cpu_times = self._times_or_none()
        self._readers: dict[str, Callable[[], float | str]] = {
            "governor": self._governor,
            "cpu_frequency": self._frequency,
            "cpu_frequency_max": self._frequency_max,
            "temperature": self._temperature,
            "load_1m": lambda: float(read_text(root / "proc/loadavg").split()[0]),
            "cpu_busy": self._busy,
            "power_mode": self._power_mode,
            "power": lambda: board_power_w(root),
            "memory_available": self._memory_available,
            "swap_used": self._swap_used,
            "uptime": lambda: float(read_text(root / "proc/uptime").split()[0]),
        }

    def read(self) -> tuple[Reading, ...]:
        """One reading a name, in the order of READING_NAMES; never raises for a missing sensor."""
        return tuple(self._reading(name, unit) for name, unit in READING_NAMES.items())

    def read_over(self, seconds: float) -> tuple[Reading, ...]:
        """As `read`, with `cpu_busy` over the next `seconds`."""
        self._cpu_times = self._times_or_none()
        time.sleep(seconds)
        return self.read()

    def _reading(self, name: str, unit: str) -> Reading:
        try:
            return Reading(name, self._readers[name](), unit)
        except Unavailable as reason:
            return Reading(name, None, unit, str(reason))
        except (ValueError, IndexError) as error:
            return Reading(name, None, unit, f"unreadable: {error}")

    def _policy_files(self, name: str) -> list[Path]:
        return listed(self._cpu, f"cpu[0-9]*/cpufreq/{name}")

    def _governor(self) -> str:
        """The governors in force, "+" between those of different core clusters."""
        names = set()
        for path in self._policy_files("scaling_governor"):
            with contextlib.suppress(Unavailable):  # a core that is switched off
                names.add(read_text(path))
        if not names:
            raise Unavailable("no cpufreq in this kernel or machine")
        return "+".join(sorted(names))

    def _frequency(self) -> float:
        """The fastest core's present frequency in MHz."""
        khz = readable_numbers(self._policy_files("scaling_cur_freq"))
        if khz:
            return max(khz) / 1000.0
        mhz = [
            float(line.split(":", 1)[1])
            for line in read_text(self._root / "proc/cpuinfo").splitlines()
            if line.startswith("cpu MHz") and ":" in line
        ]
        if not mhz:
            raise Unavailable("no cpufreq in this kernel or machine, no frequency in cpuinfo")
        return max(mhz)

    def _frequency_max(self) -> float:
        """The fastest core's highest frequency in MHz, before any cap that heat or a person sets."""
        khz = readable_numbers(self._policy_files("cpuinfo_max_freq"))
        if not khz:
            raise Unavailable("no cpufreq in this kernel or machine")
        return max(khz) / 1000.0

    def _temperature(self) -> float:
        """The hottest thermal zone; where there is none, the hottest hwmon sensor."""
        for folder, pattern in (
            ("sys/class/thermal", "thermal_zone*/temp"),
            ("sys/class/hwmon", "hwmon*/temp*_input"),
        ):
            values = [number / 1000.0 for number in readable_numbers(listed(self._root / folder, pattern))]
            low, high = PLAUSIBLE_DEGC
            plausible = [value for value in values if low < value < high and value != 0.0]
            if plausible:
                return max(plausible)
        raise Unavailable("no thermal zone and no hwmon temperature with a plausible value")

    def _times_or_none(self) -> tuple[float, float] | None:
        try:
            return self._times()
        except (Unavailable, ValueError, IndexError):
            return None

    def _times(self) -> tuple[float, float]:
        """(idle, total) in ticks since boot, all cores together."""
        fields = read_text(self._root / "proc/stat").splitlines()[0].split()
        if fields[0] != "cpu":
            raise Unavailable("no cpu line in /proc/stat")
        # user nice system idle iowait irq softirq steal; guest time is part of user already.
        ticks = [float(field) for field in fields[1:9]]
        return ticks[3] + (ticks[4] if len(ticks) > 4 else 0.0), sum(ticks)

    def _busy(self) -> float:
        """Share of the time since the last reading that the cores were busy, this program's work included."""
        before, now = self._cpu_times, self._times()
        self._cpu_times = now
        if before is None or now[1] <= before[1]:
            raise Unavailable("no time has passed since the last reading")
        return min(100.0, max(0.0, 100.0 * (1.0 - (now[0] - before[0]) / (now[1] - before[1]))))

    def _power_mode(self) -> str:
        """The Jetson power model in force, or the ACPI platform profile."""
        status = self._root / "var/lib/nvpmodel/status"
        if status.is_file():
            return read_text(status)
        try:
            return read_text(self._root / "sys/firmware/acpi/platform_profile")
        except Unavailable:
            raise Unavailable("neither a Jetson power model nor an ACPI platform profile") from None

    def _memory_available(self) -> float:
        values = meminfo(self._root)
        if "MemAvailable" in values:
            available = values["MemAvailable"]
        elif "MemFree" in values:  # Linux before 3.14
            available = values["MemFree"] + values.get("Buffers", 0) + values.get("Cached", 0)
        else:
            raise Unavailable("neither MemAvailable nor MemFree in /proc/meminfo")
        left = cgroup.memory_left(self._root)
        return float(available if left is None else min(available, left))

    def _swap_used(self) -> float:
        values = meminfo(self._root)
        if "SwapTotal" not in values or "SwapFree" not in values:
            raise Unavailable("no swap figures in /proc/meminfo")
        return float(values["SwapTotal"] - values["SwapFree"])
