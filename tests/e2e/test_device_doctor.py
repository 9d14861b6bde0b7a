"""`device doctor` names the exact fault. Each fault is a real one, made on a real agent's way."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewright.services.device_doctor import DeviceDoctor, _clock, _disk, _runtimes, _sensors, _version
from edgewright.services.workspace import Workspace
from edgewright.store.store import Store
from edgewright_contract.values import DeviceFacts, Reading
from tests.e2e.program import Agent, Program, serving

FACTS = DeviceFacts("b", "c", "aarch64", 6, (), 1, "Linux", "6", "3.11", "0.1.0", (), (), 10**12, 1, 10**18)


@contextmanager
def moved(home: Path, address: str) -> Iterator[DeviceDoctor]:
    """The doctor of a home whose device `bench1` is registered at another address."""
    with Store.open(home) as store:
        before = store.devices.get("bench1")
        store.devices.update(replace(before, address=address))
        yield DeviceDoctor(Workspace(home, store))
        store.devices.update(before)


def states(document: dict[str, Any]) -> dict[str, str]:
    return {finding["check"]: finding["state"] for finding in document["findings"]}


def failed(document: dict[str, Any]) -> dict[str, Any]:
    """The one finding that failed; it is the last, and has a remedy."""
    assert not document["healthy"]
    (found,) = [finding for finding in document["findings"] if finding["state"] == "failed"]
    assert found == document["findings"][-1]
    assert found["hint"]
    return found  # type: ignore[no-any-return]


def test_the_way_to_the_agent(program: Program, agent: Agent, tmp_path: Path) -> None:
    """Sound, then: no such name, a closed port, no TLS, another agent, no longer paired."""
    program.json("device", "add", "bench1", agent.address, "--code", agent.code())
    sound = program.json("device", "doctor", "bench1")
    assert sound["healthy"]
    for check in ("dns", "port", "tls", "certificate", "pairing", "version", "clock"):
        assert states(sound)[check] == "ok"

    with moved(program.home, "no-such-host.invalid:50551") as doctor:
        assert failed(doctor.examine("bench1"))["check"] == "dns"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with moved(program.home, f"127.0.0.1:{closed.getsockname()[1]}") as doctor:
            assert failed(doctor.examine("bench1"))["check"] == "port"
    with serving(tmp_path / "plain", "--insecure") as plain, moved(program.home, plain.address) as doctor:
        assert failed(doctor.examine("bench1"))["check"] == "tls"
    with serving(tmp_path / "other") as other, moved(program.home, other.address) as doctor:
        assert failed(doctor.examine("bench1"))["check"] == "certificate"
    (controller,) = agent.command("controllers", "list", "--json")["controllers"]
    agent.command("controllers", "revoke", controller["fingerprint"], "--json")
    revoked = program.run("--json", "device", "doctor", "bench1")
    assert revoked.status == 1
    assert failed(revoked.json())["check"] == "pairing"


@pytest.mark.parametrize(
    ("clock_s", "state", "says"),
    [(0.0, "ok", ""), (4.0, "ok", ""), (60.0, "warning", "60 s ahead"), (-3600.0, "warning", "3600 s behind")],
)
def test_clocks(clock_s: float, state: str, says: str) -> None:
    """A clock within a few seconds is in step; the direction of a wrong one is said."""
    now = 10**18
    found = _clock(replace(FACTS, clock_unix_ns=now + int(clock_s * 1e9)), now, now)
    assert found.state == state
    assert says in found.text


def test_what_the_facts_tell() -> None:
    """Old agents, small disks, no runtime and missing or hot sensors are named with a remedy."""
    assert _version(replace(FACTS, agent_version="9.9.1")).state == "warning"
    assert _clock(replace(FACTS, clock_unix_ns=0), 1, 2).state == "warning"
    assert [_disk(replace(FACTS, disk_free_bytes=size << 20)).state for size in (300, 100, 10)] == [
        "ok",
        "warning",
        "failed",
    ]
    assert _runtimes(FACTS).state == "failed"
    hot = replace(FACTS, readings=(Reading("temperature", 91.0, "degC"), Reading("governor", None, "", "no cpufreq")))
    assert [(one.check, one.state) for one in _sensors(hot)] == [
        ("sensor governor", "warning"),
        ("sensor temperature", "warning"),
    ]
