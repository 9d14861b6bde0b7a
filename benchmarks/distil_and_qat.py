"""Training by the product: quantisation-aware training of INT8 files, and distillation of a damaged network.

    python benchmarks/distil_and_qat.py [--assets FOLDER] [--only qat-cifar,qat-lite0,repair,importance] [--seconds 120]

Everything is trained and chosen on images disjoint from those of the table: CIFAR-10's training zip against its test
zip, COCO images (without labels) against the labelled ImageNet ones. One thread. "start" is the file before training;
the difference in points is paired, with its 95 % interval. One seed each: differences within the interval are noise.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from int8_against_default import Classifier, batches, cifar, imagenet, ready, scores, theirs, told, vars_of, zipped
from onnx import numpy_helper

from edgewright.compress.executor.module import build_executor
from edgewright.compress.int8 import Int8Options, quantize_int8
from edgewright.compress.judge import Bench, TuningJudge
from edgewright.compress.train.batches import array_batches
from edgewright.compress.train.fisher import fisher, taylor
from edgewright.compress.train.options import TrainOptions
from edgewright.compress.train.qat import QatOptions, train_quantised
from edgewright.compress.train.result import TrainedModel
from edgewright.compress.train.trainer import train
from edgewright.core.spec import resolve_spec
from edgewright.imports.onnx_file import import_onnx
from edgewright.services.host_target import host_target
from edgewright.tasks.classification import accuracy_interval, paired_drop, top_k

Array = np.ndarray[Any, Any]
Row = dict[str, Any]


def judged(model: Classifier, base: Path, label: str, path: Path, before: Path, made: TrainedModel | None) -> Row:
    """A line of the table, on the evaluation images."""
    right = {file: top_k(scores(file, model.evaluation), model.labels, 0, 1) for file in {base, path, before}}
    judge = TuningJudge(batches(model.evaluation), classification=True)
    fidelity = Bench(base, judge, 1).judge_file(path).fidelity
    return {
        "model": model.name,
        "case": label,
        "images": len(model.labels),
        "top1": vars_of(accuracy_interval(right[path])),
        "top1_fp32": vars_of(accuracy_interval(right[base])),
        "gained_points": None if path == before else vars_of(paired_drop(right[path], right[before])),
        "agreement": fidelity.agreement,
        "sqnr_db": fidelity.sqnr_db,
        "divergence": fidelity.divergence,
        "steps": 0 if made is None else made.steps,
        "best_step": 0 if made is None else made.best_step,
        "seconds": 0.0 if made is None else made.seconds,
        "lr": None if made is None else made.lr,
    }


def qat(model: Classifier, training: Array, folder: Path, seconds: float, flip: bool) -> list[Row]:
    """The product's INT8 file and onnxruntime's per-tensor one, before and after training without labels."""
    base = folder / f"{model.name}.onnx"
    import_onnx(model.source, base)
    held, used = training[: len(training) // 4], training[len(training) // 4 :]
    judge = TuningJudge(batches(held), classification=True)
    options = Int8Options(target=host_target(), threads=1)
    ours, per_tensor = folder / f"{model.name}.int8.onnx", folder / f"{model.name}.per_tensor.onnx"
    quantize_int8(base, ours, batches(model.calibration), judge, options, told)
    from onnxruntime.quantization import QuantType

    theirs(model, per_tensor, activation_type=QuantType.QUInt8, per_channel=False)
    rows = []
    for label, path, lr, scale_lr in (("INT8", ours, 1e-5, 2e-4), ("INT8 per tensor", per_tensor, 1e-5, 3e-4)):
        trained = path.with_suffix(".qat.onnx")
        settings = QatOptions(budget_seconds=seconds, lr=lr, scale_lr=scale_lr, threads=1)
        made = train_quantised(path, base, array_batches(used, None, 16, flip), judge, settings, trained, told)
        rows.append(judged(model, base, label, path, path, None))
        rows.append(judged(model, base, label + " + training", trained, path, made))
    return rows


def damaged(source: Path, destination: Path) -> None:
    """A third of the filters of each convolution set to 0, noise of a tenth of the spread on the others."""
    network, rng = onnx.load(str(source)), np.random.default_rng(1)
    for tensor in network.graph.initializer:
        weight = numpy_helper.to_array(tensor).copy()
        if weight.ndim == 4:
            weight[rng.choice(len(weight), len(weight) // 3, replace=False)] = 0
            weight += rng.normal(0, 0.1 * weight.std(), weight.shape).astype(np.float32) * (weight != 0)
            tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    onnx.save(network, str(destination))


def repair(model: Classifier, training: Array, labels: Array, folder: Path, seconds: float) -> list[Row]:
    """A damaged network, distilled without labels, with, and trained on labels alone."""
    base, broken = folder / f"{model.name}.onnx", folder / "damaged.onnx"
    import_onnx(model.source, base)
    damaged(base, broken)
    order = np.random.default_rng(0).permutation(len(training))
    held, used = order[:1000], order[1000:]
    rows = [judged(model, base, "damaged", broken, broken, None)]
    for label, given, alpha in (
        ("distilled, no labels", None, None),
        ("distilled + labels", labels, None),
        ("labels alone", labels, 0.0),
    ):
        path = folder / "repaired.onnx"
        score: Callable[[Any], float] = lambda outputs: float((outputs[0].argmax(1) == labels[held]).mean())  # noqa: E731
        judge = TuningJudge(
            batches(training[held]), True, "" if given is None else "top1", None if given is None else score
        )
        data = array_batches(training[used], None if given is None else given[used], 64, flip=True, shift=4)
        made = train(
            broken, base, data, judge, TrainOptions(budget_seconds=seconds, alpha=alpha, threads=1), path, told
        )
        rows.append(judged(model, base, label, path, broken, made))
    return rows


def importance(model: Classifier, folder: Path) -> list[Row]:
    """A tenth of all output channels (not the classes) set to 0, chosen by different scores; nothing is trained."""
    base = folder / f"{model.name}.onnx"
    import_onnx(model.source, base)
    executor = build_executor(base)
    network = onnx.load(str(base))
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in network.graph.initializer}
    layers = [(node.input[1], node.input[2]) for node in network.graph.node if node.op_type == "Conv"]
    rng = np.random.default_rng(0)
    data = [model.calibration[start : start + 16] for start in range(0, len(model.calibration), 16)]
    ways = {
        "fisher": fisher(executor, data, classification=True),
        "taylor": taylor(executor, data, classification=True),
        "l1": {name: np.abs(weights[name]).reshape(len(weights[name]), -1).mean(axis=1) for name, _ in layers},
        "random": {name: rng.random(len(weights[name])) for name, _ in layers},
    }
    rows = [judged(model, base, "all channels", base, base, None)]
    for label, score in ways.items():
        cut = np.quantile(np.concatenate([score[name] for name, _ in layers]), 0.1)
        thinned, path = onnx.load(str(base)), folder / f"without.{label}.onnx"
        tensors = {tensor.name: tensor for tensor in thinned.graph.initializer}
        for pair in layers:
            for name in pair:
                value = weights[name].copy()
                value[score[pair[0]] < cut] = 0
                tensors[name].CopyFrom(numpy_helper.from_array(value, name))
        onnx.save(thinned, str(path))
        rows.append(judged(model, base, f"10 % zeroed by {label}", path, base, None))
    return rows


def show(rows: list[Row]) -> None:
    print(
        f"{'model':<19} {'case':<28} {'top-1 (95 %)':>20} {'gained points':>20} {'agree':>7} {'SQNR dB':>8} {'KL':>8} "
        f"{'steps':>6} {'best':>5} {'s':>5}"
    )
    for row in rows:
        top1, gain = row["top1"], row["gained_points"]
        accuracy = f"{top1['value']:.1%} ({top1['low']:.1%}-{top1['high']:.1%})"
        gained = f"{gain['value']:+.2f} ({gain['low']:+.2f} to {gain['high']:+.2f})" if gain else ""
        print(
            f"{row['model']:<19} {row['case']:<28} {accuracy:>20} {gained:>20} {row['agreement']:>7.1%} "
            f"{row['sqnr_db']:>8.1f} {row['divergence']:>8.4f} {row['steps']:>6} {row['best_step']:>5} "
            f"{row['seconds']:>5.0f}"
        )


def main() -> None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "assets"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, default=Path(os.environ.get("EDGEWRIGHT_ASSETS", beside)))
    parser.add_argument("--only", default="qat-cifar,qat-lite0,repair,importance")
    parser.add_argument("--seconds", type=float, default=120.0, help="of each training")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    assets, seconds = arguments.assets, arguments.seconds
    if not (assets / "README.md").is_file():
        sys.exit(f"no assets in {assets}: name their folder with --assets or EDGEWRIGHT_ASSETS")
    wanted = arguments.only.split(",")
    if unknown := set(wanted) - {"qat-cifar", "qat-lite0", "repair", "importance"}:
        sys.exit(f"unknown parts {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="edgewright-benchmark-") as name:
        folder = Path(name)
        if set(wanted) - {"qat-lite0"}:
            small = cifar(assets)
            images, labels = zipped(assets / "data" / "cifar10" / "cifar10_train_15k.zip", 0)
            training = ready(images, resolve_spec("cifar").input)
            mixed = training[np.random.default_rng(0).permutation(len(training))]
        if "importance" in wanted:
            rows += importance(small, folder)
        if "qat-cifar" in wanted:
            rows += qat(small, mixed[:4000], folder, seconds, flip=True)
        if "repair" in wanted:
            rows += repair(small, training, labels, folder, seconds)
        if "qat-lite0" in wanted:
            large = imagenet(assets, "efficientnet_lite0", "tf_efficientnet_lite0.onnx", "efficientnet_lite")
            rows += qat(large, large.calibration, folder, seconds, flip=True)
    print(json.dumps({"rows": rows}, indent=1)) if arguments.json else show(rows)


if __name__ == "__main__":
    main()
