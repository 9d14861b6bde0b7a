"""The small print of a report: devices, import, data set, provenance, as (name, text) pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewright.core import formatting

Document = Mapping[str, Any]
Pairs = list[tuple[str, str]]


def text_of(value: Any) -> str:
    """Any JSON value in one line."""
    if value is None or value in ("", [], {}):
        return formatting.MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text_of(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(text_of(item) for item in value)
    return str(value)


def model_pairs(model: Document) -> Pairs:
    """What the import understood."""
    difference = model.get("import_difference")
    nodes = model.get("nodes") or {}
    pairs = [
        ("Task", text_of(model.get("task"))),
        ("Framework", text_of(model.get("framework"))),
        ("Inputs", _tensors(model.get("inputs"))),
        ("Outputs", _tensors(model.get("outputs"))),
        ("Parameters", formatting.count(model.get("parameters"))),
        ("Multiply-adds", formatting.count(model.get("macs"))),
        ("File", formatting.size(model.get("size_bytes"))),
    ]
    if difference is not None:
        words = f"{difference:.1e} of the output's range" if difference else "none"
        pairs.append(("Difference after import", words))
    if nodes:
        pairs.append(
            ("Nodes", f"{text_of(nodes.get('before'))} before simplification, {text_of(nodes.get('after'))} after")
        )
    for section, values in (model.get("spec") or {}).items():
        pairs.append((f"Spec: {section}", text_of(values)))
    return pairs


def _tensors(tensors: Any) -> str:
    return (
        ", ".join(
            f"{item.get('name')} {' x '.join(str(size) for size in item.get('shape', []))} {item.get('dtype', '')}"
            for item in tensors or []
        )
        or formatting.MISSING
    )


def fidelity_text(fidelity: Document | None) -> str:
    """Closeness to the original in words; empty where it is not known."""
    known = fidelity or {}
    parts = []
    if known.get("agreement") is not None:
        parts.append(f"{formatting.percent(known['agreement'])} same answers")
    if known.get("sqnr_db") is not None:
        parts.append(f"{known['sqnr_db']:.1f} dB signal to noise")
    if known.get("samples"):
        parts.append(f"on {known['samples']} samples")
    return ", ".join(parts)


def device_pairs(device: Document) -> Pairs:
    """What the agent says of its board."""
    facts = device.get("facts") or {}
    runtimes = ", ".join(f"{item.get('name')} {item.get('version')}" for item in facts.get("runtimes") or [])
    system = " ".join(str(facts[key]) for key in ("system", "kernel") if facts.get(key))
    return [
        ("Address", text_of(device.get("address"))),
        ("Board", text_of(facts.get("board"))),
        ("CPU", text_of(facts.get("cpu_model"))),
        ("Architecture", text_of(facts.get("architecture"))),
        ("Cores", text_of(facts.get("cores"))),
        ("Target", text_of(device.get("target"))),
        ("Memory", formatting.size(facts.get("memory_bytes"))),
        ("System", system or formatting.MISSING),
        ("Runtimes", runtimes or formatting.MISSING),
        ("Agent", f"{text_of(facts.get('agent_version'))} on Python {text_of(facts.get('python_version'))}"),
        ("Agent's memory", formatting.size(facts.get("agent_memory_bytes"))),
    ]


def sensor_rows(device: Document) -> list[tuple[str, str, bool]]:
    """(sensor, reading or reason, whether it reads)."""
    rows = []
    for reading in (device.get("facts") or {}).get("readings") or []:
        name, value = str(reading.get("name", "")).replace("_", " "), reading.get("value")
        if value is None:
            rows.append((name, f"unavailable: {reading.get('unavailable') or 'no reason given'}", False))
        elif reading.get("unit") == "bytes":
            rows.append((name, formatting.size(value), True))
        else:
            number = f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1e4 else str(value)
            rows.append((name, f"{number} {reading.get('unit') or ''}".strip(), True))
    return rows


def dataset_pairs(dataset: Document | None) -> Pairs:
    """The data set and its split."""
    if not dataset:
        return []
    parts = [(f"Part: {name}", f"{count} images") for name, count in (dataset.get("parts") or {}).items()]
    return [
        ("Name", text_of(dataset.get("name"))),
        ("Format", text_of(dataset.get("format"))),
        ("Identity", text_of(dataset.get("identity"))),
        ("Seed of the split", text_of(dataset.get("seed"))),
        *parts,
        *([("Skipped", f"{dataset['skipped']} unreadable")] if dataset.get("skipped") else []),
    ]


def hash_rows(document: Document) -> list[tuple[str, str]]:
    """(what, sha256) of everything that was run or kept as evidence."""
    rows = []
    model = document.get("model") or {}
    for name, key in (("source file", "source_sha256"), ("model, as imported", "sha256")):
        if model.get(key):
            rows.append((name, model[key]))
    for variant in document.get("variants") or []:
        for item in variant.get("artifacts") or []:
            rows.append(
                (f"{variant['variant']}, {item.get('format')} for {item.get('target')}", item.get("sha256", ""))
            )
    for key, kind in (("benchmarks", "benchmark"), ("evaluations", "evaluation")):
        for item in document.get(key) or []:
            if item.get("evidence_sha256"):
                rows.append((f"evidence: {kind} of {item['variant']} on {item['device']}", item["evidence_sha256"]))
    return list(dict.fromkeys(rows))


def settings_rows(document: Document) -> list[tuple[str, str]]:
    """(benchmark, its settings), equal ones once."""
    rows: dict[str, list[str]] = {}
    for item in document.get("benchmarks") or []:
        text = text_of({name: value for name, value in (item.get("settings") or {}).items() if value not in (None, [])})
        rows.setdefault(f"{text}; measured {item.get('created', '')[:19].replace('T', ' ')}", []).append(
            f"{item['variant']} on {item['device']}"
        )
    return [(", ".join(names), text) for text, names in rows.items()]
