"""A report document as the services build it, from a simulated board."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edgewright.core.benchmark import BenchSettings, summarise
from edgewright.core.plain import to_plain
from edgewright.core.verdict import Parity
from edgewright_contract.values import Reading

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "core"))
from core_simulation import quiet_board

_SHAS = {"base": "3c" * 32, "fp16": "51" * 32, "acc1": "9e" * 32}


def a_document() -> dict[str, Any]:
    """One model, three variants, one device: acc1 is twice as fast, fp16 is not faster."""
    readings = [
        Reading("cpu_busy", 52.0, "%"),
        Reading("cpu_frequency", unavailable="no cpufreq driver on this system"),
        Reading("temperature", unavailable="no thermal zone in /sys/class/thermal"),
    ]
    events = quiet_board(
        {"lite0@base": 9.4e6, "lite0@fp16": 9.42e6, "lite0@acc1": 4.45e6},
        noise=0.035,
        readings=lambda step: readings,
        speed=lambda process, index: 1.0 + 0.03 * ((7 * index + process) % 5) / 5,
    )
    same = Parity(0.97, 28.4, 0.998, True, "97 % of golden answers agree")
    settings = BenchSettings(seed=7)
    summary = summarise(events, "lite0@base", settings, {"lite0@acc1": same, "lite0@fp16": same})
    benchmarks = [
        {
            "variant": item.label,
            "device": "bench1",
            "runtime": "onnxruntime",
            "threads": 1,
            "settings": {
                "percentile": 90,
                "precision_percent": 2,
                "confidence": 0.99,
                "speedup_confidence": 0.95,
                "seed": 7,
                "runtime": "onnxruntime",
            },
            "evidence_sha256": "e1" * 32,
            "created": "2026-11-25T02:00:00.000Z",
            **to_plain(item),
        }
        for item in summary.candidates
    ]
    return {
        "model": {
            "model": "lite0",
            "task": "classification",
            "framework": "onnx",
            "inputs": [{"name": "images", "shape": ["N", 3, 224, 224], "dtype": "float32"}],
            "outputs": [{"name": "logits", "shape": ["N", 1000], "dtype": "float32"}],
            "size_bytes": 18_569_430,
            "parameters": 4_652_008,
            "macs": 389_870_000,
            "import_difference": 3.1e-7,
            "nodes": {"before": 254, "after": 118},
            "spec": {"input": {"size": [224, 224], "mean": [127.0, 127.0, 127.0], "resize": "shorter_side"}},
            "warnings": [],
            "notes": ["49 BatchNormalization nodes folded into convolutions"],
            "source_sha256": "ab" * 32,
            "sha256": _SHAS["base"],
        },
        "variants": [
            _variant("base", 18_569_430, drop=None),
            _variant("fp16", 9_310_112, drop=0.0),
            _variant(
                "acc1",
                5_187_200,
                drop=0.2,
                float_layers=[
                    {"name": "/classifier/Gemm", "reason": "the drop bound needed it: 0.31 points for this layer"},
                    {"name": "/blocks.0/se/Sigmoid", "reason": "not fused by the runtime"},
                ],
            ),
        ],
        "benchmarks": benchmarks,
        "evaluations": [
            _evaluation("base", 0.742, 0.7019, 0.7784, None),
            _evaluation("fp16", 0.742, 0.7019, 0.7784, (0.0, 0.0, 0.0)),
            _evaluation("acc1", 0.738, 0.6978, 0.7746, (0.4, -1.0, 1.8)),
        ],
        "devices": [a_device([to_plain(reading) for reading in readings])],
        "dataset": {
            "name": "im",
            "format": "csv",
            "identity": "77" * 32,
            "seed": 0,
            "parts": {"calibration": 200, "tuning": 300, "evaluation": 500},
            "skipped": 2,
        },
        "versions": {"edgewright": "0.1.0", "python": "3.11.7", "onnxruntime": "1.30.0", "numpy": "2.4.6"},
        "created": "2026-11-25T02:10:00+00:00",
    }


def a_device(readings: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": "bench1",
        "address": "192.168.1.20:7443",
        "target": "x86-vnni",
        "facts": {
            "board": "Radxa X4",
            "cpu_model": "Intel N100",
            "architecture": "x86_64",
            "cores": 4,
            "memory_bytes": 8_200_000_000,
            "system": "Debian GNU/Linux 12",
            "kernel": "6.1.0",
            "python_version": "3.11.2",
            "agent_version": "0.1.0",
            "agent_memory_bytes": 40_300_000,
            "runtimes": [{"name": "onnxruntime", "version": "1.30.0"}, {"name": "tflite", "version": "2.1.0"}],
            "readings": [
                *readings,
                {"name": "memory_available", "value": 6_100_000_000, "unit": "bytes", "unavailable": ""},
            ],
        },
    }


def _variant(
    name: str, size: int, drop: float | None, float_layers: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    goals = [{"goal": "max_drop_points", "asked": 0.5, "reached": drop, "met": True}] if drop is not None else []
    return {
        "variant": f"lite0@{name}",
        "level": name,
        "target": "x86-vnni",
        "artifacts": [{"format": "onnx", "target": "x86-vnni", "sha256": _SHAS[name], "size_bytes": size}],
        "parameters": 4_652_008,
        "macs": 389_870_000,
        "drop": drop,
        "metric": {"name": "top1", "baseline": 0.742, "value": 0.738},
        "fidelity": None if drop is None else {"agreement": 0.97, "sqnr_db": 24.1},
        "goals": goals,
        "float_layers": float_layers or [],
        "stopped_because": "" if drop is None else "the bound holds",
    }


def _evaluation(
    name: str, value: float, low: float, high: float, drop: tuple[float, float, float] | None
) -> dict[str, Any]:
    return {
        "variant": f"lite0@{name}",
        "device": "bench1",
        "metric": "top1",
        "value": value,
        "low": low,
        "high": high,
        "baseline": 0.742,
        "drop": None
        if drop is None
        else {"value": drop[0], "low": drop[1], "high": drop[2], "significant": not drop[1] <= 0 <= drop[2]},
        "agreement": 0.966,
        "count": 500,
        "evidence_sha256": "e2" * 32,
        "created": "2026-11-25T02:05:00.000Z",
    }
