"""FP16: weights and arithmetic in half precision. A size feature: CPUs compute in float32 all the same."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

from edgewright.compress.goal import Goal, GoalResult
from edgewright.compress.judge import Bench, Fidelity, Judge
from edgewright.compress.placement import FloatLayer
from edgewright.core.values import ProgressCallback, ProgressEvent, no_progress
from edgewright.graph.cost import count_macs, count_parameters
from edgewright.graph.files import atomic_file
from edgewright.graph.measured_shapes import known_shapes
from edgewright.graph.model_file import load_model, save_model
from edgewright.graph.shapes import concrete_shapes
from edgewright_contract.errors import EdgewrightError, ErrorCode

SIZE_ONLY = "FP16 is a size feature on CPUs: half the file, and no faster than FP32 there"


@dataclass(frozen=True)
class Fp16Model:
    """What came out; fields as in QuantizedModel."""

    size_bytes: int
    parameters: int
    macs: int
    method: str
    fidelity: Fidelity
    metric_name: str
    metric_baseline: float | None
    metric_value: float | None
    drop: float | None
    bound_met: bool
    stopped_because: str
    goals: tuple[GoalResult, ...]
    float_layers: tuple[FloatLayer, ...] = ()
    notes: tuple[str, ...] = field(default=(SIZE_ONLY,))


def to_fp16(
    model: Path,
    destination: Path,
    judge: Judge,
    progress: ProgressCallback = no_progress,
    bound_points: float = 0.5,
    threads: int = 0,
    input_size: tuple[int, int] | None = None,
) -> Fp16Model:
    """Converts the float network at `model`; inputs and outputs stay float32. Written whole or not at all.

    Raises COMPRESSION_FAILED where onnxruntime cannot load the result (it has no half-precision form of some
    operator).
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    progress(ProgressEvent("converting to float16", 0, 2))
    source = load_model(model)
    parameters = count_parameters(source)
    macs = count_macs(source, known_shapes(source, concrete_shapes(source, input_size)))[0]
    del source.graph.value_info[:]
    with warnings.catch_warnings():
        # Weights beyond half precision's range are clipped or flushed; the judge says what it costs.
        warnings.simplefilter("ignore")
        converted = convert_float_to_float16(source, keep_io_types=True)
    converted.producer_name = "edgewright"
    with atomic_file(destination) as temporary:
        save_model(converted, temporary)
        bench = Bench(model, judge, threads)
        try:
            judgement = bench.judge_file(temporary, progress, "judging float16")
        except EdgewrightError as error:
            if error.code is not ErrorCode.MODEL_UNRUNNABLE:
                raise
            raise EdgewrightError(
                ErrorCode.COMPRESSION_FAILED,
                f"the float16 form does not run: {error.message}",
                "keep the base variant, or use the acc1 level",
            ) from error
        size = temporary.stat().st_size
    goal = Goal(bound_points, 30.0, bench.samples, bench.baseline_metric())
    progress(ProgressEvent("converting to float16", 2, 2))
    return Fp16Model(
        size_bytes=size,
        parameters=parameters,
        macs=macs,
        method="fp16",
        fidelity=judgement.fidelity,
        metric_name=judge.metric_name,
        metric_baseline=goal.baseline,
        metric_value=judgement.metric,
        drop=goal.drop_points(judgement),
        bound_met=goal.met(judgement),
        stopped_because=goal.describe(judgement),
        goals=(goal.result(judgement),),
    )
