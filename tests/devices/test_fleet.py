"""Which devices are meant, and work on many of them at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgewright.core.values import ProgressCallback, ProgressEvent
from edgewright.services.fleet import in_parallel, on_all, select
from edgewright.store.records import DeviceRecord
from edgewright.store.store import Store
from edgewright_contract.errors import EdgewrightError, ErrorCode

RECORDS = [DeviceRecord(f"b{number}", "127.0.0.1:1", "", "", tags=("even",) * (number % 2 == 0)) for number in range(5)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "home") as opened:
        for record in RECORDS:
            opened.devices.add(record)
        yield opened


def silent(_: ProgressEvent) -> None:
    """Progress that nobody sees."""


@pytest.mark.parametrize(
    ("selectors", "names"),
    [
        (["b3"], ["b3"]),
        (["b3", "b1", "b3"], ["b3", "b1"]),
        (["tag:even"], ["b0", "b2", "b4"]),
        (["b4", "tag:even"], ["b4", "b0", "b2"]),
        (["all"], ["b0", "b1", "b2", "b3", "b4"]),
        ([], []),
    ],
)
def test_selectors(store: Store, selectors: list[str], names: list[str]) -> None:
    """Each device once, in the order in which it was named first."""
    assert [record.name for record in select(store.devices, selectors)] == names


@pytest.mark.parametrize("selector", ["tag:odd", "tag:", "b9", "ALL"])
def test_selectors_that_stand_for_nobody(store: Store, selector: str) -> None:
    """A tag or name without a device is an error, not an empty success."""
    with pytest.raises(EdgewrightError) as caught:
        select(store.devices, ["b1", selector])
    assert caught.value.code is ErrorCode.DEVICE_UNKNOWN


def test_tags_survive(store: Store) -> None:
    """Tags are replaced as a whole, and other changes of a device leave them alone."""
    store.devices.set_tags("b1", ("x", "y"))
    store.devices.seen("b1", {"cores": 4}, "armv8")
    assert store.devices.get("b1").tags == ("x", "y")
    with pytest.raises(EdgewrightError, match="b9"):
        store.devices.set_tags("b9", ())


def test_all_at_once_and_in_order() -> None:
    """Every device is at work at the same time, results keep the order, states are told."""
    barrier = threading.Barrier(len(RECORDS), timeout=10)
    states: list[tuple[str, str]] = []

    def work(device: DeviceRecord, progress: ProgressCallback) -> dict[str, object]:
        barrier.wait()
        progress(ProgressEvent(f"push x to {device.name}", 1, 2))
        return {"device": device.name, "error": None}

    results = in_parallel(RECORDS, work, silent, lambda name, state: states.append((name, state)))

    assert [result["device"] for result in results] == [record.name for record in RECORDS]
    for record in RECORDS:
        assert [state for name, state in states if name == record.name] == ["starts", "push x 50 %", "done"]


def test_an_interruption_stops_the_others() -> None:
    """What one raises is raised; the others end at their next sign of progress."""
    ended = []

    def work(device: DeviceRecord, progress: ProgressCallback) -> dict[str, object]:
        if device.name == "b0":
            raise KeyboardInterrupt
        try:
            until = time.monotonic() + 20
            while time.monotonic() < until:
                progress(ProgressEvent("push"))
                time.sleep(0.01)
        except EdgewrightError as error:
            ended.append(error.code)
            raise
        return {"error": None}

    with pytest.raises(KeyboardInterrupt):
        in_parallel(RECORDS, work, silent)
    assert ended == [ErrorCode.CANCELLED] * 4


def test_rows_of_all_or_an_error_that_names_the_rest() -> None:
    """One device's failure comes after all have ended, with the options that run only what failed."""
    done = []

    def work(device: DeviceRecord, _: ProgressCallback) -> list[dict[str, object]]:
        if device.name in ("b1", "b3"):
            raise EdgewrightError(ErrorCode.DEVICE_UNREACHABLE, "no answer")
        done.append(device.name)
        return [{"device": device.name}]

    with pytest.raises(EdgewrightError) as caught:
        on_all(RECORDS, work, silent)
    assert caught.value.code is ErrorCode.DEVICE_UNREACHABLE
    assert "2 of 5" in caught.value.message
    assert "--device b1 --device b3" in caught.value.hint
    assert sorted(done) == ["b0", "b2", "b4"]
    assert on_all(RECORDS[::2], work, silent) == [{"device": name} for name in ("b0", "b2", "b4")]
