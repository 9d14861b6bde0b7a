"""FP32 against our INT8 against onnxruntime's own static quantisation, from one run on this machine.

    python benchmarks/int8_against_default.py [--assets FOLDER] [--models lite0,squeezenet,cifar] [--json]

Every method sees the same calibration images, which are disjoint from those evaluated. Speed: one thread, batch 1,
blocks of all candidates interleaved in random order; the interval of the speed-up against FP32 is paired.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from dataclasses import replace as with_changes
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgewright.compress.int8 import Int8Options, quantize_int8
from edgewright.compress.judge import TuningJudge
from edgewright.compress.qdq import fused_ops
from edgewright.core.spec import resolve_spec
from edgewright.core.speedup import paired_speedup
from edgewright.core.values import InputSpec, ProgressEvent
from edgewright.graph.session import open_session
from edgewright.imports.onnx_file import import_onnx
from edgewright.services.host_target import host_target
from edgewright.tasks.classification import accuracy_interval, agreement, paired_drop, top_k
from edgewright.tasks.pixels import load_pixels, normalization_of
from edgewright_contract import normalize
from edgewright_contract.values import Block

Array = np.ndarray[Any, Any]
BATCH, BLOCKS, SAMPLES_A_BLOCK = 8, 30, 8
CIFAR_CALIBRATION = 256


@dataclass(frozen=True)
class Classifier:
    """A network of the assets with its images: `calibration` float32 [n, ...], `evaluation` and its labels."""

    name: str
    source: Path
    calibration: Array
    evaluation: Array
    labels: Array


def imagenet(assets: Path, name: str, file: str, spec_name: str) -> Classifier:
    """Evaluated on the 500 labelled ImageNet images, calibrated on COCO images without labels."""
    spec = with_changes(resolve_spec(spec_name).input, size=(224, 224))
    folder = assets / "data" / "imagenet_samples"
    with (folder / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    others = sorted((assets / "data" / "coco_train_subset" / "images").iterdir())
    return Classifier(
        name,
        assets / "models" / "classification" / "onnx" / file,
        ready([Image.open(path) for path in others], spec),
        ready([Image.open(folder / row["file"]) for row in rows], spec),
        np.array([int(row["class_index"]) for row in rows]),
    )


def cifar(assets: Path) -> Classifier:
    """Evaluated on the 5,000 test images, calibrated on training images."""
    spec = resolve_spec("cifar").input
    folder = assets / "data" / "cifar10"
    training, _ = zipped(folder / "cifar10_train_15k.zip", CIFAR_CALIBRATION)
    images, labels = zipped(folder / "cifar10_test_5k.zip", 0)
    source = assets / "models" / "cifar10" / "onnx" / "cifar10_resnet8.onnx"
    return Classifier("cifar10_resnet8", source, ready(training, spec), ready(images, spec), labels)


def zipped(path: Path, count: int) -> tuple[list[Image.Image], Array]:
    """Images of a zipped folder per class and their classes; `count` > 0 takes that many, evenly spread."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        classes = sorted({Path(name).parent.name for name in names})
        if count:
            names = names[:: max(1, len(names) // count)][:count]
        images: list[Image.Image] = [Image.open(io.BytesIO(archive.read(name))) for name in names]
    return images, np.array([classes.index(Path(name).parent.name) for name in names])


def ready(images: list[Image.Image], spec: InputSpec) -> Array:
    """Network-ready float32 images, by the product's own preprocessing."""
    pixels = np.stack([load_pixels(image, spec) for image in images])
    return normalize.apply(pixels, normalization_of(spec), "float32")


def batches(data: Array) -> Callable[[], Iterator[Array]]:
    return lambda: (data[start : start + BATCH] for start in range(0, len(data), BATCH))


def ours(model: Classifier, base: Path, destination: Path) -> str:
    """INT8 by the product, tuned on the calibration images as well (no labels)."""
    judge = TuningJudge(batches(model.calibration), classification=True)
    options = Int8Options(target=host_target(), threads=1)
    made = quantize_int8(base, destination, batches(model.calibration), judge, options, told)
    return f"{made.method}; {len(made.float_layers)} layers float"


def theirs(model: Classifier, destination: Path, **settings: object) -> None:
    """onnxruntime.quantization.quantize_static after its own pre-processing."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self._feeds = iter([{name: image[None]} for image in model.calibration])

        def get_next(self) -> dict[str, Array] | None:
            return next(self._feeds, None)

    prepared = destination.with_suffix(".prepared.onnx")
    quant_pre_process(str(model.source), str(prepared))
    name = open_session(prepared, 1).get_inputs()[0].name
    quantize_static(str(prepared), str(destination), Reader(name), **settings)


def scores(path: Path, data: Array) -> Array:
    """First output of the network for all images, one thread."""
    session = open_session(path, 1)
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: batch})[0] for batch in batches(data)()])


def timed(paths: list[Path], image: Array) -> list[list[Block]]:
    """Interleaved blocks of each candidate; block i of all candidates ran within moments of each other."""
    sessions = [open_session(path, 1) for path in paths]
    feeds = [{session.get_inputs()[0].name: image} for session in sessions]
    for session, feed in zip(sessions, feeds, strict=True):
        for _ in range(10):
            session.run(None, feed)
    blocks: list[list[Block]] = [[] for _ in paths]
    rng = np.random.default_rng(0)
    for index in range(BLOCKS):
        for candidate in rng.permutation(len(paths)):
            session, feed = sessions[candidate], feeds[candidate]
            session.run(None, feed)  # caches belong to this candidate again
            samples = []
            for _ in range(SAMPLES_A_BLOCK):
                start = time.perf_counter_ns()
                session.run(None, feed)
                samples.append(time.perf_counter_ns() - start)
            blocks[candidate].append(Block(str(candidate), 0, index, False, tuple(samples), 0, sum(samples), 0))
    return blocks


def compare(model: Classifier, folder: Path) -> list[dict[str, Any]]:
    """One row per way of running the network."""
    from onnxruntime.quantization import QuantType

    base = folder / f"{model.name}.onnx"
    import_onnx(model.source, base, progress=told)
    candidates = {"FP32": (base, "")}
    path = folder / f"{model.name}.ours.onnx"
    candidates["edgewright acc1"] = (path, ours(model, base, path))
    print(f"{model.name}: onnxruntime's quantisation", file=sys.stderr)
    path = folder / f"{model.name}.default.onnx"
    theirs(model, path)
    candidates["onnxruntime default"] = (path, "S8 activations, S8 weights, per tensor")
    path = folder / f"{model.name}.tuned.onnx"
    theirs(model, path, activation_type=QuantType.QUInt8, per_channel=True)
    candidates["onnxruntime U8S8 per channel"] = (path, "by hand, as advised for x86")
    print(f"{model.name}: evaluating and timing", file=sys.stderr)
    outputs = {name: scores(file, model.evaluation) for name, (file, _) in candidates.items()}
    right = {name: top_k(value, model.labels, 0, 1) for name, value in outputs.items()}
    blocks = timed([file for file, _ in candidates.values()], model.evaluation[:1])
    rows = []
    for (name, (file, note)), own in zip(candidates.items(), blocks, strict=True):
        drop = paired_drop(right["FP32"], right[name])
        speedup = paired_speedup(blocks[0], own) if name != "FP32" else None
        rows.append(
            {
                "model": model.name,
                "variant": name,
                "size_bytes": file.stat().st_size,
                "top1": vars_of(accuracy_interval(right[name])),
                "drop_points": None if name == "FP32" else vars_of(drop),
                "agreement": agreement(outputs["FP32"].argmax(axis=1), outputs[name].argmax(axis=1)),
                "p50_ms": float(np.median([sample for block in own for sample in block.samples_ns])) / 1e6,
                "speedup": None if speedup is None else vars_of(speedup),
                "int8_convolutions": fused_ops(file).convolutions,
                "note": note,
            }
        )
    return rows


def vars_of(interval: Any) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


_last_told = [0.0]


def told(event: ProgressEvent) -> None:
    """Progress on stderr, at most once a second."""
    if time.monotonic() - _last_told[0] > 1.0:
        _last_told[0] = time.monotonic()
        print(f"  {event.text} {event.done}/{event.total or '?'}", file=sys.stderr)


def show(rows: list[dict[str, Any]]) -> None:
    header = f"{'model':<16} {'variant':<29} {'MB':>6} {'top-1 (95 %)':>20} {'lost':>6} {'agree':>7} {'p50 ms':>7}"
    print(f"{header} {'speed-up (95 %)':>20}  int8 convs")
    for row in rows:
        top1, drop, speedup = row["top1"], row["drop_points"], row["speedup"]
        accuracy = f"{top1['value']:.1%} ({top1['low']:.1%}-{top1['high']:.1%})"
        faster = f"{speedup['value']:.2f} ({speedup['low']:.2f}-{speedup['high']:.2f})" if speedup else ""
        lost = f"{drop['value']:.2f}" if drop else ""
        print(
            f"{row['model']:<16} {row['variant']:<29} {row['size_bytes'] / 1e6:>6.2f} {accuracy:>20} {lost:>6} "
            f"{row['agreement']:>7.1%} {row['p50_ms']:>7.3f} {faster:>20}  {row['int8_convolutions']:>4}  {row['note']}"
        )


def main() -> None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "assets"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, default=Path(os.environ.get("EDGEWRIGHT_ASSETS", beside)))
    parser.add_argument("--models", default="lite0,squeezenet,cifar")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    assets: Path = arguments.assets
    if not (assets / "README.md").is_file():
        sys.exit(f"no assets in {assets}: name their folder with --assets or EDGEWRIGHT_ASSETS")
    known: dict[str, Callable[[], Classifier]] = {
        "lite0": lambda: imagenet(assets, "efficientnet_lite0", "tf_efficientnet_lite0.onnx", "efficientnet_lite"),
        "squeezenet": lambda: imagenet(assets, "squeezenet1_1", "squeezenet1_1.onnx", "imagenet"),
        "cifar": lambda: cifar(assets),
    }
    wanted = arguments.models.split(",")
    if unknown := set(wanted) - set(known):
        sys.exit(f"unknown models {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    rows = []
    with tempfile.TemporaryDirectory(prefix="edgewright-benchmark-") as folder:
        for name in wanted:
            print(f"{name}: reading images", file=sys.stderr)
            rows += compare(known[name](), Path(folder))
    print(json.dumps({"rows": rows}, indent=1)) if arguments.json else show(rows)


if __name__ == "__main__":
    main()
