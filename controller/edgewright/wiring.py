"""Puts the services together over one home folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgewright.services.benchmarks import BenchmarkService
from edgewright.services.compression import CompressionService
from edgewright.services.datasets import DatasetService
from edgewright.services.delivery import DeliveryService
from edgewright.services.devices import DeviceService
from edgewright.services.evaluations import EvaluationService
from edgewright.services.host_target import host_target
from edgewright.services.inputs import InputSets
from edgewright.services.models import ModelService
from edgewright.services.reports import ReportService
from edgewright.services.variants import VariantService
from edgewright.services.workspace import Workspace
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
    delivery: DeliveryService
    benchmarks: BenchmarkService
    evaluations: EvaluationService
    reports: ReportService

    def close(self) -> None:
        self.store.close()


def open_controller(home: Path) -> Controller:
    """Opens the home folder, making or migrating what is needed."""
    store = Store.open(home)
    workspace = Workspace(store.home, store)
    inputs = InputSets(workspace)
    variants = VariantService(workspace)
    delivery = DeliveryService(workspace, variants)
    here = host_target()
    return Controller(
        home=store.home,
        store=store,
        datasets=DatasetService(workspace),
        models=ModelService(workspace, inputs),
        compression=CompressionService(workspace, inputs, here),
        variants=variants,
        devices=DeviceService(workspace),
        delivery=delivery,
        benchmarks=BenchmarkService(workspace, variants, delivery, inputs),
        evaluations=EvaluationService(workspace, variants, delivery, inputs, here),
        reports=ReportService(workspace),
    )
