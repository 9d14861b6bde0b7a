"""The report as a file: self-contained, escaped, readable at any state of the work."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from report_examples import a_document

from edgewright.core.plain import to_plain
from edgewright.web.report import render_report

_VOID = {"meta", "br", "line", "rect", "circle", "polygon", "link", "img"}


class _Page(HTMLParser):
    """Text, tags and ids of a page; fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.tags: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data


def _embedded(html: str) -> Any:
    found = re.search(r'<script type="application/json" id="edgewright-report">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_a_full_report_says_what_was_found() -> None:
    """Recommendation, figures with intervals, float layers, sensors, hashes: all in the text."""
    page = _Page(render_report(a_document()))

    for words in (
        "Use lite0@acc1 on bench1",
        "5.19 MB instead of 18.6 MB",
        "no significant loss of accuracy",
        "lite0@fp16 is not recommended: not surely faster",
        "69.8 to 77.5 %",
        "/classifier/Gemm",
        "the drop bound needed it",
        "unavailable: no thermal zone in /sys/class/thermal",
        "49 BatchNormalization nodes folded",
        "3.1e-07 of the output's range",
        "Seed of the split",
        "9e" * 32,
        "Intel N100",
        "onnxruntime 1.30.0",
    ):
        assert words in page.text, words
    assert len(page.ids) == len(set(page.ids))


def test_the_document_is_embedded_whole() -> None:
    """The JSON in the page is the document."""
    document = a_document()
    assert _embedded(render_report(document)) == to_plain(document)


def test_nothing_is_loaded_from_anywhere() -> None:
    """No script, no address, no font, no image from outside; the policy forbids them too."""
    html = render_report(a_document())
    page = _Page(html)

    assert not {name for _, name, _ in page.attributes} & {"src", "href", "srcset", "action", "onload", "onclick"}
    assert not re.search(r"https?://|url\(|@import|@font-face", html.replace("http-equiv", ""))
    assert [value for tag, name, value in page.attributes if tag == "script" and name == "type"] == ["application/json"]
    assert any("default-src 'none'" in value for _, _, value in page.attributes)


def test_drawings_and_tables_speak() -> None:
    """Each drawing has a title and a description with figures; each table has headers."""
    html = render_report(a_document())

    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(drawings) == 3
    for drawing in drawings:
        assert 'role="img"' in drawing
        assert re.search(r"<title id=.*?>.+?</title><desc id=.*?>.*?lite0@acc1.+?</desc>", drawing)
    for table in re.findall(r"<table.*?</table>", html, re.DOTALL):
        assert "<th scope=" in table


def test_both_colour_schemes_are_there_with_contrast() -> None:
    """Text on its background has a contrast of at least 4.5 in light and dark (WCAG 2, AA)."""
    css = render_report(a_document()).split("<style>")[1].split("</style>")[0]
    light, dark = css.split("@media (prefers-color-scheme: dark)")
    schemes = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part.split("* {")[0])) for part in (light, dark)]

    for scheme in schemes:
        for text, background in (
            ("ink", "paper"),
            ("ink", "card"),
            ("soft", "paper"),
            ("soft", "card"),
            ("soft", "track"),
            ("good", "good-paper"),
            ("warn", "warn-paper"),
            ("bad", "bad-paper"),
            ("accent", "card"),
        ):
            assert _contrast(scheme[text], scheme[background]) >= 4.5, (text, background)
        for series in range(8):
            assert _contrast(scheme[f"c{series}"], scheme["card"]) >= 3.0, series


def _contrast(first: str, second: str) -> float:
    def luminance(color: str) -> float:
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def _poison(value: Any) -> Any:
    """The same document with markup in every text."""
    if isinstance(value, str):
        return f"{value}</script><script>alert(1)</script><b onclick='x'>\"&"
    if isinstance(value, dict):
        return {key: _poison(item) for key, item in value.items()}
    return [_poison(item) for item in value] if isinstance(value, list) else value


def test_hostile_text_stays_text() -> None:
    """Markup in any text of the document is shown, never obeyed, and the JSON is intact."""
    document = _poison(a_document())
    html = render_report(document)
    page = _Page(html)

    assert page.tags.count("script") == 1
    assert "onclick" not in {name for _, name, _ in page.attributes}
    assert "<script>alert(1)</script>" in page.text
    assert _embedded(html) == to_plain(document)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "There is no model yet"),
        ({"model": None, "variants": [], "benchmarks": None}, "edgewright model add"),
        ({"model": {"model": "m"}}, "edgewright compress m --level acc1"),
    ],
)
def test_an_empty_report_says_what_to_do(document: dict[str, Any], words: str) -> None:
    """With nothing there yet, the page names the next command."""
    assert words in _Page(render_report(document)).text


@pytest.mark.parametrize("missing", list(a_document()))
def test_any_part_may_be_missing(missing: str) -> None:
    """Without any one part, or with it empty, there is still a page."""
    document = a_document()
    del document[missing]
    _Page(render_report(document))
    _Page(render_report({**a_document(), missing: None}))


def test_every_optional_figure_may_be_missing() -> None:
    """Facts that a run could not get are dashes, not failures."""
    document = a_document()
    for item in document["benchmarks"]:
        item.update(latency_ns={}, latency_interval_ns={}, speedup=None, peak_memory_bytes=None, load_ns=None)
        item.update(first_inference_ns=None, overhead=None, distribution_ns=[], reasons=[], verdict="invalid")
    for item in document["evaluations"]:
        item.update(value=None, low=None, high=None, drop=None, baseline=None)
    document["devices"][0]["facts"] = {}
    document["model"] = {"model": "lite0"}

    page = _Page(render_report(document))

    assert "Keep the original" in page.text
    assert "its speed was not compared with the baseline's" in page.text


def test_odd_distributions_are_drawn() -> None:
    """One sample, equal samples and a far outlier: drawings without a bad number."""
    for samples in ([5_000_000], [5_000_000] * 50, [*range(5_000_000, 5_000_400), 900_000_000], [0, 0]):
        document = a_document()
        for item in document["benchmarks"]:
            item["distribution_ns"] = samples
        html = render_report(document)
        _Page(html)
        assert not re.search(r"\b(nan|inf)\b", html.split("application/json")[0])


def test_a_disturbed_board_is_recommended_with_a_warning() -> None:
    """Where background load spoiled the latencies, the headline says so beside the paired speed-up."""
    document = a_document()
    for item in document["benchmarks"]:
        item["verdict"] = "invalid"
        item["reasons"] = [{"code": "background_load", "text": "others used 80%", "worst": "invalid"}]

    text = _Page(render_report(document)).text

    assert "Use lite0@acc1 on bench1" in text
    assert "too disturbed for its latencies to be trusted" in text


def test_a_tensor_model_has_no_per_cent() -> None:
    """Without a task the value is a signal-to-noise ratio, shown as dB."""
    document = a_document()
    for item in document["evaluations"]:
        item.update(metric="sqnr_db", value=31.4, low=None, high=None, drop=None, baseline=None)

    assert "31.4 dB" in _Page(render_report(document)).text


def test_many_variants_and_devices() -> None:
    """Ten variants on two devices: every pair has its row, every device its drawings."""
    document = a_document()
    for number in range(7):
        for key in ("variants", "benchmarks", "evaluations"):
            item = copy.deepcopy(document[key][2])
            item["variant"] = f"lite0@my-very-long-recipe-name-{number}"
            document[key].append(item)
    for key in ("benchmarks", "evaluations"):
        document[key] += [{**copy.deepcopy(item), "device": "pi"} for item in document[key]]

    html = render_report(document)

    assert len(re.findall(r'<tr(?: class="best")?>\s*<th scope="row" data-label', html)) == 20
    assert html.count("Speed against accuracy on pi</h2>") == 1
    assert html.count('<tr class="best">') == 2
