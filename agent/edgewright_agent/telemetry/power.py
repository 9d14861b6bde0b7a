"""Power of the whole board from its INA3221 monitors (Jetson and others)."""

from __future__ import annotations

from pathlib import Path

from edgewright_agent.telemetry.files import Unavailable, listed, read_number, read_text

# One rail that feeds all others, by the label of the vendor's device tree.
TOTAL_RAILS = ("VDD_IN", "POM_5V_IN")
# Boards without such a rail, whose rails together are the total (Jetson AGX Xavier).
SUMMED_RAILS = (frozenset({"GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"}),)


def board_power_w(root: Path) -> float:
    """The board's power in W. Raises Unavailable when there is no monitor, or its rails have no known total:
    adding an input rail to what it feeds counts twice, and leaving one out is no total either.
    """
    rails = _rails(root)
    if not rails:
        raise Unavailable("no INA3221 power monitor")
    for name in TOTAL_RAILS:
        if name in rails:
            return rails[name]
    if frozenset(rails) in SUMMED_RAILS:
        return sum(rails.values())
    raise Unavailable(f"the rails {', '.join(sorted(rails))} have no known total")


def _rails(root: Path) -> dict[str, float]:
    """Watts by label, over all monitors."""
    folders = listed(root / "sys/bus/i2c/drivers/ina3221", "*/hwmon/hwmon*")
    for folder in listed(root / "sys/class/hwmon", "hwmon*"):
        try:
            if read_text(folder / "name") == "ina3221":
                folders.append(folder)
        except Unavailable:
            continue
    rails: dict[str, float] = {}
    for folder in folders:
        for label in listed(folder, "in[0-9]_label"):
            channel = label.name[2]
            try:
                name = read_text(label)
                millivolts = read_number(folder / f"in{channel}_input")
                milliamperes = read_number(folder / f"curr{channel}_input")
            except Unavailable:
                continue
            if name and name != "NC":
                rails[name] = millivolts * milliamperes / 1e6
    return rails
