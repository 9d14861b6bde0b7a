"""Goals of a push, made checkable on the device: golden inputs, and what the baseline answers to them."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.core.names import BASE_VARIANT, parse_variant
from edgewright.core.plain import to_plain
from edgewright.core.values import Part, ProgressCallback, Task
from edgewright.services.datasets import parts_of
from edgewright.services.host import run_on_host
from edgewright.services.inputs import GOLDEN_SAMPLES, InputFile, InputSets, single_input
from edgewright.services.models import inputs_of, spec_of
from edgewright.services.variants import VariantService, file_of
from edgewright.services.workspace import Workspace
from edgewright.store.records import ModelRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.limits import LATENCY_MS_MAX
from edgewright_contract.values import DeployGoals

if TYPE_CHECKING:
    import numpy as np

# A drop of half a point shows; `edgewright eval` is the full measure.
DROP_SAMPLES = 200


@dataclass(frozen=True)
class PushGoals:
    """What a person asks for; None: not asked. Raises OPTION_INVALID."""

    max_latency_ms: float | None = None
    max_drop: float | None = None

    def __post_init__(self) -> None:
        latency, drop = self.max_latency_ms, self.max_drop
        if latency is not None and not 0 < latency <= LATENCY_MS_MAX:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"--max-latency is {latency:g}; allowed: above 0, {LATENCY_MS_MAX:g} ms at most",
            )
        if drop is not None and not 0 <= drop <= 100:
            raise EdgewrightError(ErrorCode.OPTION_INVALID, f"--max-drop is {drop:g}; allowed: 0 to 100 points")

    @property
    def any(self) -> bool:
        return self.max_latency_ms is not None or self.max_drop is not None


@dataclass(frozen=True)
class CheckedGoals:
    """What an agent is asked to check, and the files (path, sha256) that it needs for that."""

    goals: DeployGoals
    files: tuple[tuple[Path, str], ...]


class GoalMaker:
    def __init__(self, workspace: Workspace, variants: VariantService, inputs: InputSets) -> None:
        self._workspace = workspace
        self._variants = variants
        self._inputs = inputs

    def make(self, label: str, target: str, asked: PushGoals, progress: ProgressCallback) -> CheckedGoals:
        """Runs the baseline on this machine, the second time from the cache.

        Raises OPTION_INVALID and DATASET_REQUIRED for a drop that cannot be judged, VARIANT_UNKNOWN.
        """
        model = self._workspace.store.models.get(parse_variant(label).model)
        classes = model.task == Task.CLASSIFICATION
        if asked.max_drop is not None and not classes:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"--max-drop counts right answers of a classifier, and {model.name} is for {model.task}",
                "leave it out: that the outputs are close to the baseline's is checked all the same",
            )
        golden = self._golden(model, asked, progress)
        path, sha256 = self._expected(model, target, golden, progress)
        known = [label for label in golden.labels if label is not None]
        labelled = classes and len(known) == golden.count
        first_class = spec_of(model).output.first_class
        goals = DeployGoals(
            golden=golden.as_input_set(),
            expected_sha256=sha256,
            classes=classes,
            labels=tuple(label + first_class for label in known) if labelled else (),
            max_latency_ms=asked.max_latency_ms,
            max_drop=asked.max_drop,
        )
        return CheckedGoals(goals, ((golden.path, golden.sha256), (path, sha256)))

    def _golden(self, model: ModelRecord, asked: PushGoals, progress: ProgressCallback) -> InputFile:
        tensor = single_input(inputs_of(model), model.name)
        spec = spec_of(model)
        if model.dataset is None:
            if asked.max_drop is not None:
                raise EdgewrightError(
                    ErrorCode.DATASET_REQUIRED,
                    f"--max-drop needs images, and model {model.name} has no data set",
                    "`edgewright dataset add`, then add the model with --dataset",
                )
            return self._inputs.random(tensor, spec.input.size)
        dataset = self._workspace.store.datasets.get(model.dataset)
        count = GOLDEN_SAMPLES if asked.max_drop is None else DROP_SAMPLES
        return self._inputs.of_dataset(dataset, parts_of(dataset)[Part.EVALUATION][:count], spec, progress)

    def _expected(
        self, model: ModelRecord, target: str, golden: InputFile, progress: ProgressCallback
    ) -> tuple[Path, str]:
        """The baseline's outputs as an .npz, and its sha256."""
        from edgewright_contract.transfer import sha256_of_file

        base = file_of(self._variants.for_target(f"{model.name}@{BASE_VARIANT}", target))
        key = json.dumps([base.sha256, golden.sha256, to_plain(golden.normalization)])
        folder = self._workspace.cache / "expected"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.npz"
        with self._workspace.store.work_lock(f"expected-{path.stem}"):
            if not path.exists():
                source = self._workspace.store.artifacts.path_of(base.sha256)
                text = f"run {model.name}@{BASE_VARIANT} here for comparison"
                outputs = run_on_host(source, base.format, inputs_of(model)[0], golden, text, progress)
                with self._workspace.scratch() as scratch:
                    _write_npz(scratch / "expected.npz", outputs)
                    (scratch / "expected.npz").replace(path)
        return path, sha256_of_file(path)


def _write_npz(path: Path, outputs: dict[str, np.ndarray[Any, Any]]) -> None:
    """As numpy.savez, for any name of an output ("file" too), and the same bytes each time."""
    import numpy as np

    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, value in outputs.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, value, allow_pickle=False)
