"""Several boards as one: goals on the board, the way back, tags, partial failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.program import Agent, Program, serving
from tests.e2e.test_bad_input import save_images, save_network

QUICK = ("--max-latency", "10000", "--max-drop", "0")
IMPOSSIBLE = ("--max-latency", "0.0001")


@dataclass(frozen=True)
class Fleet:
    program: Program
    agents: tuple[Agent, Agent]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A model in two variants, and two paired agents: one, two."""
    folder = tmp_path_factory.mktemp("fleet")
    program = Program(folder / "home")
    program.json("dataset", "add", "d", str(save_images(folder / "images", each=30)))
    program.json("model", "add", "net", str(save_network(folder / "net.onnx")), "--task", "classification",
                 "--dataset", "d")  # fmt: skip
    program.json("compress", "net", "--level", "fp16")
    with serving(folder / "one") as one, serving(folder / "two") as two:
        for name, agent in (("one", one), ("two", two)):
            program.json("device", "add", name, agent.address, "--code", agent.code())
        yield Fleet(program, (one, two))


def slot(fleet: Fleet, device: str, name: str) -> dict[str, object] | None:
    shown = fleet.program.json("device", "show", device)
    return next((one for one in shown["deployments"] if one["slot"] == name), None)


@pytest.mark.slow
def test_a_goal_decides_on_the_board(fleet: Fleet) -> None:
    """A variant that meets its goals is active with the figures found; one that misses them changes nothing, exit 3."""
    good = fleet.program.json("push", "net@base", "one", "--slot", "cam", *QUICK)["results"][0]
    missed = fleet.program.json("push", "net@fp16", "one", "--slot", "cam", *IMPOSSIBLE, status=(3,))["results"][0]

    assert good["active"]
    assert good["checks"]["samples"] >= 66
    assert 0 < good["checks"]["latency_ns"]["p50"] <= good["checks"]["latency_ns"]["p90"]
    assert good["checks"]["drop"] == 0
    assert good["checks"]["agreement"] == 1
    assert missed["error"]["code"] == "deploy_goal_missed"
    assert "0.0001 ms" in missed["error"]["message"]
    assert not missed["active"]
    active = slot(fleet, "one", "cam")
    assert active is not None
    assert active["label"] == "net@base"
    assert fleet.program.fails("push", "net@base", "one", "--max-latency", "-3")[:2] == (2, "option_invalid")


@pytest.mark.slow
def test_rollback_is_told_and_kept(fleet: Fleet) -> None:
    """Back, forth, and nothing before: the store and the board agree, and the history is shown."""
    for variant in ("net@base", "net@fp16"):
        fleet.program.json("push", variant, "one", "--slot", "back")
    back = fleet.program.json("rollback", "one", "--slot", "back")["results"][0]
    assert (back["variant"], back["left"]) == ("net@base", "net@fp16")
    assert fleet.program.json("rollback", "one", "--slot", "back")["results"][0]["variant"] == "net@fp16"
    active = slot(fleet, "one", "back")
    assert active is not None
    assert [(h["how"], h["label"]) for h in active["history"]][-2:] == [  # type: ignore[attr-defined]
        ("rollback", "net@base"),
        ("rollback", "net@fp16"),
    ]
    assert "before: net@base" in fleet.program.run("device", "show", "one").stdout

    fleet.program.json("push", "net@base", "one", "--slot", "first")
    once = fleet.program.json("rollback", "one", "--slot", "first", status=(1,))["results"][0]
    assert once["error"]["code"] == "rollback_unavailable"
    unknown = fleet.program.json("rollback", "one", "--slot", "nowhere", status=(2,))["results"][0]
    assert unknown["error"]["code"] == "slot_unknown"


@pytest.mark.slow
def test_tags_choose_devices(fleet: Fleet) -> None:
    """Tags are kept, listed and taken off; a selector that stands for nobody is an error that names those in use."""
    program = fleet.program
    assert program.json("device", "tag", "one", "lab", "arm")["tags"] == ["arm", "lab"]
    program.json("device", "tag", "two", "arm")
    assert program.json("device", "tag", "one", "lab", "--remove")["tags"] == ["arm"]
    assert [d["tags"] for d in program.json("device", "list")["devices"]] == [["arm"], ["arm"]]
    assert program.fails("device", "tag", "one", "no tag")[:2] == (2, "name_invalid")
    status, code, message = program.fails("push", "net@base", "tag:lab")
    assert (status, code) == (2, "device_unknown")
    assert "arm" in message
    assert program.fails("device", "add", "all", "127.0.0.1:1", "--code", "X")[:2] == (2, "name_invalid")
    assert program.fails("push", "net@base")[:2] == (2, "usage")

    done = program.run("push", "net@base", "--device", "tag:arm", "one", "--slot", "tagged")
    assert done.status == 0, done.stderr
    assert done.stdout.count("is active in slot tagged") == 2
    evaluated = program.json("eval", "net@base", "--device", "all", "--limit", "8")
    assert {row["device"] for row in evaluated["results"]} == {"one", "two"}


@pytest.mark.slow
def test_what_failed_alone_is_done_again(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With one board off, the other is served and the exit status says so; the next run does only the rest."""
    program, state = fleet.program, tmp_path_factory.mktemp("third") / "state"
    with serving(state) as third:
        program.json("device", "add", "third", third.address, "--code", third.code())
        port = third.port
    first = program.json("push", "net@fp16", "one", "third", "--slot", "part", status=(1,))["results"]
    assert [(r["device"], r["active"], r["error"] and r["error"]["code"]) for r in first] == [
        ("one", True, None),
        ("third", False, "device_unreachable"),
    ]
    both = ("--device", "one", "--device", "third")
    status, code, message = program.fails("eval", "net@base", *both, "--limit", "4")
    assert (status, code) == (1, "device_unreachable")
    assert "1 of 2 devices" in message

    with serving(state, "--port", str(port)):
        goals = (*QUICK, "--retry-failed")
        again = program.json("push", "net@fp16", "one", "third", "--slot", "part", *goals)["results"]
        same = program.json("push", "net@fp16", "one", "third", "--slot", "part")["results"]
    assert [(r["active"], r["unchanged"], r["checks"] is None) for r in again] == [
        (True, True, True),
        (True, False, False),
    ]
    assert [r["unchanged"] for r in same] == [True, True]
    program.json("device", "remove", "third")
