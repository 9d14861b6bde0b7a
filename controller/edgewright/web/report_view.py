"""A report's document arranged for reading: rows, sentences and facts, all as text. Nothing is computed anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgewright.core import formatting
from edgewright.core.names import BASE_VARIANT, SEPARATOR
from edgewright.core.recommendation import Recommendation, is_base, recommend

Document = Mapping[str, Any]
_SHARE_METRICS = ("top1", "top5", "accuracy", "top-1", "top_1")


@dataclass(frozen=True)
class Row:
    """One variant on one device, as text."""

    variant: str
    device: str
    series: int  # its colour
    size: str
    accuracy: str
    accuracy_interval: str
    drop: str
    drop_interval: str
    p50: str
    p90: str
    latency_unit: str
    speedup: str
    speedup_interval: str
    verdict: str
    reasons: Sequence[Document]
    recommended: bool


@dataclass(frozen=True)
class Headline:
    """The answer in plain words for one device."""

    device: str
    variant: str | None
    sentence: str
    tiles: Sequence[tuple[str, str, str]]  # name, figure, remark
    refused: Sequence[tuple[str, str]]


def items(document: Document, key: str) -> list[Document]:
    """A list of the document; empty where it is missing."""
    return list(document.get(key) or [])


def series_of(document: Document) -> dict[str, int]:
    """A colour number for each variant: the baseline's first, then in the document's order."""
    labels = [
        *(item["variant"] for item in items(document, "variants")),
        *(item["variant"] for key in ("benchmarks", "evaluations") for item in items(document, key)),
    ]
    ordered = sorted(dict.fromkeys(labels), key=lambda label: not is_base(label))
    return {label: number % 8 for number, label in enumerate(ordered)}


def devices_of(document: Document) -> list[str]:
    """Every device with a result, in the order of the document."""
    return list(dict.fromkeys(item["device"] for key in ("benchmarks", "evaluations") for item in items(document, key)))


def size_of(document: Document, label: str, runtime: str = "") -> int | None:
    """Bytes of a variant's file: of the format that ran, else of its first."""
    formats = {"onnxruntime": "onnx", "tflite": "tflite"}
    for variant in items(document, "variants"):
        artifacts = variant.get("artifacts") or []
        if variant["variant"] == label and artifacts:
            fitting = [item for item in artifacts if item.get("format") == formats.get(runtime)]
            return int((fitting or artifacts)[0]["size_bytes"])
    model = document.get("model") or {}
    size = model.get("size_bytes") if label == f"{model.get('model')}{SEPARATOR}{BASE_VARIANT}" else None
    return None if size is None else int(size)


def rows_of(document: Document, recommended: Mapping[str, str | None]) -> list[Row]:
    """The main table: every (variant, device) with a result; variants without one come last."""
    series = series_of(document)
    benchmarks = {(item["variant"], item["device"]): item for item in items(document, "benchmarks")}
    evaluations = {(item["variant"], item["device"]): item for item in items(document, "evaluations")}
    pairs = list(dict.fromkeys([*benchmarks, *evaluations]))
    measured = {label for label, _ in pairs}
    pairs.sort(key=lambda pair: (devices_of(document).index(pair[1]), series[pair[0]]))
    pairs += [(label, "") for label in series if label not in measured]
    unit = formatting.duration_unit(
        (item.get("latency_ns") or {}).get(name) for item in benchmarks.values() for name in ("p50", "p90")
    )
    return [
        _row(document, label, device, series[label], benchmarks, evaluations, unit, recommended)
        for label, device in pairs
    ]


def _row(
    document: Document,
    label: str,
    device: str,
    series: int,
    benchmarks: Mapping[tuple[str, str], Document],
    evaluations: Mapping[tuple[str, str], Document],
    unit: formatting.Unit,
    recommended: Mapping[str, str | None],
) -> Row:
    bench = benchmarks.get((label, device), {})
    score = evaluations.get((label, device), {})
    latency = bench.get("latency_ns") or {}
    drop = score.get("drop")
    speedup = bench.get("speedup")
    return Row(
        variant=label,
        device=device,
        series=series,
        size=formatting.size(size_of(document, label, bench.get("runtime", ""))),
        accuracy=metric_text(score.get("metric"), score.get("value")),
        accuracy_interval=metric_interval(score),
        drop=formatting.MISSING if drop is None or is_base(label) else formatting.points(-drop["value"]),
        drop_interval=""
        if drop is None or is_base(label) or drop.get("low") is None
        else f"{formatting.points(-drop['high'])} to {formatting.points(-drop['low'])}",
        p50=unit.number(latency.get("p50")),
        p90=unit.number(latency.get("p90")),
        latency_unit=unit.name,
        speedup=formatting.ratio(speedup["value"]) if speedup else ("1x" if bench and is_base(label) else "–"),
        speedup_interval=f"{speedup['low']:.2f} to {speedup['high']:.2f}" if speedup else "",
        verdict=bench.get("verdict", ""),
        reasons=bench.get("reasons") or [],
        recommended=bool(device) and recommended.get(device) == label,
    )


def metric_text(metric: str | None, value: float | None) -> str:
    """Shares as per cent, dB as dB, anything else as it is."""
    if value is None:
        return formatting.MISSING
    if metric is not None and metric.endswith("db"):
        return f"{value:.1f} dB"
    return formatting.percent(value) if metric in _SHARE_METRICS else f"{value:.4g}"


def metric_interval(score: Document) -> str:
    """Low to high, or nothing."""
    if score.get("low") is None or score.get("high") is None:
        return ""
    if score.get("metric") in _SHARE_METRICS:
        return f"{100 * score['low']:.1f} to {100 * score['high']:.1f} %"
    return f"{score['low']:.4g} to {score['high']:.4g}"


def headlines_of(document: Document) -> list[Headline]:
    """One a device with a benchmark."""
    devices = dict.fromkeys(item["device"] for item in items(document, "benchmarks"))
    return [_headline(document, recommendation_for(document, device)) for device in devices]


def recommendation_for(document: Document, device: str) -> Recommendation:
    return recommend(device, items(document, "variants"), items(document, "benchmarks"), items(document, "evaluations"))


def _headline(document: Document, found: Recommendation) -> Headline:
    refused = [(label, reason) for label, reason in found.refused.items()]
    if found.variant is None:
        why = "none was shown to be faster and within its bound" if refused else "none was measured there yet"
        return Headline(found.device, None, f"No variant is recommended on {found.device}: {why}.", (), refused)
    bench = _find(items(document, "benchmarks"), found.variant, found.device)
    score = _find(items(document, "evaluations"), found.variant, found.device)
    base_label = found.variant.partition(SEPARATOR)[0] + SEPARATOR + BASE_VARIANT
    base = _find(items(document, "benchmarks"), base_label, found.device)
    speedup = bench["speedup"]
    size, base_size = (size_of(document, label, bench.get("runtime", "")) for label in (found.variant, base_label))
    sentence = (
        f"Use {found.variant} on {found.device}: it answers {formatting.ratio(speedup['value'])} as fast as the "
        f"original{_size_words(size, base_size)}{_drop_words(score)}."
    )
    if bench.get("verdict") == "invalid":
        sentence += (
            " The board was too disturbed for its latencies to be trusted; the speed-up is paired, so it stands. "
            "Measure again on a quiet board before publishing any of it."
        )
    return Headline(found.device, found.variant, sentence, _tiles(bench, base, score, size, base_size), refused)


def _size_words(size: int | None, base_size: int | None) -> str:
    if not size or not base_size:
        return ""
    return f", its file takes {formatting.size(size)} instead of {formatting.size(base_size)}"


def _drop_words(score: Document) -> str:
    drop = score.get("drop")
    if drop is None:
        return ". Its accuracy was not evaluated there yet"
    unit = "point" if f"{abs(drop['value']):.2f}" == "1.00" else "points"
    if not drop.get("significant"):
        lost = f"{abs(drop['value']):.2f} {unit} {'lost' if drop['value'] >= 0 else 'won'}"
        return f", and it shows no significant loss of accuracy ({lost} on {score.get('count')} images)"
    verb = "loses" if drop["value"] > 0 else "wins"
    return f", and it {verb} {abs(drop['value']):.2f} {unit} of accuracy"


def _tiles(
    bench: Document, base: Document, score: Document, size: int | None, base_size: int | None
) -> list[tuple[str, str, str]]:
    speedup = bench["speedup"]
    p50, base_p50 = (item.get("latency_ns", {}).get("p50") for item in (bench, base))
    tiles = [
        (
            "Speed-up",
            formatting.ratio(speedup["value"]),
            f"{speedup['low']:.2f}x to {speedup['high']:.2f}x{_confidence(bench)}",
        ),
        ("Median latency", formatting.duration(p50), f"was {formatting.duration(base_p50)}" if base_p50 else ""),
    ]
    if size and base_size:
        tiles.append(("File", formatting.size(size), f"{formatting.percent(size / base_size, 0)} of the original"))
    if score:
        tiles.append(("Accuracy", metric_text(score.get("metric"), score.get("value")), _accuracy_remark(score)))
    return tiles


def _confidence(bench: Document) -> str:
    confidence = (bench.get("settings") or {}).get("speedup_confidence")
    return f" at {100 * confidence:g} %" if confidence else ""


def _accuracy_remark(score: Document) -> str:
    before = score.get("baseline")
    if before is None:
        return f"{score.get('count')} images"
    return f"was {metric_text(score.get('metric'), before)}, {score.get('count')} images"


def _find(found: Iterable[Document], label: str, device: str) -> Document:
    return next((item for item in found if item["variant"] == label and item["device"] == device), {})
