"""Prints the installed distributions as pip constraints.

torch is left out: pyproject.toml pins it, once. Local version labels ("+cpu") are dropped, they are not on every index.
"""

from __future__ import annotations

from importlib.metadata import distributions

LEFT_OUT = {"torch", "edgewright", "pip", "setuptools"}


def main() -> None:
    pins = {
        distribution.metadata["Name"].lower(): distribution.version.partition("+")[0]
        for distribution in distributions()
    }
    print("# Made by `make lock`: the versions that were tested together.")
    for name in sorted(pins.keys() - LEFT_OUT):
        print(f"{name}=={pins[name]}")


if __name__ == "__main__":
    main()
