"""The executor against onnxruntime on real and published networks: one table.

    python benchmarks/executor_zoo.py [--assets DIR] [NAME ...]

For each network: operators, trainable tensors, the largest difference from onnxruntime as a share of the output's
range on two feeds (the same network in double precision beside it, which shows what is rounding), the largest
difference of any tensor inside the graph, whether an untouched write-back gives the same outputs bit for bit, whether
it runs with any batch ("fixed": only with the one it was exported for), and seconds to build and to run once. One
thread.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from edgewright.compress.executor.agreement import TOLERANCE, compare_nodes, run_arrays, span_difference
from edgewright.compress.executor.module import build_executor
from edgewright.graph.compare import Reference, is_vacuous
from edgewright.graph.model_file import load_model
from edgewright.graph.session import Arrays, open_session, run
from edgewright.graph.shapes import concrete_shapes, random_probe
from edgewright_contract.errors import EdgewrightError

# YOLOX takes pixels as they are; noise of another scale only amplifies rounding in it.
PIXEL_SCALE = {"yolox_nano": 255.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="networks (default: all)")
    root = Path(__file__).resolve().parent.parent
    default = os.environ.get("EDGEWRIGHT_ASSETS", root.parent / "shared" / "assets")
    parser.add_argument("--assets", type=Path, default=Path(default))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{'network':34}{'nodes':>6}{'weights':>8}{'agrees':>10}{'double':>10}{'inside':>10}"
        f"{'write-back':>11}{'batch':>7}{'build s':>8}{'run s':>7}"
    )
    passed = count = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in _networks(arguments.assets, Path(folder), set(arguments.names)):
            count += 1
            passed += _row(path, Path(folder))
            if path.parent == Path(folder):
                path.unlink()
    print(f"{passed} of {count} agree within {TOLERANCE:.0e} of the range, are not vacuous, and write back exactly")
    return 0 if passed == count else 1


def _networks(assets: Path, folder: Path, names: set[str]) -> Iterator[Path]:
    """Real files as they are, structures filled with weights one by one."""
    yield from (path for path in sorted((assets / "models").glob("**/*.onnx")) if not names or path.stem in names)
    for packed in sorted((assets / "zoo").glob("*.onnx.gz")):
        name = packed.name.removesuffix(".onnx.gz")
        if not names or name in names:
            script = assets / "zoo" / "materialise.py"
            subprocess.run([sys.executable, script, folder, name], check=True, stdout=subprocess.DEVNULL)
            yield folder / f"{name}.onnx"


def _row(path: Path, folder: Path) -> bool:
    model = load_model(path)
    shapes = concrete_shapes(model)
    scale = PIXEL_SCALE.get(path.stem, 1.0)
    feeds = [
        _scaled(random_probe(model, shapes, seed, uniform), scale) for seed, uniform in ((0, scale > 1), (1, True))
    ]
    session = open_session(path, 1)
    expected = [tuple(run(session, feed)) for feed in feeds]
    try:
        begin = time.perf_counter()
        executor = build_executor(model)
        built = time.perf_counter() - begin
        begin = time.perf_counter()
        found = run_arrays(executor, feeds[0])
        seconds = time.perf_counter() - begin
        worst = _worst([expected[0], expected[1]], [found, run_arrays(executor, feeds[1])])
        weights = len(executor.trainable)
        written = folder / "written.onnx"
        executor.write_back(written)
        again = open_session(written, 1)
        exact = all(
            np.array_equal(a, b)
            for feed, outputs in zip(feeds, expected, strict=True)
            for a, b in zip(outputs, run(again, feed), strict=True)
        )
        double = build_executor(model, precision=torch.float64)
        precise = _worst(expected[:1], [run_arrays(double, feeds[0])])
        del double
        inside = max(item.difference for item in compare_nodes(executor, model, feeds[0], threads=1))
    except EdgewrightError as error:
        print(f"{path.stem:34}{len(model.graph.node):6}  {error.message}")
        return False
    vacuous = is_vacuous(Reference(tuple(feeds), tuple(expected)))
    note = "  vacuous" if vacuous else ""
    batch = "fixed" if executor.fixed_batch else "any"
    print(
        f"{path.stem:34}{len(model.graph.node):6}{weights:8}{worst:10.1e}{precise:10.1e}{inside:10.1e}"
        f"{'exact' if exact else 'DIFFERS':>11}{batch:>7}{built:8.2f}{seconds:7.2f}{note}",
        flush=True,
    )
    return worst <= TOLERANCE and exact and not vacuous


def _scaled(feed: Arrays, scale: float) -> Arrays:
    return {name: value * np.float32(scale) if value.dtype.kind == "f" else value for name, value in feed.items()}


def _worst(expected: list[tuple[np.ndarray, ...]], found: list[list[np.ndarray]]) -> float:
    return max(
        span_difference(a, b.astype(a.dtype))
        for outputs, results in zip(expected, found, strict=True)
        for a, b in zip(outputs, results, strict=True)
    )


if __name__ == "__main__":
    sys.exit(main())
