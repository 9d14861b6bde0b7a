"""A report as one HTML file: no script, no network, light and dark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edgewright.core import formatting
from edgewright.core.plain import to_plain
from edgewright.core.recommendation import is_base
from edgewright.web import report_charts, report_facts, report_view

# What a benchmark may lack.
_BENCHMARK: Mapping[str, Any] = dict.fromkeys(
    (
        "verdict",
        "reasons",
        "samples",
        "runtime",
        "runtime_version",
        "threads",
        "load_ns",
        "first_inference_ns",
        "peak_memory_bytes",
        "overhead",
    )
)


def render_report(document: Mapping[str, Any]) -> str:
    """The HTML of a report document (the same as `edgewright report --json`); any part of it may be missing.

    Everything from the document is escaped; the document itself is embedded as JSON.
    """
    environment = Environment(
        loader=PackageLoader("edgewright.web", "report_assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    headlines = report_view.headlines_of(document)
    recommended = {item.device: item.variant for item in headlines}
    model = document.get("model") or {}
    return environment.get_template(
        "report.html"
    ).render(
        css=Markup(_asset(environment, "report.css")),  # noqa: S704  ours, not the document's
        title=model.get("model") or "no model",
        model={"warnings": [], "notes": [], **model} if model else {},
        summary=_summary(model),
        created=str(document.get("created") or "")[:19].replace("T", " "),
        headlines=headlines,
        rows=report_view.rows_of(document, recommended),
        devices=[_device(device) for device in report_view.items(document, "devices")],
        device_charts=[_charts(document, device) for device in report_view.devices_of(document)],
        size_chart=report_charts.size_chart(document),
        variants=[_variant(item) for item in report_view.items(document, "variants")],
        model_pairs=report_facts.model_pairs(model) if model else [],
        dataset_pairs=report_facts.dataset_pairs(document.get("dataset")),
        hash_rows=report_facts.hash_rows(document),
        settings_rows=report_facts.settings_rows(document),
        versions=sorted((document.get("versions") or {}).items()),
        benchmarks=[{**_BENCHMARK, **item} for item in report_view.items(document, "benchmarks")],
        evaluations=report_view.items(document, "evaluations"),
        embedded=_embedded(document),
        fmt=formatting,
        series=report_view.series_of(document),
    )


def _asset(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _summary(model: Mapping[str, Any]) -> list[str]:
    """A line of facts under the title."""
    facts = [
        model.get("task"),
        model.get("framework"),
        f"{formatting.count(model['parameters'])} parameters" if model.get("parameters") else None,
        f"{formatting.count(model['macs'])} multiply-adds" if model.get("macs") else None,
    ]
    return [str(fact) for fact in facts if fact]


def _device(device: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": device.get("name", ""),
        "pairs": report_facts.device_pairs(device),
        "sensors": report_facts.sensor_rows(device),
    }


def _charts(document: Mapping[str, Any], device: str) -> dict[str, Any]:
    drawn = (report_charts.latency_chart(document, device), report_charts.tradeoff_chart(document, device))
    return {"device": device, "charts": [chart for chart in drawn if chart is not None]}


def _variant(variant: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe did, and what it left alone."""
    name = str(variant.get("variant", ""))
    layers = []
    for layer in variant.get("float_layers") or []:
        known = layer if isinstance(layer, Mapping) else {"name": layer}
        layers.append((str(known.get("name", "")), str(known.get("reason", ""))))
    return {
        "name": name,
        "target": variant.get("target", ""),
        "goals": [_goal(goal) for goal in variant.get("goals") or []],
        "layers": layers,
        "stopped": "" if is_base(name) else variant.get("stopped_because") or "",
        "notes": [str(note) for note in variant.get("notes") or []],
        "fidelity": report_facts.fidelity_text(variant.get("fidelity")),
    }


def _goal(goal: Mapping[str, Any]) -> tuple[str, bool]:
    name = str(goal.get("goal", "")).replace("_", " ")
    text = (
        f"{name}: asked {report_facts.text_of(goal.get('asked'))}, reached {report_facts.text_of(goal.get('reached'))}"
    )
    return text, bool(goal.get("met"))


def _embedded(document: Mapping[str, Any]) -> Markup:
    """The document for programs; no character of it can end the element that holds it."""
    text = json.dumps(to_plain(document), ensure_ascii=False, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704  no markup is left in it
