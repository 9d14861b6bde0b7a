"""Use case: the whole job on this machine with the built-in example."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright import example
from edgewright.core.values import ProgressCallback, ProgressEvent
from edgewright.services.benchmarks import BenchRequest
from edgewright.services.local_agent import LocalAgent, running_agent

if TYPE_CHECKING:
    from edgewright.services.controller import Controller

NAME = "example"
DEVICE = "this-machine"
LEVELS = ["acc1", "acc2", "acc3"]
# Enough for the example, so that the whole stays within three minutes on two cores.
BUDGET_MINUTES = 0.6
_STEPS = 8


def run_quickstart(
    controller: Controller, report: Path | None, max_seconds: float, progress: ProgressCallback
) -> dict[str, Any]:
    """Data set, model, compression, agent, pairing, push, benchmark, evaluation, report.

    Each step is the same use case as its command; what an earlier quickstart did is not done again, but everything
    is measured anew. Returns the report's document and the path of its HTML form.
    """

    def step(number: int, text: str) -> None:
        progress(ProgressEvent(f"[{number}/{_STEPS}] {text}"))

    files = example.files()
    step(1, "data set: held-out images of the built-in example")
    controller.datasets.add(NAME, files.dataset, None, 0, progress)
    step(2, "model: import and check")
    controller.models.add(NAME, files.model, None, files.spec_name, NAME, progress)
    step(3, "agent: start on loopback and pair")
    with running_agent(controller.home / "agent") as agent:
        _pair(controller, agent)
        step(4, f"compress: {', '.join(LEVELS)}")
        controller.compression.compress(NAME, LEVELS, None, DEVICE, None, None, progress, budget_minutes=BUDGET_MINUTES)
        labels = [f"{NAME}@{level}" for level in ["base", *LEVELS]]
        step(5, "push: the INT8 variant into slot default")
        pushed = controller.delivery.push(f"{NAME}@acc1", [DEVICE], "default", progress)
        step(6, "benchmark: variants interleaved on the agent")
        request = BenchRequest(tuple(labels), (DEVICE,), max_seconds=max_seconds)
        controller.benchmarks.bench(request, progress)
        step(7, "evaluate: accuracy from the agent's own outputs")
        controller.evaluations.evaluate(tuple(labels), (DEVICE,), None, None, 1, progress)
    step(8, "report")
    document = controller.reports.document(NAME)
    destination = (report or controller.home / "quickstart-report.html").expanduser().absolute()
    controller.reports.write_html(document, destination)
    return {**document, "pushed": pushed, "report": str(destination)}


def _pair(controller: Controller, agent: LocalAgent) -> None:
    """Pairs once a home folder; afterwards only the port changes."""
    known = controller.store.devices.find(DEVICE)
    if known is None:
        controller.devices.add(DEVICE, agent.address, agent.pairing_code(), insecure=False)
        return
    record = controller.store.devices.update(replace(known, address=agent.address))
    controller.devices.refresh(record)
