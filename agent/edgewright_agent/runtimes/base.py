"""The one small interface that every runtime implements. Used in workers only, so numpy may be there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Protocol, Sequence

from edgewright_contract.values import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Session(Protocol):
    """A loaded network. Shapes are those that will run: an unknown batch dimension has become 1."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def accelerator(self) -> str:
        """What runs the network, as the runtime reports it after loading."""
        ...

    def bind(self, feed: Sequence[Array]) -> Callable[[], object]:
        """Puts `feed` (one array an input, in order, of the inputs' shapes and dtypes) in place and returns
        the call that runs one inference on it, which is what gets timed. A later `bind` replaces it."""
        ...

    def run(self, feed: Sequence[Array]) -> list[Array]:
        """One inference, outputs in order as fresh arrays; quantised outputs are returned as float32 where
        the format carries their scale."""
        ...


class Runtime(Protocol):
    """An importable inference library; each module of this package ends in one, named RUNTIME."""

    def version(self) -> str:
        """The library's name and version, the library being imported by this call.

        Raises EdgewrightError RUNTIME_UNAVAILABLE with the reason when it cannot be imported.
        """
        ...

    def load(self, model: Path, threads: int) -> Session:
        """Reads a model file. Raises EdgewrightError MODEL_CORRUPT, MODEL_UNRUNNABLE or MODEL_UNSUPPORTED."""
        ...
