"""A network that does nothing: what the harness measures around it is the harness itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable, Sequence

from edgewright_contract.values import TensorSpec

if TYPE_CHECKING:
    from edgewright_agent.runtimes.base import Array


def _nothing() -> None:
    """The empty inference."""


class NullSession:
    """One float input of one element, no work."""

    inputs = (TensorSpec("input", (1, 1), "float32"),)
    outputs = (TensorSpec("output", (1, 1), "float32"),)
    accelerator = "none"

    def bind(self, feed: Sequence[Array]) -> Callable[[], object]:  # noqa: ARG002 - the interface's shape
        return _nothing

    def run(self, feed: Sequence[Array]) -> list[Array]:
        return list(feed)


class NullRuntime:
    """Needs no library and no file."""

    def version(self) -> str:
        return "null"

    def load(self, model: Path, threads: int) -> NullSession:  # noqa: ARG002 - the interface's shape
        return NullSession()


RUNTIME = NullRuntime()
