"""Every use case over one home folder, as one object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgewright.services.benchmarks import BenchmarkService
from edgewright.services.compression import CompressionService
from edgewright.services.datasets import DatasetService
from edgewright.services.delivery import DeliveryService
from edgewright.services.device_doctor import DeviceDoctor
from edgewright.services.devices import DeviceService
from edgewright.services.evaluations import EvaluationService
from edgewright.services.models import ModelService
from edgewright.services.reports import ReportService
from edgewright.services.results import ResultService
from edgewright.services.variants import VariantService
from edgewright.store.store import Store


@dataclass(frozen=True)
class Controller:
    """Every use case of the product; close it when done."""

    home: Path
    store: Store
    datasets: DatasetService
    models: ModelService
    compression: CompressionService
    variants: VariantService
    devices: DeviceService
    device_doctor: DeviceDoctor
    delivery: DeliveryService
    benchmarks: BenchmarkService
    evaluations: EvaluationService
    reports: ReportService
    results: ResultService

    def close(self) -> None:
        self.store.close()
