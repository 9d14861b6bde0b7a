"""Puts the services together over one home folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.services.benchmarks import BenchmarkService
from edgewright.services.compression import CompressionService
from edgewright.services.controller import Controller
from edgewright.services.datasets import DatasetService
from edgewright.services.delivery import DeliveryService
from edgewright.services.device_doctor import DeviceDoctor
from edgewright.services.devices import DeviceService
from edgewright.services.evaluations import EvaluationService
from edgewright.services.goals import GoalMaker
from edgewright.services.host_target import host_target
from edgewright.services.inputs import InputSets
from edgewright.services.models import ModelService
from edgewright.services.reports import ReportService
from edgewright.services.results import ResultService
from edgewright.services.variants import VariantService
from edgewright.services.workspace import Workspace
from edgewright.store.store import Store


def open_controller(home: Path) -> Controller:
    """Opens the home folder, making or migrating what is needed."""
    store = Store.open(home)
    workspace = Workspace(store.home, store)
    inputs = InputSets(workspace)
    variants = VariantService(workspace)
    delivery = DeliveryService(workspace, variants, GoalMaker(workspace, variants, inputs))
    here = host_target()
    return Controller(
        home=store.home,
        store=store,
        datasets=DatasetService(workspace),
        models=ModelService(workspace, inputs),
        compression=CompressionService(workspace, inputs, here),
        variants=variants,
        devices=DeviceService(workspace),
        device_doctor=DeviceDoctor(workspace),
        delivery=delivery,
        benchmarks=BenchmarkService(workspace, variants, delivery, inputs),
        evaluations=EvaluationService(workspace, variants, delivery, inputs, here),
        reports=ReportService(workspace, _render),
        results=ResultService(workspace),
    )


def _render(document: dict[str, Any]) -> str:
    """The report's HTML; the template engine is loaded only when a report is written."""
    from edgewright.web.report import render_report

    return render_report(document)
