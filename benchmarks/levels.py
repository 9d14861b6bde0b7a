"""What levels reach on a real classifier: size, arithmetic, loss with its standard error, time. One command:

    python benchmarks/levels.py MODEL.onnx --data IMAGES --spec NAME [--training IMAGES] [--level acc3] [--budget 10]

It works as a user would: registers the data sets and the model in a home folder of its own, compresses, and judges
original and variant on the evaluation part, which no step has seen, image by image. The loss is paired, so its standard
error is that of the difference. `--size-ratio` and `--macs-ratio` instead of a level measure those. Results go to
stdout as a table, and with --json to a file. Times are of the machine as busy as it
is: `cpu` minutes say what was computed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.core.values import Part, ProgressEvent
from edgewright.graph.session import open_session, run
from edgewright.services.datasets import parts_of
from edgewright.services.inputs import InputFile
from edgewright.services.models import inputs_of, spec_of
from edgewright.wiring import open_controller


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="edgewright-levels-") as folder:
        home = arguments.home or Path(folder)
        rows = _measured(arguments, home)
    columns = ("variant", "bytes", "MACs", "params", "accuracy", "loss", "+-se", "min", "cpu min", "goals")
    print("".join(f"{name:>10}" for name in columns))
    for row in rows:
        goals = ", ".join(
            f"{goal['goal']} {goal['reached']:.3f}/{goal['asked']:g}{'' if goal['met'] else ' missed'}"
            for goal in row["goals"]
        )
        values = ("bytes_ratio", "macs_ratio", "parameters_ratio", "accuracy", "loss_points", "se_points")
        numbers = "".join(f"{row[name]:>10.3f}" for name in (*values, "minutes", "cpu_minutes"))
        print(f"{row['variant']:>10}{numbers}  {goals}")
    for row in rows:
        print(f"{row['variant']}: {row['stopped_because']}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1))


def _measured(arguments: argparse.Namespace, home: Path) -> list[dict[str, Any]]:
    controller = open_controller(home)
    try:
        controller.datasets.add("data", arguments.data, None, 0, _quiet)
        if arguments.training is not None:
            controller.datasets.add("training", arguments.training, None, 0, _quiet)
        controller.models.add("net", arguments.model, None, arguments.spec, "data", _quiet)
        model = controller.store.models.get("net")
        samples = parts_of(controller.store.datasets.get("data"))[Part.EVALUATION]
        compression = controller.compression
        inputs = compression._inputs.of_dataset(controller.store.datasets.get("data"), samples, spec_of(model), _quiet)
        first = spec_of(model).output.first_class
        base = controller.store.artifacts.path_of(model.artifact_sha256)
        right = _right(base, inputs, inputs_of(model)[0].name, first)
        rows = []
        for ask in _asks(arguments):
            began, busy = time.monotonic(), time.process_time()
            (variant,) = compression.compress(
                "net",
                ask["levels"],
                None,
                None,
                arguments.max_drop,
                None,
                _lines if arguments.verbose else _quiet,
                size_ratio=ask["size"],
                macs_ratio=ask["macs"],
                training="training" if arguments.training is not None else None,
                budget_minutes=arguments.budget,
            )
            minutes, cpu_minutes = (time.monotonic() - began) / 60, (time.process_time() - busy) / 60
            path = controller.store.artifacts.path_of(variant["artifacts"][0]["sha256"])
            after = _right(path, inputs, inputs_of(model)[0].name, first)
            lost = right.astype(float) - after
            rows.append(
                {
                    "variant": variant["variant"],
                    "bytes_ratio": path.stat().st_size / base.stat().st_size,
                    "macs_ratio": variant["macs"] / model.facts["macs"],
                    "parameters_ratio": variant["parameters"] / model.facts["parameters"],
                    "baseline": float(right.mean()),
                    "accuracy": float(after.mean()),
                    "loss_points": 100 * float(lost.mean()),
                    "se_points": 100 * float(lost.std() / np.sqrt(len(lost))),
                    "images": len(lost),
                    "minutes": minutes,
                    "cpu_minutes": cpu_minutes,
                    "goals": variant["goals"],
                    "stopped_because": variant["stopped_because"],
                    "float_layers": len(variant["float_layers"]),
                }
            )
        print(f"original: {model.size_bytes} bytes, {100 * right.mean():.2f} % on {len(right)} images")
        return rows
    finally:
        controller.close()


def _asks(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    asks = [{"levels": [level], "size": None, "macs": None} for level in arguments.level or []]
    asks += [{"levels": [], "size": ratio, "macs": None} for ratio in arguments.size_ratio or []]
    asks += [{"levels": [], "size": None, "macs": ratio} for ratio in arguments.macs_ratio or []]
    return asks or [{"levels": ["acc2"], "size": None, "macs": None}]


def _right(path: Path, inputs: InputFile, name: str, first_class: int) -> np.ndarray[Any, Any]:
    """Which images the network answers rightly, one thread."""
    session = open_session(path, 1)
    answers = [run(session, {name: batch})[0].argmax(axis=1) for batch in inputs.batches("float32", 20)]
    right: np.ndarray[Any, Any] = np.concatenate(answers) == inputs.label_array() + first_class
    return right


def _quiet(_event: ProgressEvent) -> None:
    """Nothing is shown."""


def _lines(event: ProgressEvent) -> None:
    print(f"  {event.text} {event.done}/{event.total}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="labelled images: calibration, tuning, evaluation")
    parser.add_argument("--training", type=Path, help="images to train with")
    parser.add_argument("--spec", required=True)
    parser.add_argument("--level", action="append")
    parser.add_argument("--size-ratio", type=float, action="append")
    parser.add_argument("--macs-ratio", type=float, action="append")
    parser.add_argument("--max-drop", type=float)
    parser.add_argument("--budget", type=float, default=10.0, help="minutes a variant")
    parser.add_argument("--home", type=Path, help="home folder to keep; without it a temporary one")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
