"""The comparison table: what a variant costs and gains, on the device that ran it."""

from __future__ import annotations

from typing import Any

from edgewright.cli.terminal import Terminal
from edgewright.core.formatting import MISSING, duration, percent, size, speedup

COLUMNS = ["variant", "device", ">size", ">accuracy", ">p50", ">p90", ">speed-up", "verdict"]


def show_benchmarks(terminal: Terminal, results: list[dict[str, Any]]) -> None:
    """Latency results, one row a variant and device, then the reasons behind each verdict."""
    rows = []
    for result in results:
        latency = result["latency_ns"]
        rows.append(
            [
                result["variant"],
                result["device"],
                f"{result['runtime']} x{result['threads']}",
                str(result["samples"]),
                duration(latency.get("p50")),
                duration(latency.get("p90")),
                duration(latency.get("p99")),
                _speedup(result),
                size(result["peak_memory_bytes"]),
                result["verdict"],
            ]
        )
    columns = [
        "variant",
        "device",
        "runtime",
        ">samples",
        ">p50",
        ">p90",
        ">p99",
        ">speed-up",
        ">memory",
        "verdict",
    ]
    terminal.table(columns, rows)
    for result in results:
        for reason in result["reasons"]:
            terminal.line(f"  {result['variant']} on {result['device']}: {reason['text']}")


def show_result_list(terminal: Terminal, results: list[dict[str, Any]]) -> None:
    """Stored results, one row each."""
    columns = [">no.", "measured", "variant", "device", "runtime", ">p50", ">p90", ">speed-up", "verdict"]
    rows = [
        [
            str(result["id"]),
            result["created"][:16].replace("T", " "),
            result["variant"],
            result["device"],
            f"{result['runtime']} x{result['threads']}",
            duration(result["latency_ns"].get("p50")),
            duration(result["latency_ns"].get("p90")),
            _speedup(result),
            result["verdict"],
        ]
        for result in results
    ]
    terminal.table(columns, rows)


def show_result_comparison(terminal: Terminal, document: dict[str, Any]) -> None:
    """Two results, how much faster the second is, and what to know about that."""
    first, second = document["first"], document["second"]
    rows = [
        [
            str(side["id"]),
            side["variant"],
            side["device"],
            duration(side["latency_ns"].get("p50")),
            duration(side["latency_ns"].get("p90")),
            side["verdict"],
        ]
        for side in (first, second)
    ]
    terminal.table([">no.", "variant", "device", ">p50", ">p90", "verdict"], rows)
    interval = document["speedup"]
    if interval is None:
        terminal.line("Too little to say: both need 2 processes, or 6 pairs of blocks of one run.")
    elif not document["significant"]:
        low, high = interval["low"], interval["high"]
        terminal.line(f"No significant difference ({low:.3f} to {high:.3f} times as fast, {document['method']}).")
    else:
        word = "faster" if interval["value"] > 1 else "slower"
        times = {key: value if interval["value"] > 1 else 1 / value for key, value in interval.items()}
        low, high = sorted((times["low"], times["high"]))
        terminal.line(
            f"Result {second['id']} is {times['value']:.3f} times {word} than result {first['id']}"
            f" ({low:.3f} to {high:.3f} at {document['confidence']:.0%} confidence, {document['method']})."
        )
    for note in document["notes"]:
        terminal.line(f"  {note}")


def show_regressions(terminal: Terminal, regressions: list[dict[str, Any]]) -> None:
    """Each variant against its last stored result."""
    for item in regressions:
        who, comparison = f"{item['variant']} on {item['device']}", item["comparison"]
        interval = None if comparison is None else comparison["speedup"]
        if comparison is None:
            terminal.line(f"{who}: no earlier result to compare with.")
        elif interval is None:
            terminal.line(f"{who}: too few processes to compare with result {comparison['first']['id']}.")
        else:
            said = "slower than allowed" if item["slower"] else "not slower than allowed"
            change = [100 * (1 / interval[key] - 1) for key in ("value", "high", "low")]
            terminal.line(
                f"{who}: {said} ({change[0]:+.1f} % [{change[1]:+.1f}, {change[2]:+.1f}] against result"
                f" {comparison['first']['id']}, {item['allowed_percent']:g} % allowed)."
            )


def show_evaluations(terminal: Terminal, results: list[dict[str, Any]]) -> None:
    rows = []
    for result in results:
        drop = result["drop"]
        rows.append(
            [
                result["variant"],
                result["device"],
                result["metric"],
                _with_interval(result),
                "-" if drop is None else f"{drop['value']:+.2f} [{drop['low']:+.2f}, {drop['high']:+.2f}] pt",
                "-" if drop is None else ("yes" if drop["significant"] else "no"),
                percent(result["agreement"]),
                str(result["count"]),
            ]
        )
    columns = ["variant", "device", "metric", ">value", ">drop", "significant", ">agreement", ">images"]
    terminal.table(columns, rows)


def show_comparison(terminal: Terminal, document: dict[str, Any]) -> None:
    """The closing table of `quickstart` and `report`: size, accuracy, latency, speed-up, verdict."""
    accuracy = {(e["variant"], e["device"]): e for e in document["evaluations"]}
    sizes = {v["variant"]: v["artifacts"][0]["size_bytes"] for v in document["variants"]}
    rows = []
    for result in document["benchmarks"]:
        evaluation = accuracy.get((result["variant"], result["device"]))
        rows.append(
            [
                result["variant"],
                result["device"],
                size(sizes.get(result["variant"])),
                "-" if evaluation is None else _with_interval(evaluation),
                duration(result["latency_ns"].get("p50")),
                duration(result["latency_ns"].get("p90")),
                _speedup(result),
                result["verdict"],
            ]
        )
    terminal.table(COLUMNS, rows)
    for result in document["benchmarks"]:
        for reason in result["reasons"]:
            terminal.line(f"  {result['variant']} on {result['device']}: {reason['text']}")


def _speedup(result: dict[str, Any]) -> str:
    interval = result["speedup"]
    if interval is None or result["significant"]:
        return speedup(interval)
    return f"no difference ({interval['low']:.2f} to {interval['high']:.2f})"


def _with_interval(result: dict[str, Any]) -> str:
    """The metric in its own unit: a share as per cent with its interval, closeness to the baseline in decibels."""
    if result["value"] is None:
        return "equal" if result["metric"] == "sqnr_db" and result["cosine"] is not None else MISSING
    if result["metric"] == "sqnr_db":
        return f"{result['value']:.1f} dB"
    return f"{percent(result['value'])} [{percent(result['low'])}, {percent(result['high'])}]"
