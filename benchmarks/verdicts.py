"""How often verdicts are right, on simulated boards whose truth is known.

    python benchmarks/verdicts.py [--runs 200] [--json]

Detection: boards with one fault each, with all sensors and with none; a fault counts as found when its own reason is
given for a candidate (without sensors heat cannot be told from a lowered clock: the lasting change counts). False
alarms: quiet boards on which any reason is given. Coverage: 99 % intervals of p50 and p90 against the true percentile.
Signs: significant speed-ups of the wrong sign on drifting boards, interleaved against one after the other.
Exit status 1 where a mark is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np

from edgewright.core.benchmark import BenchSettings, summarise
from edgewright.core.clustered import clustered_percentile_interval
from edgewright.core.run_events import candidate_runs
from edgewright.core.simulated_board import SENSORS, Script, SimulatedBoard
from edgewright.core.speedup import paired_speedup
from edgewright.core.verdict import Parity, ReasonCode

FOUND, FALSE, COVERED, FEWER_SIGN_ERRORS = 0.95, 0.02, 0.98, 5.0
SAME = {"m@acc1": Parity(1.0, 40.0, 1.0, True, "same answers")}
SETTINGS = BenchSettings(precision_percent=5, confidence=0.99)
BLIND: frozenset[str] = frozenset()
Random = np.random.Generator
# What only tells that a sensor or a difference is missing is no alarm.
INFORMATION = {ReasonCode.SENSOR_UNAVAILABLE, ReasonCode.NO_SIGNIFICANT_DIFFERENCE}


def quiet(random: Random) -> Script:
    """Noise, memory and processes as on idle boards."""
    return Script(
        noise=random.uniform(0.002, 0.02),
        correlation=random.uniform(0.0, 0.9),
        process_spread=random.uniform(0.0, 0.01),
        outliers=random.uniform(0.0, 0.01),
    )


def throttled(random: Random) -> Script:
    return replace(quiet(random), throttle_at=random.uniform(0.1, 0.85), throttle=random.uniform(1.15, 2.0))


def clocked_down(random: Random) -> Script:
    return replace(throttled(random), heat=False)


def migrating(random: Random) -> Script:
    """Between core types 1.4 to 3 times apart, as A76 and A55, for 10 % to 60 % of the blocks."""
    return replace(quiet(random), little_core=random.uniform(1.4, 3), little_share=random.uniform(0.1, 0.6))


def loaded(random: Random) -> Script:
    start = random.uniform(0, 0.5)
    share = random.uniform(0.15, 0.45)
    return replace(quiet(random), load_share=share, load_from=start, load_to=start + random.uniform(0.5, 1.0))


def drifting(random: Random) -> Script:
    return replace(quiet(random), drift=random.uniform(1.2, 1.6))


FAULTS: dict[str, tuple[Callable[[Random], Script], set[ReasonCode], set[ReasonCode]]] = {
    # name: script, reasons that name it with sensors, and without
    "throttle": (throttled, {ReasonCode.THROTTLED}, {ReasonCode.LEVEL_CHANGED}),
    "frequency drop": (clocked_down, {ReasonCode.FREQUENCY_CHANGED}, {ReasonCode.LEVEL_CHANGED}),
    "migration": (migrating, {ReasonCode.MIGRATED}, {ReasonCode.MIGRATED}),
    "background load": (loaded, {ReasonCode.BACKGROUND_LOAD}, {ReasonCode.BACKGROUND_LOAD}),
    "drift": (drifting, {ReasonCode.LEVEL_CHANGED}, {ReasonCode.LEVEL_CHANGED}),
}


def reasons(script: Script, seed: int) -> set[ReasonCode]:
    """All reasons that any candidate of a run was given."""
    board = SimulatedBoard({"m@base": 2e6, "m@acc1": 1e6}, script, seed)
    summary = summarise(board.run(), "m@base", SETTINGS, SAME)
    return {reason.code for item in summary.candidates for reason in item.reasons} - INFORMATION


def detection(runs: int) -> list[dict[str, Any]]:
    rows = []
    for name, (script, seen, unseen) in FAULTS.items():
        for sensors, wanted in ((SENSORS, seen), (BLIND, unseen)):
            random = np.random.default_rng(len(rows))
            found = sum(bool(reasons(replace(script(random), sensors=sensors), seed) & wanted) for seed in range(runs))
            title = f"{name}, {'all sensors' if sensors else 'no sensor'}"
            rows.append(row("found", title, found / runs, f">= {FOUND:.0%}", found / runs >= FOUND))
    return rows


def false_alarms(runs: int) -> list[dict[str, Any]]:
    rows = []
    for title, sensors in (("quiet, all sensors", SENSORS), ("quiet, no sensor", BLIND)):
        random = np.random.default_rng(100)
        given = [reasons(replace(quiet(random), sensors=sensors), 10_000 + seed) for seed in range(runs)]
        share = sum(map(bool, given)) / runs
        wrong = sorted({code.value for codes in given for code in codes})
        rows.append(row("false alarms", f"{title} {' '.join(wrong)}".strip(), share, f"< {FALSE:.0%}", share < FALSE))
    return rows


def coverage(runs: int) -> list[dict[str, Any]]:
    rows = []
    for correlation in (0.0, 0.5, 0.9, 0.95):
        for spread in (0.0, 0.002):
            script = Script(noise=0.02, correlation=correlation, process_spread=spread, outliers=0)
            inside, widths = {0.5: 0, 0.9: 0}, {0.5: [0.0], 0.9: [0.0]}
            for seed in range(runs):
                board = SimulatedBoard({"m@base": 1e6}, script, seed)
                processes = candidate_runs(board.run())["m@base"].processes()
                for q in inside:
                    deviation = math.hypot(script.noise, script.process_spread)
                    truth = 1e6 * math.exp(deviation * NormalDist().inv_cdf(q))
                    interval, _ = clustered_percentile_interval(processes, q, 0.99)
                    # Without an interval nothing is claimed.
                    inside[q] += interval is None or interval.low <= truth <= interval.high
                    widths[q].append((interval.high - interval.low) / 2 / truth if interval else math.inf)
            for q, hits in inside.items():
                width = float(np.median(widths[q][1:]))
                title = f"p{100 * q:g}, autocorrelation {correlation:g}, processes {spread:.1%} (+-{width:.2%})"
                rows.append(row("covered", title, hits / runs, f">= {COVERED:.0%}", hits / runs >= COVERED))
    return rows


def sign_errors(runs: int) -> list[dict[str, Any]]:
    """A candidate 2 % to 10 % faster on boards that slow down by 5 % to 50 % within the run, evenly or at once."""
    wrong = {True: 0, False: 0}
    random = np.random.default_rng(7)
    for seed in range(runs):
        truth = random.uniform(1.02, 1.1)
        script = replace(quiet(random), noise=0.01, process_spread=0.001)
        if random.random() < 0.5:
            script = replace(script, drift=random.uniform(1.05, 1.5))
        else:
            script = replace(script, throttle_at=random.uniform(0.1, 0.9), throttle=random.uniform(1.05, 1.5))
        for interleaved in wrong:
            events = SimulatedBoard({"m@base": truth * 1e6, "m@acc1": 1e6}, script, seed, samples=20).run(interleaved)
            found = candidate_runs(events)
            interval = paired_speedup(found["m@base"].blocks, found["m@acc1"].blocks)
            wrong[interleaved] += interval is not None and interval.high < 1
    times = wrong[False] / max(1, wrong[True])
    title = f"sequential {wrong[False] / runs:.1%} wrong, interleaved {wrong[True] / runs:.1%}"
    fewer = wrong[False] >= FEWER_SIGN_ERRORS * wrong[True] and wrong[False] > 0
    return [row("sign errors", title, times, f">= {FEWER_SIGN_ERRORS:g}x fewer", fewer)]


def row(what: str, title: str, value: float, mark: str, met: bool) -> dict[str, Any]:
    return {"what": what, "title": title, "value": value, "mark": mark, "met": bool(met)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="boards a row; below 200 the shares are coarse")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for part in (detection, false_alarms, coverage, sign_errors):
        fresh = part(options.runs)
        rows += fresh
        if not options.json:
            for item in fresh:
                value = f"{item['value']:.1f}x" if item["what"] == "sign errors" else f"{item['value']:.1%}"
                met = "met" if item["met"] else "MISSED"
                print(f"{item['what']:13} {item['title']:62} {value:>7}  {item['mark']:>10}  {met}", flush=True)
    if options.json:
        print(json.dumps({"runs": options.runs, "rows": rows}, indent=2))
    return 0 if all(item["met"] for item in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
