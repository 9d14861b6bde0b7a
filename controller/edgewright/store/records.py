"""What the store keeps, as frozen records of plain Python types. Times are UTC, ISO 8601."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edgewright.core.names import SEPARATOR

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class DatasetRecord:
    """A registered data set without its list of samples (`Store.datasets.get` has that)."""

    name: str
    format: str
    path: str
    identity: str
    seed: int
    class_names: tuple[str, ...]
    sample_count: int
    skipped_count: int
    created: str = ""


@dataclass(frozen=True)
class ModelRecord:
    """An imported model. `artifact_sha256` is its base form: simplified FP32 ONNX, or .tflite as it came.

    `facts` has inputs, outputs, parameters, macs, import_difference, notes and what else the import found.
    """

    name: str
    task: str
    framework: str
    format: str
    source_sha256: str
    artifact_sha256: str
    size_bytes: int
    spec: JsonObject
    dataset: str | None = None
    facts: JsonObject = field(default_factory=dict)
    created: str = ""


@dataclass(frozen=True)
class VariantArtifact:
    """One file of a variant."""

    format: str
    target: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class VariantRecord:
    """A model after a recipe, for one target. `recipe_key` hashes everything that determines the result.

    `facts` has parameters, macs, drop, metric, fidelity, goals, float_layers, stopped_because.
    """

    model: str
    name: str
    target: str
    recipe_key: str
    artifacts: tuple[VariantArtifact, ...]
    level: str = ""
    facts: JsonObject = field(default_factory=dict)
    created: str = ""

    @property
    def label(self) -> str:
        return f"{self.model}{SEPARATOR}{self.name}"

    def artifact(self, format_name: str) -> VariantArtifact | None:
        """The artifact of a format, if there is one."""
        return next((item for item in self.artifacts if item.format == format_name), None)


@dataclass(frozen=True)
class DeviceRecord:
    """A paired agent. `certificate_pem` is pinned; an empty one means plain text on loopback."""

    name: str
    address: str
    certificate_pem: str
    fingerprint: str
    facts: JsonObject = field(default_factory=dict)
    target: str = ""
    added: str = ""
    last_seen: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class PushRecord:
    """One transfer of an artifact to a device; `sent_bytes` is 0 where the agent had it already."""

    device: str
    variant: str
    sha256: str
    size_bytes: int
    sent_bytes: int
    created: str = ""


@dataclass(frozen=True)
class DeploymentRecord:
    """An artifact put under a slot's name on a device; at most one of a slot is active."""

    device: str
    slot: str
    variant: str
    sha256: str
    active: bool = True
    created: str = ""


@dataclass(frozen=True)
class ResultRecord:
    """One variant's part of a benchmark or evaluation run; `evidence_sha256` holds the raw data."""

    run_id: str
    variant: str
    device: str
    settings: JsonObject
    summary: JsonObject
    evidence_sha256: str
    artifact_sha256: str = ""  # the very file that was run
    verdict: str = ""
    created: str = ""
    id: int = 0  # given by the store
