"""Use cases around variants: find the right file, list, show, export, remove."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewright.core.names import BASE_VARIANT, parse_variant
from edgewright.services.user_files import user_file
from edgewright.services.workspace import Workspace
from edgewright.store.records import ModelRecord, VariantArtifact, VariantRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode

ANY_TARGET = "any"


class VariantService:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._variants = workspace.store.variants

    def list(self, model: str | None) -> list[dict[str, Any]]:
        if model is not None:
            self._workspace.store.models.get(model)
        return [variant_document(record) for record in self._variants.list(model)]

    def show(self, label: str, target: str | None) -> dict[str, Any]:
        name = parse_variant(label)
        return variant_document(self._variants.get(name.model, name.name, target))

    def for_target(self, label: str, target: str) -> VariantRecord:
        """The variant as made for `target` (or for any); raises VARIANT_UNKNOWN with the command that makes it."""
        name = parse_variant(label)
        for wanted in (target, ANY_TARGET):
            record = self._variants.find(name.model, name.name, wanted)
            if record is not None:
                return record
        other = self._variants.get(name.model, name.name)  # raises when there is none at all
        raise EdgewrightError(
            ErrorCode.VARIANT_UNKNOWN,
            f"{label} was made for {other.target}, this device is {target}",
            f"edgewright compress {name.model} --level {other.level} --target {target}",
        )

    def of_one_model(self, labels: Sequence[str], command: str) -> tuple[ModelRecord, tuple[str, ...]]:
        """The one model that all `labels` are variants of, and the labels once each; unknown ones are refused.

        Raises NAME_INVALID, MODEL_UNKNOWN, VARIANT_UNKNOWN, and OPTION_INVALID for variants of several models:
        `command` compares within one.
        """
        names = [parse_variant(label) for label in dict.fromkeys(labels)]
        models = {name.model for name in names}
        if len(models) != 1:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"one run compares variants of one model, these are of {', '.join(sorted(models))}",
                f"run `edgewright {command}` once a model",
            )
        model = self._workspace.store.models.get(names[0].model)
        for name in names:
            self._variants.get(name.model, name.name)
        return model, tuple(str(name) for name in names)

    def export(self, label: str, destination: Path, target: str | None, force: bool) -> dict[str, Any]:
        """Copies a variant's file to `destination`, whole or not at all."""
        name = parse_variant(label)
        record = self._variants.get(name.model, name.name, target)
        artifact = record.artifacts[0]
        source = self._workspace.store.artifacts.verify(artifact.sha256)
        if destination.is_dir():
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"{destination} is a folder",
                f"name a file, for example {destination / f'{name.model}-{name.name}.{artifact.format}'}",
            )
        if destination.exists() and not force:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"{destination} exists already",
                "choose another name, or give --force",
            )
        with user_file(destination) as temporary:
            shutil.copyfile(source, temporary)
        return {
            "file": str(destination),
            "format": artifact.format,
            "sha256": artifact.sha256,
            "size_bytes": artifact.size_bytes,
        }

    def remove(self, label: str) -> None:
        name = parse_variant(label)
        if name.name == BASE_VARIANT:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"{label} is the model itself",
                f"to remove the model with all its variants: edgewright model remove {name.model}",
            )
        self._variants.remove(name.model, name.name)


def file_of(record: VariantRecord) -> VariantArtifact:
    """The artifact that is pushed: a variant has one file a target in this release."""
    return record.artifacts[0]


def variant_document(record: VariantRecord) -> dict[str, Any]:
    """A variant as `--json` shows it."""
    facts = record.facts
    return {
        "variant": record.label,
        "model": record.model,
        "level": record.level,
        "target": record.target,
        "artifacts": [
            {"format": a.format, "target": a.target, "sha256": a.sha256, "size_bytes": a.size_bytes}
            for a in record.artifacts
        ],
        "parameters": facts.get("parameters"),
        "macs": facts.get("macs"),
        "drop": facts.get("drop"),
        "metric": facts.get("metric"),
        "fidelity": facts.get("fidelity"),
        "goals": facts.get("goals", []),
        "float_layers": facts.get("float_layers", []),
        "stopped_because": facts.get("stopped_because", ""),
        "settings": facts.get("settings", {}),
        "notes": facts.get("notes", []),
        "created": record.created,
    }
