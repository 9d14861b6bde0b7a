"""The registry of rules: what each operator does to channels. An operator without one protects its channels."""

from __future__ import annotations

from collections.abc import Callable

from edgewright.graph.channels.flow import Flow

Rule = Callable[[Flow], None]
RULES: dict[str, Rule] = {}


def rule(*operators: str) -> Callable[[Rule], Rule]:
    """Registers a function for standard ONNX operators. Raises ValueError where one has a rule already."""

    def register(function: Rule) -> Rule:
        for operator in operators:
            if operator in RULES:
                raise ValueError(f"{operator} has a rule already; known: {sorted(RULES)}")
            RULES[operator] = function
        return function

    return register
