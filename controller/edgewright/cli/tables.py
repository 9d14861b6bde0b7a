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
