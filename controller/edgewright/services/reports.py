"""Use case: everything known of a model, as one document."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgewright.core.names import BASE_VARIANT
from edgewright.services.benchmarks import benchmark_document
from edgewright.services.datasets import parts_of
from edgewright.services.evaluations import evaluation_document
from edgewright.services.models import model_document
from edgewright.services.user_files import user_file
from edgewright.services.variants import variant_document
from edgewright.services.versions import versions
from edgewright.services.workspace import Workspace


class ReportService:
    def __init__(self, workspace: Workspace, render: Callable[[dict[str, Any]], str]) -> None:
        self._workspace = workspace
        self._render = render

    def document(self, model_name: str) -> dict[str, Any]:
        """The model, its variants, and the latest benchmark and evaluation of each on each device."""
        store = self._workspace.store
        model = store.models.get(model_name)
        benchmarks = [benchmark_document(record) for record in store.benchmarks.latest(model_name)]
        evaluations = [evaluation_document(record) for record in store.evaluations.latest(model_name)]
        used = {result["device"] for result in (*benchmarks, *evaluations)}
        return {
            "model": model_document(model),
            "variants": [variant_document(record) for record in store.variants.list(model_name)],
            "benchmarks": sorted(benchmarks, key=_baseline_first),
            "evaluations": sorted(evaluations, key=_baseline_first),
            "devices": [
                {
                    "name": device.name,
                    "address": device.address,
                    "target": device.target,
                    "facts": device.facts,
                    "last_seen": device.last_seen,
                }
                for device in store.devices.list()
                if device.name in used
            ],
            "dataset": self._dataset(model.dataset),
            "versions": versions(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }

    def write_html(self, document: dict[str, Any], destination: Path) -> None:
        """One self-contained HTML file, whole or not at all."""
        text = self._render(document)
        with user_file(destination) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _dataset(self, name: str | None) -> dict[str, Any] | None:
        if name is None:
            return None
        dataset = self._workspace.store.datasets.get(name)
        return {
            "name": dataset.name,
            "format": dataset.format,
            "identity": dataset.identity,
            "seed": dataset.seed,
            "count": len(dataset.samples),
            "skipped": len(dataset.skipped),
            "parts": {part.value: len(samples) for part, samples in parts_of(dataset).items()},
        }


def _baseline_first(document: dict[str, Any]) -> tuple[str, bool, str]:
    return document["device"], not document["variant"].endswith(f"@{BASE_VARIANT}"), document["variant"]
