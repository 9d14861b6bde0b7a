"""One load and one inference: can this device run the artifact at all?"""

from __future__ import annotations

from typing import Callable

from edgewright_agent.measure.session import check_runtime, start_worker
from edgewright_agent.measure.values import LocalCandidate, WorkerSettings
from edgewright_contract.values import Loaded


def run_smoke(
    candidate: LocalCandidate, worker: WorkerSettings, cancelled: Callable[[], bool] = lambda: False
) -> Loaded:
    """Loads `candidate` in a worker and runs it once on zeros (unknown image sides: 224).

    Raises EdgewrightError RUNTIME_UNAVAILABLE, MODEL_CORRUPT, MODEL_UNRUNNABLE, MODEL_UNSUPPORTED, WORKER_*,
    CANCELLED once `cancelled` says True.
    """
    check_runtime(candidate)
    process, loaded = start_worker(candidate, 0, None, worker, cancelled)
    with process:
        process.close()
    return loaded
