"""The drawings of a report: SVG as text, colours by CSS class, every text escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from edgewright.core import formatting
from edgewright.web.report_view import items, metric_text, series_of, size_of

Document = Mapping[str, Any]
WIDTH = 440
_LEFT, _RIGHT = 12, 12
_PLOT_LEFT = 62  # of the scatter, after its axis
_ROW = 62
_AXIS = 34
_GRID_POINTS = 120


@dataclass(frozen=True)
class Chart:
    """A drawing with its caption."""

    title: str
    svg: Markup
    caption: str


@dataclass(frozen=True)
class _Scale:
    """Values low .. high to pixels start .. end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values within the scale: steps of 1, 2 or 5 times a power of ten."""
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [step * number for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class _Box:
    """A rectangle of the drawing that is taken."""

    x: float
    y: float
    width: float
    height: float

    def meets(self, other: _Box) -> bool:
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


def latency_chart(document: Document, device: str) -> Chart | None:
    """A violin a variant: density of the samples, median, p90 and the interval of the median."""
    found = [item for item in items(document, "benchmarks") if item["device"] == device and item.get("distribution_ns")]
    if not found:
        return None
    series = series_of(document)
    samples = [np.asarray(item["distribution_ns"], dtype=np.float64) for item in found]
    low = min(float(values[0]) for values in samples)
    high = max(_reach(values) for values in samples)
    margin = max(high - low, 0.02 * high, 1.0) * 0.06
    scale = _Scale(max(0.0, low - margin), high + margin, _LEFT, WIDTH - _RIGHT)
    unit = formatting.duration_unit([scale.high])  # of the axis
    parts = [
        _violin(item, values, scale, 8 + number * _ROW, series[item["variant"]])
        for number, (item, values) in enumerate(zip(found, samples, strict=True))
    ]
    height = 8 + len(found) * _ROW + _AXIS
    parts.insert(0, _axis_x(scale, 8, height - _AXIS, unit, f"latency of one inference, {unit.name}"))
    hidden = max(float((values > scale.high).mean()) for values in samples)
    beyond = f" Samples beyond the right edge (at most {formatting.percent(hidden)}) are not drawn." if hidden else ""
    return Chart(
        f"Latency on {device}",
        _svg(f"Latency distributions on {device}", _latency_words(found), height, parts),
        f"Shape: how often each latency occurred. Line: median, with its interval. Tick: p90.{beyond}",
    )


def _reach(values: np.ndarray[Any, Any]) -> float:
    """How far to draw: p99, but a long tail may not squeeze the rest; p90 is always inside."""
    p50, p90, p99 = np.quantile(values, [0.5, 0.9, 0.99])
    return float(min(p99, max(4 * p50, 1.1 * p90)))


def _violin(item: Document, values: np.ndarray[Any, Any], scale: _Scale, top: float, series: int) -> Markup:
    inside = values[values <= scale.high]
    grid = np.linspace(scale.low, scale.high, _GRID_POINTS)
    spread = min(float(inside.std()), float(np.subtract(*np.quantile(inside, [0.75, 0.25]))) / 1.349 or math.inf)
    # Silverman's rule; never thinner than the eye can see
    width = max(0.9 * spread * len(inside) ** -0.2, (scale.high - scale.low) / 160)
    density = np.exp(-0.5 * ((grid[:, None] - inside[None, :]) / width) ** 2).sum(axis=1)
    density = density / density.max()
    middle, half = top + 42, 17.0
    shown = np.flatnonzero(density > 0.004)
    shown = np.arange(shown[0], shown[-1] + 1)
    upper = [f"{scale(grid[i]):.1f},{middle - half * density[i]:.1f}" for i in shown]
    lower = [f"{scale(grid[i]):.1f},{middle + half * density[i]:.1f}" for i in shown[::-1]]
    latency, unit = (
        item["latency_ns"],
        formatting.duration_unit([item["latency_ns"].get(name) for name in ("p50", "p90")]),
    )
    figures = ", ".join(f"{name} {unit.text(latency[name])}" for name in ("p50", "p90") if name in latency)
    parts = [
        Markup('<text x="{}" y="{}" class="label">{}</text>').format(_LEFT, top + 15, item["variant"]),
        Markup('<text x="{}" y="{}" class="figure" text-anchor="end">{}</text>').format(
            WIDTH - _RIGHT, top + 15, figures
        ),
        Markup('<polygon points="{}" class="violin c{}"/>').format(" ".join(upper + lower), series),
    ]
    interval = (item.get("latency_interval_ns") or {}).get("p50")
    if interval:
        parts.append(
            Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="band c{}"/>').format(
                scale(interval["low"]),
                middle - half - 3,
                max(1.5, scale(interval["high"]) - scale(interval["low"])),
                2 * half + 6,
                series,
            )
        )
    for name, reach, css in (("p50", half + 3, "median"), ("p90", 7, "tick90")):
        if name in latency and latency[name] <= scale.high:
            parts.append(
                Markup('<line x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}" class="{3} c{4}"/>').format(
                    scale(latency[name]), middle - reach, middle + reach, css, series
                )
            )
    return Markup("").join(parts)


def _latency_words(found: Sequence[Document]) -> str:
    return "; ".join(
        f"{item['variant']}: "
        + ", ".join(f"{name} {formatting.duration(value)}" for name, value in item["latency_ns"].items())
        for item in found
    )


def tradeoff_chart(document: Document, device: str) -> Chart | None:
    """Speed against accuracy with both intervals; up and left is better."""
    scores = {item["variant"]: item for item in items(document, "evaluations") if item["device"] == device}
    points = [
        (item, scores[item["variant"]])
        for item in items(document, "benchmarks")
        if item["device"] == device
        and item["variant"] in scores
        and scores[item["variant"]].get("value") is not None
        and "p50" in item["latency_ns"]
    ]
    if len(points) < 2:
        return None
    series = series_of(document)
    metric = points[0][1].get("metric")
    top, bottom, left = 14, 262, _PLOT_LEFT
    x_high = max(item["latency_ns"]["p50"] for item, _ in points) * 1.18
    x = _Scale(0.0, x_high, left, WIDTH - _RIGHT)
    lows = [_bound(score, "low") for _, score in points]
    highs = [_bound(score, "high") for _, score in points]
    margin = max(max(highs) - min(lows), 0.01 * abs(max(highs)), 1e-9) * 0.15
    y = _Scale(min(lows) - margin, max(highs) + margin, bottom, top)
    unit = formatting.duration_unit([x_high])
    parts = [_axis_x(x, top, bottom, unit, f"median latency, {unit.name} (less is better)")]
    for tick in y.ticks(4):
        parts.append(
            Markup(
                '<line x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}" class="grid"/>'
                '<text x="{3}" y="{4:.1f}" class="axis" text-anchor="end">{5}</text>'
            ).format(left, WIDTH - _RIGHT, y(tick), left - 6, y(tick) + 4.5, metric_text(metric, tick))
        )
    spots = [(x(item["latency_ns"]["p50"]), y(score["value"])) for item, score in points]
    taken = [_Box(at_x - 7, at_y - 7, 14, 14) for at_x, at_y in spots]
    marks, labels = [], []
    for (item, score), spot in zip(points, spots, strict=True):
        marks.append(_point(item, score, x, y, series[item["variant"]]))
        labels.append(_point_label(item["variant"], *spot, taken))
    parts += [*marks, *labels]
    words = "; ".join(
        f"{item['variant']}: {formatting.duration(item['latency_ns']['p50'])}, "
        f"{metric_text(metric, score['value'])} {metric}"
        for item, score in points
    )
    return Chart(
        f"Speed against accuracy on {device}",
        _svg(f"Speed against accuracy on {device}", words, bottom + _AXIS, parts),
        "Bars: the interval of each figure. Up and to the left is better.",
    )


def _bound(score: Document, side: str) -> float:
    bound = score.get(side)
    return float(score["value"] if bound is None else bound)


def _point(item: Document, score: Document, x: _Scale, y: _Scale, series: int) -> Markup:
    latency, interval = item["latency_ns"]["p50"], (item.get("latency_interval_ns") or {}).get("p50")
    at_x, at_y = x(latency), y(score["value"])
    bars = [(at_x, at_x, y(_bound(score, "low")), y(_bound(score, "high")))]
    if interval:
        bars.append((x(interval["low"]), x(interval["high"]), at_y, at_y))
    return Markup("").join(
        [
            *(
                Markup('<line x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}" class="error c{}"/>').format(*bar, series)
                for bar in bars
            ),
            Markup('<circle cx="{:.1f}" cy="{:.1f}" r="6.5" class="point c{}"/>').format(at_x, at_y, series),
        ]
    )


def _point_label(label: str, at_x: float, at_y: float, taken: list[_Box]) -> Markup:
    """A name beside its point: the first place around it, then ever further up, where nothing else is."""
    width = 9.4 * len(label)  # of the bold letters on a phone, the widest
    places = [
        (side, at_y + shift) for shift in (-9.0, 18.0, *(-9.0 - 18.0 * n for n in range(1, 10))) for side in (1, -1)
    ]
    for side, text_y in places:
        box = _Box(at_x + 9 if side > 0 else at_x - 9 - width, text_y - 12, width, 15)
        if box.x >= _PLOT_LEFT and box.x + width <= WIDTH - _RIGHT and box.y >= 0 and not any(map(box.meets, taken)):
            break
    taken.append(box)
    return Markup('<text x="{:.1f}" y="{:.1f}" class="label halo" text-anchor="{}">{}</text>').format(
        at_x + side * 10, text_y, "start" if side > 0 else "end", label
    )


def size_chart(document: Document) -> Chart | None:
    """A bar a variant: bytes of its file."""
    series = series_of(document)
    sizes = [(label, size) for label in series if (size := size_of(document, label))]
    if not sizes:
        return None
    largest = max(size for _, size in sizes)
    unit = formatting.byte_unit([size for _, size in sizes])
    base = sizes[0][1]
    row, parts = 50, []
    for number, (label, size) in enumerate(sizes):
        top = 6 + number * row
        share = "" if number == 0 else f" ({formatting.percent(size / base, 0)})"
        parts += [
            Markup('<text x="{}" y="{}" class="label">{}</text>').format(_LEFT, top + 15, label),
            Markup('<text x="{}" y="{}" class="figure" text-anchor="end">{}</text>').format(
                WIDTH - _RIGHT, top + 15, f"{unit.text(size)}{share}"
            ),
            Markup('<rect x="{}" y="{}" width="{}" height="14" rx="3" class="track"/>').format(
                _LEFT, top + 23, WIDTH - _LEFT - _RIGHT
            ),
            Markup('<rect x="{}" y="{}" width="{:.1f}" height="14" rx="3" class="bar c{}"/>').format(
                _LEFT, top + 23, max(2.0, size / largest * (WIDTH - _LEFT - _RIGHT)), series[label]
            ),
        ]
    words = "; ".join(f"{label}: {unit.text(size)}" for label, size in sizes)
    return Chart("File sizes", _svg("File sizes", words, 6 + len(sizes) * row, parts), "In brackets: of the original.")


def _axis_x(scale: _Scale, top: float, bottom: float, unit: formatting.Unit, title: str) -> Markup:
    parts = []
    ticks = scale.ticks()
    step = (ticks[1] - ticks[0]) / unit.size if len(ticks) > 1 else 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    for tick in ticks:
        parts.append(
            Markup(
                '<line x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}" class="grid"/>'
                '<text x="{0:.1f}" y="{3}" class="axis" text-anchor="middle">{4}</text>'
            ).format(scale(tick), top, bottom, bottom + 15, f"{tick / unit.size:.{digits}f}")
        )
    parts.append(
        Markup('<text x="{}" y="{}" class="axis" text-anchor="middle">{}</text>').format(
            (scale.start + scale.end) / 2, bottom + 31, title
        )
    )
    return Markup("").join(parts)


def _svg(title: str, words: str, height: float, parts: Sequence[Markup]) -> Markup:
    # title and desc are read out; the names bind them to this drawing
    name = "chart-" + "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    return Markup(
        '<svg viewBox="0 0 {} {:.0f}" role="img" aria-labelledby="{}-t {}-d">'
        '<title id="{}-t">{}</title><desc id="{}-d">{}</desc>{}</svg>'
    ).format(WIDTH, height, name, name, name, escape(title), name, escape(words), Markup("").join(parts))
