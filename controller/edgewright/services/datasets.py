"""Use cases around data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.core.names import check_name
from edgewright.core.plain import to_plain
from edgewright.core.values import Dataset, Part, ProgressCallback, Sample
from edgewright.services.workspace import Workspace, waiting
from edgewright_contract.errors import EdgewrightError, ErrorCode


class DatasetService:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._datasets = workspace.store.datasets

    def add(
        self, name: str, path: Path, format_name: str | None, seed: int, progress: ProgressCallback
    ) -> dict[str, Any]:
        """Registers a data set; the same one twice is done once, another of the same name is refused."""
        from edgewright.datasets.scan import scan

        check_name(name, "data set")
        with self._workspace.store.work_lock(f"dataset-{name}", waiting(progress)):
            dataset = scan(name, path.expanduser().absolute(), format_name, seed, progress)
            parts = parts_of(dataset)  # a data set too small to split is refused before it is stored
            if self._datasets.find(name) is None:
                self._datasets.add(dataset)
            else:
                known = self._datasets.get(name)
                if (known.identity, known.seed) != (dataset.identity, dataset.seed):
                    raise EdgewrightError(
                        ErrorCode.DATASET_EXISTS,
                        f"another data set is named {name} ({len(known.samples)} images from {known.path},"
                        f" seed {known.seed})",
                        f"choose another name, or first: edgewright dataset remove {name}",
                    )
                if known.path != dataset.path:
                    self._datasets.update(dataset)  # same content, moved elsewhere
        return _document(dataset, parts)

    def list(self) -> list[dict[str, Any]]:
        return [
            {
                "dataset": record.name,
                "format": record.format,
                "path": record.path,
                "identity": record.identity,
                "seed": record.seed,
                "count": record.sample_count,
                "classes": len(record.class_names),
                "created": record.created,
            }
            for record in self._datasets.list()
        ]

    def show(self, name: str) -> dict[str, Any]:
        dataset = self._datasets.get(name)
        return _document(dataset, parts_of(dataset))

    def remove(self, name: str) -> None:
        self._datasets.remove(name)


def parts_of(dataset: Dataset) -> dict[Part, tuple[Sample, ...]]:
    from edgewright.datasets.split import split

    return split(dataset)


def _document(dataset: Dataset, parts: dict[Part, tuple[Sample, ...]]) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "format": dataset.format,
        "path": dataset.path,
        "identity": dataset.identity,
        "seed": dataset.seed,
        "count": len(dataset.samples),
        "classes": len(dataset.class_names),
        "class_names": list(dataset.class_names),
        "parts": {part.value: len(samples) for part, samples in parts.items()},
        "skipped": to_plain(dataset.skipped),
    }
