"""Stored results against one another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgewright.core.comparison import unpaired_speedup
from edgewright.core.simulated_board import Script, SimulatedBoard
from edgewright.services.results import ResultService
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Block
from tests.e2e.program import Program
from tests.results.conftest import Measure


def test_list_filters_and_shows_newest_first(service: ResultService, measure: Measure) -> None:
    """By device and by variant; numbers are unique and stay."""
    first = measure(seed=1)
    second = measure(seed=2, device="bench2")

    assert [item["id"] for item in service.list(None, None, None)] == [*reversed(second), *reversed(first)]
    assert [item["id"] for item in service.list(None, "bench2", None)] == list(reversed(second))
    assert [item["id"] for item in service.list(None, "bench1", "net@acc1")] == [first[1]]
    shown = service.show(first[1])
    assert (shown["baseline"], shown["facts"], shown["plan"]["processes"]) == ("net@base", {"board": "simulated"}, 5)
    with pytest.raises(EdgewrightError) as caught:
        service.show(999)
    assert caught.value.code is ErrorCode.RESULT_UNKNOWN


def test_one_run_is_compared_in_pairs(service: ResultService, measure: Measure) -> None:
    """Both of one run: paired, twice as fast, nothing to note."""
    base, fast = measure()
    document = service.compare(base, fast)

    assert (document["method"], document["significant"], document["notes"]) == ("paired", True, [])
    assert document["speedup"]["low"] <= 2.0 <= document["speedup"]["high"]


def test_two_runs_are_compared_by_their_processes(service: ResultService, measure: Measure) -> None:
    """Different runs: unpaired, and said so; equal networks are not told apart, a 10 % slower one is."""
    (_, old), (_, same), (_, slow) = measure(seed=1), measure(seed=2), measure(seed=3, fast_ns=1.1e6)

    equal, slower = service.compare(old, same), service.compare(old, slow)

    assert not equal["significant"]
    assert equal["method"] == "unpaired"
    assert "different times" in equal["notes"][0]
    assert slower["significant"]
    assert slower["speedup"]["value"] == pytest.approx(1 / 1.1, rel=0.02)


def test_a_regression_is_found_and_noise_is_none(service: ResultService, measure: Measure) -> None:
    """10 % slower fails at 3 % and passes at 15 %; an equal run passes; a first one has nothing to compare with."""
    _, first = measure(seed=1)
    _, equal = measure(seed=2)
    _, slow = measure(seed=3, fast_ns=1.1e6)

    assert service.against_previous(first, 3)["comparison"] is None
    assert not service.against_previous(equal, 3)["slower"]
    assert service.against_previous(slow, 3)["slower"]
    assert not service.against_previous(slow, 15)["slower"]


def test_unpaired_intervals_cover() -> None:
    """300 pairs of runs whose processes differ by 1 %: the 95 % interval holds the truth in 93 % or more."""
    covered = 0
    for seed in range(300):
        sides = []
        for part, latency in enumerate((1.05e6, 1e6)):
            board = SimulatedBoard(
                {"a": latency}, Script(process_spread=0.01), seed=2 * seed + part, blocks=4, samples=20
            )
            sides.append([event.payload for event in board.run() if isinstance(event.payload, Block)])
        interval = unpaired_speedup(sides[0], sides[1])
        assert interval is not None
        covered += interval.low <= 1.05 <= interval.high
    assert covered >= 279


def test_one_process_is_no_comparison() -> None:
    """How processes differ cannot be seen from one."""
    board = SimulatedBoard({"a": 1e6}, processes=1)
    blocks = [event.payload for event in board.run() if isinstance(event.payload, Block)]
    assert unpaired_speedup(blocks, blocks) is None


def test_the_commands_answer(service: ResultService, measure: Measure, home: Path, tmp_path: Path) -> None:
    """Every command by its real program, in text and as JSON; verify needs no home folder."""
    base, fast = measure()
    service.export(fast, tmp_path / "net.ewr", force=False)
    program = Program(home)

    assert [item["id"] for item in program.json("result", "list", "--device", "bench1")["results"]] == [fast, base]
    assert program.json("result", "compare", str(base), str(fast))["significant"]
    assert "times faster than" in program.run("result", "compare", str(base), str(fast)).stdout
    assert "sha256" in program.run("result", "show", str(fast)).stdout
    assert program.json("result", "export", str(fast), str(tmp_path / "s.csv"))["size_bytes"] > 1000
    away = Program(tmp_path / "nowhere")
    assert away.json("result", "verify", str(tmp_path / "net.ewr"))["verified"]
    assert not (tmp_path / "nowhere").exists()
    assert "intact" in away.run("result", "verify", str(tmp_path / "net.ewr")).stdout
    assert program.fails("result", "show", "77")[:2] == (2, "result_unknown")
    (tmp_path / "net.ewr").write_bytes(b"PK")
    assert away.fails("result", "verify", str(tmp_path / "net.ewr"))[:2] == (1, "result_corrupt")
    bad = program.fails("bench", "net@base", "--device", "x", "--fail-if-slower", "much")
    assert bad[:2] == (2, "option_invalid")
    assert json.loads(program.run("--json", "result", "list").stdout)["results"]
