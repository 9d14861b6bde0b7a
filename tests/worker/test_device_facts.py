"""Facts and sensors, from faked boards whose files are written by hand, and from this machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil
import pytest

from edgewright_agent import __version__, device_info
from edgewright_agent.runtimes import registry
from edgewright_agent.runtimes.registry import Registration
from edgewright_agent.telemetry.cgroup import cpu_quota, memory_left, memory_limit
from edgewright_agent.telemetry.cpu import cpu_list
from edgewright_agent.telemetry.sensors import Sensors
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import READING_NAMES, Reading

LITTLE = "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd03\n"
BIG = "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\n"
FEATURES = "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid\n"


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def rk3399(tmp_path: Path) -> Path:
    """A Rockchip board: four small cores, two big ones, two thermal zones, no power monitor."""
    root = tmp_path / "rk3399"
    cores = [f"processor\t: {n}\nBogoMIPS\t: 48.00\n{FEATURES}{LITTLE if n < 4 else BIG}" for n in range(6)]
    put(root, "proc/cpuinfo", "\n".join(cores) + "\nSerial\t\t: 1234\n")
    put(root, "proc/device-tree/model", "Firefly-RK3399 Board (Linux Opensource)\0")
    put(root, "proc/meminfo", "MemTotal:        3972000 kB\nMemFree: 1000 kB\nMemAvailable:    3000000 kB\n")
    put(root, "proc/loadavg", "0.52 0.58 0.59 1/123 4567\n")
    put(root, "proc/uptime", "3600.25 7000.00\n")
    put(root, "proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3 4\n")
    put(root, "proc/sys/kernel/osrelease", "4.4.194\n")
    put(root, "etc/os-release", 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 10 (buster)"\n')
    put(root, "sys/devices/system/cpu/online", "0-5\n")
    for n in range(6):
        folder = f"sys/devices/system/cpu/cpu{n}/cpufreq"
        put(root, f"{folder}/scaling_governor", "interactive\n" if n < 4 else "performance\n")
        put(root, f"{folder}/scaling_cur_freq", "408000\n" if n < 4 else "1200000\n")
        put(root, f"{folder}/cpuinfo_max_freq", "1416000\n" if n < 4 else "1800000\n")
    put(root, "sys/class/thermal/thermal_zone0/temp", "51111\n")
    put(root, "sys/class/thermal/thermal_zone1/temp", "48333\n")
    put(root, "sys/class/thermal/thermal_zone2/temp", "-273000\n")
    return root


def test_an_rk3399_is_described(rk3399: Path, tmp_path: Path) -> None:
    """Board, core kinds, features, memory, kernel and system come from its files."""
    facts = device_info.collect(rk3399, tmp_path)

    assert facts.board == "Firefly-RK3399 Board (Linux Opensource)"
    assert facts.cpu_model == "Cortex-A72+Cortex-A53"
    assert facts.cores == 6
    assert "asimd" in facts.cpu_flags
    assert "asimddp" not in facts.cpu_flags
    assert facts.memory_bytes == 3_972_000 * 1024
    assert facts.kernel == "4.4.194"
    assert facts.system == "Debian GNU/Linux 10 (buster)"
    assert facts.agent_version == __version__


def test_an_rk3399s_sensors(rk3399: Path) -> None:
    """The hottest plausible zone, the fastest core, both governors; what is missing says why and is not 0."""
    readings = {reading.name: reading for reading in Sensors(rk3399).read()}

    assert list(readings) == list(READING_NAMES)
    assert readings["governor"] == Reading("governor", "interactive+performance")
    assert readings["cpu_frequency"] == Reading("cpu_frequency", 1200.0, "MHz")
    assert readings["cpu_frequency_max"] == Reading("cpu_frequency_max", 1800.0, "MHz")
    assert readings["temperature"] == Reading("temperature", 51.111, "degC")
    assert readings["load_1m"] == Reading("load_1m", 0.52)
    assert readings["memory_available"] == Reading("memory_available", 3_000_000 * 1024.0, "bytes")
    assert readings["uptime"] == Reading("uptime", 3600.25, "s")
    for missing in ("power", "power_mode", "swap_used", "cpu_busy"):
        assert readings[missing].value is None
        assert readings[missing].unavailable


def test_cpu_busy_is_the_share_since_the_last_reading(rk3399: Path) -> None:
    """Of 200 ticks 50 were idle and 50 waited for the disk: half busy. Without new ticks there is no value."""
    sensors = Sensors(rk3399)
    put(rk3399, "proc/stat", "cpu  180 0 120 850 50 0 0 0 0 0\n")

    first = {reading.name: reading for reading in sensors.read()}["cpu_busy"]
    second = {reading.name: reading for reading in sensors.read()}["cpu_busy"]

    assert first.value == pytest.approx(50.0)
    assert second.value is None
    assert "no time" in second.unavailable


@pytest.mark.parametrize(
    ("rails", "watts"),
    [
        ({"VDD_IN": (5000, 2000), "VDD_CPU_GPU_CV": (5000, 500)}, 10.0),
        (dict.fromkeys(("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"), (1000, 1000)), 6.0),
        ({"VDD_GPU_SOC": (5000, 500), "VDD_CPU_CV": (5000, 500)}, None),
    ],
)
def test_power_is_a_known_total_or_unavailable(
    tmp_path: Path, rails: dict[str, tuple[int, int]], watts: float | None
) -> None:
    """A Jetson's input rail is the total and nothing is added to it; unknown rails are not summed by guess."""
    for number, (label, (millivolts, milliamperes)) in enumerate(rails.items()):
        folder = f"sys/bus/i2c/drivers/ina3221/1-00{40 + number // 3}/hwmon/hwmon{number // 3}"
        channel = number % 3 + 1
        put(tmp_path, f"{folder}/in{channel}_label", f"{label}\n")
        put(tmp_path, f"{folder}/in{channel}_input", f"{millivolts}\n")
        put(tmp_path, f"{folder}/curr{channel}_input", f"{milliamperes}\n")

    power = {reading.name: reading for reading in Sensors(tmp_path).read()}["power"]

    assert power.value == watts
    assert bool(power.unavailable) == (watts is None)


def test_an_empty_root_is_all_unavailable(tmp_path: Path) -> None:
    """Without /proc and /sys every sensor gives a reason and every fact a neutral word."""
    facts = device_info.collect(tmp_path / "nothing", tmp_path)

    assert all(reading.value is None and reading.unavailable for reading in facts.readings)
    assert facts.board
    assert facts.cpu_model == "unknown"
    assert facts.cores >= 1
    assert facts.cpu_flags == ()


def test_unreadable_values_are_unavailable(rk3399: Path) -> None:
    """Nonsense in a file is a reason, not a number and not an exception."""
    put(rk3399, "proc/loadavg", "high\n")
    put(rk3399, "proc/uptime", "")
    for zone in range(3):
        put(rk3399, f"sys/class/thermal/thermal_zone{zone}/temp", "0\n")

    readings = {reading.name: reading for reading in Sensors(rk3399).read()}

    for name in ("load_1m", "uptime", "temperature"):
        assert readings[name].value is None
        assert readings[name].unavailable


def test_an_x86_board_is_named_by_its_firmware(tmp_path: Path) -> None:
    """Vendor and product, or a description where nobody filled them in; the model name without extra blanks."""
    put(tmp_path, "sys/class/dmi/id/sys_vendor", "Advantech\n")
    put(tmp_path, "sys/class/dmi/id/product_name", "UNO-2484G\n")
    put(tmp_path, "proc/cpuinfo", "processor: 0\nmodel name\t: Intel(R)  Core(TM)\nflags\t: sse avx2 hypervisor\n")

    assert device_info.board(tmp_path) == "Advantech UNO-2484G"
    assert device_info.collect(tmp_path, tmp_path).cpu_model == "Intel(R) Core(TM)"

    put(tmp_path, "sys/class/dmi/id/product_name", "To Be Filled By O.E.M.\n")
    assert device_info.board(tmp_path) == f"{platform.machine()} virtual machine"


def test_an_unknown_arm_core_is_said_to_be_one(tmp_path: Path) -> None:
    """A part that the table lacks is given by its numbers."""
    put(tmp_path, "proc/cpuinfo", "processor: 0\nCPU implementer: 0x41\nCPU part: 0xfff\n")

    assert "part 0xfff" in device_info.collect(tmp_path, tmp_path).cpu_model


def test_container_limits_are_respected(tmp_path: Path) -> None:
    """The tightest limit of the process's own group and those above it counts, in cgroup v2 and v1."""
    v2 = tmp_path / "v2"
    put(v2, "proc/self/cgroup", "0::/system.slice/agent.service\n")
    put(v2, "proc/meminfo", "MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n")
    put(v2, "sys/fs/cgroup/memory.max", "max\n")
    put(v2, "sys/fs/cgroup/system.slice/memory.max", "1000000000\n")
    put(v2, "sys/fs/cgroup/system.slice/memory.current", "400000000\n")
    put(v2, "sys/fs/cgroup/system.slice/agent.service/memory.max", "max\n")
    put(v2, "sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n")
    v1 = tmp_path / "v1"
    put(v1, "proc/self/cgroup", "4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n")
    put(v1, "sys/fs/cgroup/memory/memory.limit_in_bytes", "500000000\n")
    put(v1, "sys/fs/cgroup/memory/memory.usage_in_bytes", "100000000\n")
    put(v1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    put(v1, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")

    assert memory_limit(v2) == 1_000_000_000
    assert memory_left(v2) == 600_000_000
    assert cpu_quota(v2) == 2
    assert device_info.collect(v2, tmp_path).memory_bytes == 1_000_000_000
    assert memory_limit(v1) == 500_000_000
    assert memory_left(v1) == 400_000_000
    assert cpu_quota(v1) is None
    assert memory_limit(tmp_path) is None


def test_this_machine_agrees_with_psutil(tmp_path: Path) -> None:
    """On the real root the figures are those that psutil reads on its own."""
    facts = device_info.collect(Path("/"), tmp_path / "not" / "there")

    assert facts.cores == len(os.sched_getaffinity(0))
    assert 0 < facts.memory_bytes <= psutil.virtual_memory().total
    assert facts.disk_free_bytes == pytest.approx(psutil.disk_usage(str(tmp_path)).free, rel=0.01)
    assert facts.agent_memory_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)
    assert facts.python_version == platform.python_version()
    assert len(facts.cpu_flags) > 5
    readings = {reading.name: reading.value for reading in facts.readings}
    assert readings["uptime"] == pytest.approx(float(Path("/proc/uptime").read_text().split()[0]), abs=5)
    assert readings["load_1m"] == pytest.approx(psutil.getloadavg()[0], abs=2)


def test_runtimes_are_listed_without_being_imported() -> None:
    """Name, package and version of what is installed; the null runtime is not for users."""
    import onnxruntime

    facts = {item.name: item for item in registry.available()}

    assert facts["onnxruntime"].version == onnxruntime.__version__
    assert facts["onnxruntime"].formats == ("onnx",)
    assert "null" not in facts


def test_a_name_is_registered_once() -> None:
    """A second runtime of the same name is a programmer's error."""
    with pytest.raises(EdgewrightError) as caught:
        registry.register(Registration("onnxruntime", "x", (), (), ()))

    assert caught.value.code is ErrorCode.INTERNAL


def test_core_lists_are_read() -> None:
    """The kernel's "0-3,5" form."""
    assert cpu_list("0-3,5\n") == (0, 1, 2, 3, 5)
    assert cpu_list("0") == (0,)
