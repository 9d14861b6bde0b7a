"""The closed list of operators. What is not in it is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgewright.compress.executor.node import Node

# Takes the node's inputs in order (None for one left out) and gives its output, or a tuple of them.
Run = Callable[..., Any]
Factory = Callable[[Node], Run]


@dataclass(frozen=True)
class Operator:
    """`build` makes the function that runs one node; it raises Unsupported for what it cannot do.

    `limits` says what is refused. Where `trains` is set, the function also takes `training`, True while the
    executor is in training mode.
    """

    name: str
    build: Factory
    limits: str = ""
    trains: bool = False


OPERATORS: dict[str, Operator] = {}


def operator(*names: str, limits: str = "", trains: bool = False) -> Callable[[Factory], Factory]:
    """Registers a factory for standard operators; a name taken already is a defect."""

    def register(build: Factory) -> Factory:
        for name in names:
            if name in OPERATORS:
                raise ValueError(f"operator {name} is registered twice")
            OPERATORS[name] = Operator(name, build, limits, trains)
        return build

    return register


def simple(name: str, run: Run) -> None:
    """Registers an operator without attributes."""
    operator(name)(lambda _node: run)


def load_operators() -> dict[str, Operator]:
    """All operators; imports the modules that register them."""
    from edgewright.compress.executor import (  # noqa: F401 - importing registers
        ops_conv,
        ops_create,
        ops_elementwise,
        ops_index,
        ops_logic,
        ops_norm,
        ops_pool,
        ops_quant,
        ops_reduce,
        ops_resize,
        ops_shape,
    )

    return OPERATORS
