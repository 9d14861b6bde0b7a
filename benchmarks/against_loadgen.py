"""p50 and p90 of one model by Edgewright's worker and by MLPerf LoadGen, interleaved; and the harness's own cost.

    pip install mlcommons-loadgen
    python benchmarks/against_loadgen.py [--model FILE.onnx] [--rounds 200] [--seconds 0.1] [--json]

LoadGen (single stream) drives the same model in a process set up as the worker's: same runtime, same session options,
same bound input, garbage collector off. The rounds alternate in random order, so that both see the same machine; the
figure is the median of the rounds' ratios. The overhead is the worker's timed loop against a bare loop around
IOBinding that reads the clock only twice, in one process, alternating; it is measured on a model of about 1 ms. Only
ratios are results: absolute times belong to this machine. Run it on an idle one: with other programs on the same
cores the ratios of rounds spread by tens of per cent, and their median says little.
Exit status 1 where a mark is missed, 2 without LoadGen.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import multiprocessing
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edgewright import example
from edgewright_agent.measure.session import start_worker
from edgewright_agent.measure.values import LocalCandidate, WorkerSettings
from edgewright_agent.runtimes.onnxruntime import OnnxRuntime, OnnxSession
from edgewright_agent.worker.feeding import zeros
from edgewright_agent.worker.timing import time_block
from edgewright_contract.values import Candidate

AGREEMENT, OVERHEAD = 0.02, 0.01
WARM_UP_SECONDS = 1.0
OVERHEAD_ROUNDS = 600
SESSIONS: list[OnnxSession] = []  # a session owns the memory that its outputs are written to
SAMPLE = re.compile(r'"name":"Sample".*?"issue_start_ns":(\d+),"complete_ns":(\d+)')


def bound_call(model: Path) -> Callable[[], object]:
    """The inference as the worker binds it: one thread, CPU, zeros."""
    session = OnnxRuntime().load(model, 1)
    SESSIONS.append(session)
    return session.bind(zeros(session))


def loadgen_process(model: Path, seconds: float, pipe: Any) -> None:
    """Answers each "go" with the latencies (ns) that LoadGen logged for one run."""
    call = bound_call(model)
    until = time.monotonic() + WARM_UP_SECONDS
    while time.monotonic() < until:
        call()
    pipe.send("ready")
    while pipe.recv() == "go":
        pipe.send(loadgen_latencies(call, seconds))


def loadgen_latencies(call: Callable[[], object], seconds: float) -> list[int]:
    """Every latency of one single-stream run, from LoadGen's own log."""
    import mlperf_loadgen as lg

    def issue(samples: list[Any]) -> None:
        for sample in samples:
            call()
            lg.QuerySamplesComplete([lg.QuerySampleResponse(sample.id, 0, 0)])

    settings = lg.TestSettings()
    settings.scenario = lg.TestScenario.SingleStream
    settings.mode = lg.TestMode.PerformanceOnly
    settings.min_duration_ms = settings.max_duration_ms = round(1000 * seconds)
    settings.min_query_count = 1
    output = lg.LogOutputSettings()
    logs = lg.LogSettings()
    with tempfile.TemporaryDirectory() as folder:
        output.outdir, output.copy_summary_to_stdout = folder, False
        logs.log_output, logs.enable_trace = output, True
        sut = lg.ConstructSUT(issue, lambda: None)
        qsl = lg.ConstructQSL(1, 1, lambda _: None, lambda _: None)
        gc.collect()
        gc.disable()
        try:
            lg.StartTestWithLogSettings(sut, qsl, settings, logs, "")
        finally:
            gc.enable()
            lg.DestroyQSL(qsl)
            lg.DestroySUT(sut)
        # Not quite JSON (it quotes some keys twice), so the samples are picked out by their form.
        trace = (Path(folder) / "mlperf_log_trace.json").read_text()
    return [int(end) - int(start) for start, end in SAMPLE.findall(trace)]


def agreement(model: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """p50 and p90, worker over LoadGen, and the middle half of the rounds' ratios."""
    context = multiprocessing.get_context("spawn")
    ours_end, theirs_end = context.Pipe()
    process = context.Process(target=loadgen_process, args=(model, seconds, theirs_end), daemon=True)
    process.start()
    settings = WorkerSettings((sys.executable,), 0, 120, 120, Path("/"))
    candidate = LocalCandidate(Candidate("m@base", "", "onnx", "onnxruntime", 1), model)
    ours: list[list[int]] = []
    theirs: list[list[int]] = []
    dice = random.Random(0)
    worker, _ = start_worker(candidate, 0, None, settings, lambda: False)
    with worker:
        warm = worker.call("measure", 60, count=10_000, max_seconds=WARM_UP_SECONDS)["samples_ns"]
        count = max(20, round(1e9 * seconds / median(warm)))
        assert ours_end.recv() == "ready"

        def run_ours() -> None:
            ours.append(worker.call("measure", 120, count=count)["samples_ns"])

        def run_theirs() -> None:
            ours_end.send("go")
            theirs.append(ours_end.recv())

        for _ in range(rounds):
            order = [run_ours, run_theirs]
            dice.shuffle(order)
            for run in order:
                run()
        ours_end.send("end")
    process.join(10)
    result: dict[str, Any] = {"samples": [sum(map(len, ours)), sum(map(len, theirs))], "rounds": rounds}
    for q in (50, 90):
        pooled = float(np.percentile(np.concatenate(ours), q) / np.percentile(np.concatenate(theirs), q))
        single = [float(np.percentile(a, q) / np.percentile(b, q)) for a, b in zip(ours, theirs, strict=True)]
        low, middle, high = np.quantile(single, [0.25, 0.5, 0.75])
        result[f"p{q}"] = {"pooled": pooled, "median_of_rounds": float(middle), "low": float(low), "high": float(high)}
    return result


def overhead(model: Path, rounds: int, count: int = 10) -> dict[str, Any]:
    """What the timed loop adds to an inference: mean of a short block, over a bare loop's, pair by pair."""
    call = bound_call(model)
    time_block(call, count)
    ratios, means = [], []
    dice = random.Random(1)
    for _ in range(rounds):
        spent = {}
        order = ["bare", "harness"]
        dice.shuffle(order)
        for kind in order:
            call()
            spent[kind] = bare_ns(call, count) if kind == "bare" else harness_ns(call, count)
        ratios.append(spent["harness"] / spent["bare"] - 1)
        means.append(spent["bare"] / count)
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return {"model_ms": median(means) / 1e6, "share": float(middle), "low": float(low), "high": float(high)}


def bare_ns(call: Callable[[], object], count: int) -> int:
    gc.collect()
    gc.disable()
    started = time.perf_counter_ns()
    for _ in range(count):
        call()
    spent = time.perf_counter_ns() - started
    gc.enable()
    return spent


def harness_ns(call: Callable[[], object], count: int) -> int:
    """What the worker reports of a block: the sum of its samples, each with one reading of the clock inside."""
    return sum(time_block(call, count).samples_ns)


def one_millisecond_model(folder: Path) -> Path:
    """A chain of matrix products, as long as it must be for about 1 ms on this machine."""
    import onnx
    from onnx import helper, numpy_helper

    def chain(length: int) -> Path:
        weight = np.eye(256, dtype=np.float32)
        nodes = [helper.make_node("MatMul", [f"x{i}", "w"], [f"x{i + 1}"]) for i in range(length)]
        value = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            nodes,
            "chain",
            [helper.make_tensor_value_info("x0", value, [64, 256])],
            [helper.make_tensor_value_info(f"x{length}", value, [64, 256])],
            [numpy_helper.from_array(weight, "w")],
        )
        path = folder / f"chain{length}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
        return path

    probe = time_block(bound_call(chain(8)), 200)
    return chain(max(1, round(8 * 1e6 / min(probe.samples_ns))))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="an ONNX file with fixed input shapes [default: the example]")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each side in a round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if importlib.util.find_spec("mlperf_loadgen") is None:
        print("MLPerf LoadGen is not installed: pip install mlcommons-loadgen", file=sys.stderr)
        return 2
    model = options.model or example.files().model
    found = agreement(model, options.rounds, options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        cost = overhead(one_millisecond_model(Path(folder)), OVERHEAD_ROUNDS)
    met = {
        "p50": abs(found["p50"]["median_of_rounds"] - 1) <= AGREEMENT,
        "p90": abs(found["p90"]["median_of_rounds"] - 1) <= AGREEMENT,
        "overhead": cost["share"] < OVERHEAD,
    }
    if options.json:
        print(json.dumps({"model": Path(model).name, "agreement": found, "overhead": cost, "met": met}, indent=2))
    else:
        print(f"{Path(model).name}: {found['samples'][0]} samples of the worker, {found['samples'][1]} of LoadGen")
        for name in ("p50", "p90"):
            item = found[name]
            print(
                f"{name} worker / LoadGen  {item['median_of_rounds']:.4f} (middle half of rounds {item['low']:.4f} to"
                f" {item['high']:.4f}; pooled {item['pooled']:.4f})  within 2 %: {'met' if met[name] else 'MISSED'}"
            )
        print(
            f"harness at {cost['model_ms']:.2f} ms  {cost['share']:+.3%} (middle half {cost['low']:+.3%} to"
            f" {cost['high']:+.3%})  < 1 %: {'met' if met['overhead'] else 'MISSED'}"
        )
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
