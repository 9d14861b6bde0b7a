"""What an import found out."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright_contract.values import TensorSpec


@dataclass(frozen=True)
class ImportedModel:
    """Facts of an imported network.

    `import_difference` is the largest difference between the original's and the simplified file's outputs,
    max |a - b| / max |a|; `macs` counts multiply-accumulates of one sample; `notes` says what was not done
    and why.
    """

    framework: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int
    parameters: int
    macs: int
    size_bytes: int
    import_difference: float
    simplified: bool
    notes: tuple[str, ...] = ()
    nodes_before: int = 0
    nodes_after: int = 0
