"""The registry of steps: which function runs which step of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from edgewright.compress.pipeline.work import Stage, Work
from edgewright.core.recipe import Step

# (the step's parameters, the stage before, the work, a folder of its own that survives a kill, seconds it may take)
Runner = Callable[[Any, Stage, Work, Path, float], Stage]
RUNNERS: dict[type[Step], Runner] = {}
R = TypeVar("R", bound=Runner)


def runs(kind: type[Step]) -> Callable[[R], R]:
    """Registers the function that runs steps of a kind. Raises ValueError where there is one already."""

    def register(function: R) -> R:
        if kind in RUNNERS:
            raise ValueError(f"{kind.__name__} has a runner already")
        RUNNERS[kind] = function
        return function

    return register
