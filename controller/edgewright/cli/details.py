"""How a model, a variant and a device are shown to a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from edgewright.cli.terminal import Terminal
from edgewright.core.formatting import count, percent, points, size


def show_model(terminal: Terminal, document: dict[str, Any]) -> None:
    terminal.document(document)
    for warning in document["warnings"]:
        terminal.warning(warning)
    terminal.line(f"model        {document['model']} ({document['task']}, from {document['framework']})")
    for kind in ("inputs", "outputs"):
        for tensor in document[kind]:
            shape = "x".join(str(dimension) for dimension in tensor["shape"])
            terminal.line(f"{kind[:-1]:<12} {tensor['name']}  {shape}  {tensor['dtype']}")
    terminal.line(f"size         {size(document['size_bytes'])}")
    terminal.line(f"parameters   {count(document['parameters'])}, MACs {count(document['macs'])} at batch 1")
    if document["import_difference"] is not None:
        terminal.line(f"difference   {document['import_difference']:.1e} of the output range after simplification")
    spec = document["spec"]["input"]
    terminal.line(
        f"input spec   size {spec['size']}, {spec['layout']}, {spec['color']}, mean {spec['mean']}, std {spec['std']}"
    )
    terminal.line(
        f"             resize {spec['resize']} ({spec['resize_size']}), {spec['interpolation']};"
        f" first class {document['spec']['output']['first_class']}"
    )
    if document["baseline"] is not None:
        metric = document["baseline"]
        terminal.line(
            f"{metric['name']:<12} {percent(metric['value'])} on {metric['count']} tuning images, this machine"
        )
    for note in document["notes"]:
        terminal.line(f"note         {note}")


def show_variants(terminal: Terminal, documents: list[dict[str, Any]]) -> None:
    rows = []
    for variant in documents:
        metric = variant["metric"] or {}
        fidelity = variant["fidelity"] or {}
        rows.append(
            [
                variant["variant"],
                variant["target"],
                size(variant["artifacts"][0]["size_bytes"]),
                percent(metric.get("value")),
                points(variant["drop"]),
                percent(fidelity.get("agreement")),
                _decibel(fidelity.get("sqnr_db")),
                str(len(variant["float_layers"])) if variant["level"] not in ("base", "fp16") else "-",
            ]
        )
    columns = [
        "variant",
        "target",
        ">size",
        ">accuracy",
        ">drop",
        ">agreement",
        ">SQNR",
        ">layers kept float",
    ]
    terminal.table(columns, rows)


def show_variant(terminal: Terminal, variant: dict[str, Any]) -> None:
    """One variant with everything: what was kept float and why, what was asked and reached."""
    show_variants(terminal, [variant])
    for layer in variant["float_layers"]:
        terminal.line(f"  float: {layer['name']} ({layer['reason']})")
    for goal in variant["goals"]:
        met = "met" if goal["met"] else "MISSED"
        terminal.line(f"  goal {goal['goal']}: asked {goal['asked']:.4g}, reached {goal['reached']:.4g}: {met}")
    for note in variant["notes"]:
        terminal.line(f"  note: {note}")
    terminal.line(f"  stopped because: {variant['stopped_because']}")
    for artifact in variant["artifacts"]:
        terminal.line(f"  {artifact['format']} for {artifact['target']}: sha256 {artifact['sha256']}")


def show_device(terminal: Terminal, document: dict[str, Any]) -> None:
    facts = document["facts"]
    state = "online" if document["online"] else f"offline: {document['offline_reason']}"
    terminal.line(f"device       {document['name']} at {document['address']} ({state})")
    terminal.line(f"target       {document['target']}")
    if document["tags"]:
        terminal.line(f"tags         {', '.join(document['tags'])}")
    if facts is None:
        return
    terminal.line(f"board        {facts['board']}")
    terminal.line(f"cpu          {facts['cpu_model']}, {facts['cores']} cores, {facts['architecture']}")
    terminal.line(f"memory       {size(facts['memory_bytes'])}, disk free {size(facts['disk_free_bytes'])}")
    terminal.line(f"system       {facts['system']}, kernel {facts['kernel']}")
    terminal.line(f"agent        {facts['agent_version']} on Python {facts['python_version']}")
    for runtime in facts["runtimes"]:
        where = ", ".join(runtime["accelerators"])
        terminal.line(f"runtime      {runtime['name']} {runtime['version']} ({runtime['package']}; {where})")
    for reading in facts["readings"]:
        terminal.line(f"{reading['name']:<20} {_reading(reading)}")
    for deployment in document["deployments"]:
        terminal.line(f"slot         {deployment['slot']}: {deployment['label']} ({deployment['sha256'][:12]})")
        for change in reversed(deployment["history"][:-1]):
            when = datetime.fromtimestamp(change["at_unix_ns"] / 1e9, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
            terminal.line(f"             before: {change['label']} ({change['sha256'][:12]}) by {change['how']} {when}")


def _decibel(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} dB"


def _reading(reading: dict[str, Any]) -> str:
    """A sensor's value in units people read, or why there is none."""
    value, unit = reading["value"], reading["unit"]
    if value is None:
        return f"unavailable: {reading['unavailable']}"
    if unit == "bytes":
        return size(value)
    return str(value) if isinstance(value, str) else f"{value:.4g} {unit}".rstrip()
