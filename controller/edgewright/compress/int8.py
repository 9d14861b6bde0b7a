"""INT8 post-training quantisation: calibrate once, let range methods compete, keep the bound."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgewright.compress.calibration import Statistics, calibrate
from edgewright.compress.candidate import Candidate, Choice, Workshop
from edgewright.compress.goal import Goal, GoalResult
from edgewright.compress.judge import Bench, Fidelity, Judge
from edgewright.compress.mixed_precision import grow_float, rank_layers
from edgewright.compress.placement import FloatLayer, Placement, place
from edgewright.compress.qdq import FusedOps, fused_ops
from edgewright.compress.ranges import METHODS
from edgewright.core.targets import Int8Policy, int8_policy
from edgewright.core.values import ProgressCallback, ProgressEvent, no_progress
from edgewright.graph.cost import count_macs, count_parameters
from edgewright.graph.files import atomic_file
from edgewright.graph.measured_shapes import known_shapes
from edgewright.graph.model_file import load_model
from edgewright.graph.session import Array
from edgewright.graph.shapes import concrete_shapes, tensor_spec, true_inputs
from edgewright_contract.errors import EdgewrightError, ErrorCode


@dataclass(frozen=True)
class Int8Options:
    """How to quantise. `bound_points` is the most metric (of 100) that may be lost; `budget_seconds` bounds
    the search for layers to keep float; `threads` 0 lets onnxruntime choose."""

    target: str = "x86-vnni"
    bound_points: float = 0.5
    minimum_sqnr_db: float = 15.0
    methods: tuple[str, ...] = tuple(METHODS)
    bias_correction: bool = True
    keep_float: tuple[str, ...] = ()
    budget_seconds: float = 300.0
    threads: int = 0
    input_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Tried:
    """A way of quantising that was judged."""

    label: str
    metric: float | None
    fidelity: Fidelity


@dataclass(frozen=True)
class QuantizedModel:
    """What came out. `drop` is in points of 100 (None without labels); `parameters` and `macs` are the
    network's; `quantized_ops` counts operators in the file, `fused` those that onnxruntime runs on 8 bits
    here."""

    size_bytes: int
    parameters: int
    macs: int
    method: str
    float_layers: tuple[FloatLayer, ...]
    quantized_ops: dict[str, int]
    fused: FusedOps
    fidelity: Fidelity
    metric_name: str
    metric_baseline: float | None
    metric_value: float | None
    drop: float | None
    bound_met: bool
    stopped_because: str
    goals: tuple[GoalResult, ...]
    tuning_samples: int
    calibration_samples: int
    tried: tuple[Tried, ...] = field(default=())
    notes: tuple[str, ...] = ()


def quantize_int8(
    model: Path,
    destination: Path,
    calibration: Callable[[], Iterator[Array]],
    judge: Judge,
    options: Int8Options | None = None,
    progress: ProgressCallback = no_progress,
) -> QuantizedModel:
    """Quantises the normalised float network at `model` into `destination` (Q/DQ ONNX, written whole or not
    at all).

    `calibration()` starts a fresh pass over network-ready float32 batches [n, ...]; no labels are used from
    it.

    Raises COMPRESSION_FAILED (nothing to quantise, several inputs, input not float32), OPTION_INVALID,
    TARGET_UNKNOWN, DATASET_EMPTY, MODEL_NOT_FINITE.
    """
    options = options or Int8Options()
    policy = int8_policy(options.target)
    _check_methods(options)
    float_model = load_model(model)
    _check_input(float_model)
    shapes = known_shapes(float_model, concrete_shapes(float_model, options.input_size))
    kept = dict.fromkeys(options.keep_float, "asked for")
    placement = place(float_model, shapes, judge.classification, kept, policy.macs_per_conversion)
    if not placement.layers:
        raise EdgewrightError(
            ErrorCode.COMPRESSION_FAILED,
            "the network has no layer for INT8: no Conv, Gemm or MatMul with constant weights",
            "use the fp16 level to make the file smaller",
        )
    parameters, macs = count_parameters(float_model), count_macs(float_model, shapes)[0]
    means_of = _mean_tensors(placement, shapes) if options.bias_correction else ()
    del float_model
    statistics = calibrate(model, placement.tensors, means_of, calibration, shapes, options.threads, progress)
    bench = Bench(model, judge, options.threads)
    progress(ProgressEvent("judging the baseline"))
    goal = Goal(
        options.bound_points,
        options.minimum_sqnr_db,
        bench.samples,
        bench.baseline_metric(),
    )
    workshop = Workshop(model, shapes, statistics, judge.classification, policy)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".int8-") as name:
        folder = Path(name)
        best, tried = _compete(options, kept, workshop, bench, goal, folder, progress)
        reason = f"the bound holds: {goal.describe(best.judgement)}" if goal.met(best.judgement) else ""
        if not reason:
            best, reason = _mixed(best, options, workshop, bench, goal, folder, progress)
        with atomic_file(destination) as temporary:
            shutil.copyfile(best.path, temporary)
    return QuantizedModel(
        size_bytes=destination.stat().st_size,
        parameters=parameters,
        macs=macs,
        method=best.choice.label,
        float_layers=best.placement.float_layers,
        quantized_ops=_quantized_ops(model, best.placement),
        fused=fused_ops(destination),
        fidelity=best.judgement.fidelity,
        metric_name=judge.metric_name,
        metric_baseline=goal.baseline,
        metric_value=best.judgement.metric,
        drop=goal.drop_points(best.judgement),
        bound_met=goal.met(best.judgement),
        stopped_because=reason,
        goals=(goal.result(best.judgement),),
        tuning_samples=bench.samples,
        calibration_samples=statistics.samples,
        tried=tried,
        notes=_notes(policy, options.target, best.placement),
    )


def _compete(
    options: Int8Options,
    kept: dict[str, str],
    workshop: Workshop,
    bench: Bench,
    goal: Goal,
    folder: Path,
    progress: ProgressCallback,
) -> tuple[Candidate, tuple[Tried, ...]]:
    """Each range method, then bias correction on the best: judged on the tuning data, the closest wins."""
    best: Candidate | None = None
    tried: list[Tried] = []
    choices = [Choice(method, False, tuple(kept.items())) for method in options.methods]
    number = 0
    while choices:
        choice = choices.pop(0)
        progress(ProgressEvent(f"trying {choice.label}", number, len(options.methods) + options.bias_correction))
        path = folder / f"candidate_{number}.onnx"
        placement = workshop.make(choice, path)
        judgement = bench.judge_file(path, progress, f"judging {choice.label}")
        tried.append(Tried(choice.label, judgement.metric, judgement.fidelity))
        if best is None or goal.loss(judgement) < goal.loss(best.judgement):
            best = Candidate(choice, placement, path, judgement)
        if not choices and options.bias_correction and not best.choice.bias_corrected and not choice.bias_corrected:
            choices.append(Choice(best.choice.method, True, best.choice.keep_float))
        number += 1
    assert best is not None
    return best, tuple(tried)


def _mixed(
    best: Candidate,
    options: Int8Options,
    workshop: Workshop,
    bench: Bench,
    goal: Goal,
    folder: Path,
    progress: ProgressCallback,
) -> tuple[Candidate, str]:
    now = time.monotonic()
    ranked = rank_layers(best, workshop, bench, goal, folder, progress, now + 0.6 * options.budget_seconds)
    best, reason = grow_float(best, ranked, workshop, bench, goal, folder, progress, now + options.budget_seconds)
    if not goal.met(best.judgement) and best.choice.keep_float and time.monotonic() < now + options.budget_seconds:
        # With the worst layers in float another range method may be the best one.
        again = folder / "again"
        again.mkdir()
        rival, _ = _compete(options, dict(best.choice.keep_float), workshop, bench, goal, again, progress)
        if goal.met(rival.judgement) or goal.loss(rival.judgement) < goal.loss(best.judgement):
            best = rival
    held = "the bound holds" if goal.met(best.judgement) else "the bound is missed"
    return best, f"{held}: {goal.describe(best.judgement)}; {reason}"


def _check_methods(options: Int8Options) -> None:
    unknown = [name for name in options.methods if name not in METHODS]
    if unknown or not options.methods:
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID,
            f"unknown range method {', '.join(unknown) or '(none)'}; known are {', '.join(METHODS)}",
            "name at least one of these",
        )


def _check_input(model: object) -> None:
    inputs = [tensor_spec(value) for value in true_inputs(model)]
    if len(inputs) != 1 or inputs[0].dtype != "float32":
        found = ", ".join(f"{item.name} ({item.dtype})" for item in inputs)
        raise EdgewrightError(
            ErrorCode.COMPRESSION_FAILED,
            f"INT8 needs a network with one float32 input; found {found or 'none'}",
            "export the network with one image input",
        )


def _notes(policy: Int8Policy, target: str, placement: Placement) -> tuple[str, ...]:
    if not policy.can_win:
        return (f"INT8 is not expected to be faster on {target}: {policy.reason}",)
    if placement.hopeless:
        return ("INT8 is not expected to be faster: its layers are too small for the conversions around them",)
    return ()


def _mean_tensors(placement: Placement, shapes: dict[str, tuple[int | None, ...]]) -> tuple[str, ...]:
    """Inputs of layers whose channel mean bias correction needs."""
    return tuple(
        {layer.input: None for layer in placement.layers if layer.op in ("Conv", "Gemm") and layer.input in shapes}
    )


def _quantized_ops(model: Path, placement: Placement) -> dict[str, int]:
    chosen = set(placement.nodes)
    counts: dict[str, int] = {}
    for node in load_model(model).graph.node:
        if node.name in chosen:
            counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return dict(sorted(counts.items()))


__all__ = ["Int8Options", "QuantizedModel", "Statistics", "Tried", "quantize_int8"]
