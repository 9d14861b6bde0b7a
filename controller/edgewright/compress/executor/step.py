"""One call of the executor."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.compress.executor.registry import Run


@dataclass(frozen=True)
class Step:
    """`frees` are the tensors that nothing reads after it; `trains`: the call takes `training`."""

    name: str
    op: str
    run: Run
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    trains: bool = False
    frees: tuple[str, ...] = ()
