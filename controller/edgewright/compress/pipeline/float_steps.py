"""Steps on the float network: simplify and distill."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from edgewright.compress.pipeline.registry import runs
from edgewright.compress.pipeline.work import Stage, Work, allotted
from edgewright.core.recipe import Distill, Simplify
from edgewright.graph.compare import reference_of
from edgewright.graph.model_file import load_model
from edgewright.graph.normalise import normalise
from edgewright.graph.shapes import concrete_shapes, random_probe
from edgewright_contract.errors import EdgewrightError, ErrorCode

# Pixels that go through the network at once in training.
_PIXELS = 20 * 224 * 224


@runs(Simplify)
def simplify(_step: Simplify, stage: Stage, work: Work, folder: Path, _seconds: float) -> Stage:
    """The import's normalisation once more."""
    destination = folder / "simplified.onnx"
    model = load_model(stage.path)
    shapes = concrete_shapes(model, work.input_size)
    probes = [random_probe(model, shapes, seed=0), random_probe(model, shapes, seed=1, uniform=True)]
    with tempfile.TemporaryDirectory(dir=folder) as name:
        reference = reference_of(stage.path, probes, work.threads)
        done = normalise(model, reference, Path(name), progress=work.progress, threads=work.threads)
        shutil.copyfile(done.path, destination)
    return stage.then(destination, is_float=True, notes=done.notes)


@runs(Distill)
def distill(step: Distill, stage: Stage, work: Work, folder: Path, seconds: float) -> Stage:
    """Trains towards the baseline's outputs; the baseline itself has nothing to learn."""
    from edgewright.compress.train.options import TrainOptions
    from edgewright.compress.train.trainer import train

    if stage.path == work.baseline:
        return stage
    data = work.examples("distill")
    destination = folder / "distilled.onnx"
    size = step.batch or data.usual_batch
    labelled = data.labels is not None and step.label_weight > 0
    options = TrainOptions(
        steps=step.steps,
        budget_seconds=allotted(folder, "distill_budget", seconds),
        lr=step.rate,
        temperature=step.temperature,
        alpha=1.0 - step.label_weight if labelled else None,
        micro_batch=micro_batch(data.sides, size),
        seed=work.seed,
        threads=work.threads,
    )
    batches = data.batches(size, step.shift, step.flip, labelled)
    checkpoint = folder / "distill_checkpoint"
    try:
        trained = train(stage.path, work.baseline, batches, work.judge, options, destination, work.progress, checkpoint)
    except EdgewrightError as error:
        if not is_untrainable(error):
            raise
        return stage.then(stage.path, is_float=True, notes=(f"not distilled: {error.message}",))
    return stage.then(
        destination,
        is_float=True,
        distillation={
            "steps": trained.steps,
            "seconds": trained.seconds,
            "best_step": trained.best_step,
            "rate": trained.lr,
            "metric_before": trained.start.metric,
            "metric_after": trained.best.metric,
            "images": data.count,
            "labelled": labelled,
        },
        reason=f"distillation: {trained.stopped_because} after {trained.steps} steps",
    )


def is_untrainable(error: EdgewrightError) -> bool:
    """Whether torch cannot run this network as onnxruntime does: then training is left out, and said."""
    return error.code in (ErrorCode.MODEL_UNSUPPORTED, ErrorCode.COMPRESSION_FAILED)


def micro_batch(sides: tuple[int, int], batch: int) -> int:
    """Images that go through at once, so that memory stays bounded; 0: the whole batch."""
    pixels = max(sides[0] * sides[1], 1)
    most = max(1, _PIXELS // pixels)
    return 0 if most >= batch else most
