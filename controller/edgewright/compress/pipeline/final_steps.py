"""Steps that give the network its final form: quantize, qat and fp16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.compress.fp16 import to_fp16
from edgewright.compress.int8 import Int8Options, quantize_int8
from edgewright.compress.pipeline.float_steps import is_untrainable, micro_batch
from edgewright.compress.pipeline.registry import runs
from edgewright.compress.pipeline.work import Stage, Work, allotted
from edgewright.core.plain import to_plain
from edgewright.core.recipe import Fp16, Qat, Quantize
from edgewright_contract.errors import EdgewrightError

# What the final form may lose at least, however much the float network has lost already.
_LEAST_BOUND = 0.25
# Facts of a made file that are about the whole variant, and told by the pipeline.
_OURS = (
    "fidelity",
    "metric_name",
    "metric_baseline",
    "metric_value",
    "drop",
    "bound_met",
    "stopped_because",
    "goals",
    "notes",
    "size_bytes",
    "parameters",
    "macs",
)


@runs(Quantize)
def quantize(step: Quantize, stage: Stage, work: Work, folder: Path, seconds: float) -> Stage:
    """INT8 of the float network, within what is left of the bound."""
    destination = folder / "int8.onnx"
    lost = 0.0
    if stage.path != work.baseline:
        lost = work.goal.drop_points(work.bench.judge_file(stage.path)) or 0.0
    options = Int8Options(
        target=work.target,
        bound_points=max(work.bound_points - lost, _LEAST_BOUND),
        minimum_sqnr_db=step.minimum_sqnr_db,
        methods=step.methods,
        bias_correction=step.bias_correction,
        keep_float=step.keep_float,
        budget_seconds=min(seconds, 300.0),
        threads=work.threads,
        input_size=work.input_size,
    )
    made = quantize_int8(stage.path, destination, work.images("quantize"), work.judge, options, work.progress)
    return stage.then(
        destination,
        is_float=False,
        reason=f"INT8: {made.stopped_because}",
        notes=made.notes,
        **_facts(made),
    )


@runs(Qat)
def qat(step: Qat, stage: Stage, work: Work, folder: Path, seconds: float) -> Stage:
    """Trains the quantised network towards its float form; where the executor cannot, the network stays as it is."""
    from edgewright.compress.train.qat import QatOptions, train_quantised

    data = work.examples("qat")
    destination = folder / "qat.onnx"
    options = QatOptions(
        steps=step.steps,
        budget_seconds=allotted(folder, "qat_budget", seconds),
        lr=step.weight_rate,
        scale_lr=step.scale_rate,
        micro_batch=micro_batch(data.sides, step.batch),
        seed=work.seed,
        threads=work.threads,
    )
    batches = data.batches(step.batch, use_labels=False)
    checkpoint = folder / "qat_checkpoint"
    try:
        trained = train_quantised(
            stage.path, stage.float_path, batches, work.judge, options, destination, work.progress, checkpoint
        )
    except EdgewrightError as error:
        if not is_untrainable(error):
            raise
        return stage.then(stage.path, is_float=False, notes=(f"not retrained: {error.message}",))
    return stage.then(
        destination,
        is_float=False,
        qat={
            "steps": trained.steps,
            "seconds": trained.seconds,
            "best_step": trained.best_step,
            "metric_before": trained.start.metric,
            "metric_after": trained.best.metric,
        },
        reason=f"retraining: {trained.stopped_because} after {trained.steps} steps",
    )


@runs(Fp16)
def fp16(_step: Fp16, stage: Stage, work: Work, folder: Path, _seconds: float) -> Stage:
    """Half-precision weights."""
    destination = folder / "fp16.onnx"
    made = to_fp16(
        stage.path,
        destination,
        work.judge,
        work.progress,
        bound_points=work.bound_points,
        threads=work.threads,
        input_size=work.input_size,
    )
    return stage.then(destination, is_float=False, notes=made.notes, **_facts(made))


def _facts(made: Any) -> dict[str, Any]:
    return {key: value for key, value in to_plain(made).items() if key not in _OURS}
