"""The main job, command by command, on a real network and a real agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewright import example
from tests.e2e.program import Agent, Program


@pytest.mark.slow
def test_the_main_job_from_import_to_report(program: Program, agent: Agent, tmp_path: Path) -> None:
    """Register, compress, push, benchmark, evaluate and report the built-in example on a loopback agent."""
    files = example.files()
    device = program.json("device", "add", "bench1", agent.address, "--code", agent.code())
    dataset = program.json("dataset", "add", "im", str(files.dataset), "--format", "imagefolder")
    model = program.json(
        *("model", "add", "net", str(files.model)),
        *("--task", "classification", "--spec", files.spec_name, "--dataset", "im"),
    )
    compressed = program.json("compress", "net", "--level", "acc1", "--level", "fp16", "--device", "bench1")
    pushed = program.json("push", "net@acc1", "bench1")
    # A busy machine makes the verdict "invalid", which is exit status 3: right, and not what is tested here.
    bench = ("bench", "net@base", "net@acc1", "--device", "bench1", "--max-seconds", "6")
    benched = program.json(*bench, status=(0, 3))
    evaluated = program.json("eval", "net@base", "net@acc1", "--device", "bench1", "--limit", "400")
    html = tmp_path / "report.html"
    report = program.json("report", "net", "--html", str(html))

    assert device["online"]
    assert device["target"].startswith(("x86", "armv8"))
    assert sum(dataset["parts"].values()) == dataset["count"]
    assert model["import_difference"] < 1e-4
    assert model["baseline"]["value"] > 0.8
    acc1, fp16 = compressed["variants"]
    assert acc1["artifacts"][0]["size_bytes"] < 0.4 * model["size_bytes"]
    assert fp16["artifacts"][0]["size_bytes"] < 0.6 * model["size_bytes"]
    assert acc1["goals"][0]["met"]
    assert acc1["fidelity"]["agreement"] > 0.95
    (push,) = pushed["results"]
    assert push["error"] is None
    assert push["active"]
    assert push["sent_bytes"] == acc1["artifacts"][0]["size_bytes"]
    base, fast = benched["results"]
    assert base["speedup"] is None
    assert fast["speedup"]["low"] <= fast["speedup"]["value"] <= fast["speedup"]["high"]
    assert base["samples"] >= 64
    assert base["latency_ns"]["p90"] >= base["latency_ns"]["p50"] > 0
    assert fast["parity"]["ok"]
    for result in evaluated["results"]:
        assert result["count"] == 400
        assert result["low"] <= result["value"] <= result["high"]
        assert result["value"] > 0.8
    assert evaluated["results"][1]["agreement"] > 0.95
    assert {b["variant"] for b in report["benchmarks"]} == {"net@base", "net@acc1"}
    text = html.read_text(encoding="utf-8")
    assert acc1["artifacts"][0]["sha256"] in text
    assert "http://" not in text.replace("http://www.w3.org", "")

    # The same again does no work twice: nothing is sent, nothing is compressed anew.
    assert program.json("push", "net@acc1", "bench1")["results"][0]["sent_bytes"] == 0
    again = program.json("compress", "net", "--level", "acc1", "--device", "bench1")
    assert again["variants"][0]["created"] == acc1["created"]
