"""The journal of a job: what is read back after any end, orderly or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright_agent.journal import Journal
from edgewright_contract import convert
from edgewright_contract.values import Block, Ended, JobPayload, Progress

PAYLOAD = st.one_of(
    st.builds(Progress, st.text(max_size=200), st.integers(0, 9), st.integers(0, 9)),
    st.builds(
        Block, st.just("a"), st.integers(0, 3), st.integers(0, 9), st.booleans(),
        st.lists(st.integers(0, 2**40), max_size=60).map(tuple), st.just(5), st.just(6), st.just(7),
    ),
)  # fmt: skip
PAYLOADS = st.lists(PAYLOAD, max_size=8)


def write(path: Path, payloads: list[JobPayload]) -> Journal:
    journal = Journal(path)
    for payload in payloads:
        journal.append(payload)
    return journal


def read(journal: Journal, after: int = 0) -> list[JobPayload]:
    events = [convert.job_event_from_proto(message) for message in journal.reader().read(after)]
    assert [event.sequence for event in events] == list(range(after + 1, after + 1 + len(events)))
    return [event.payload for event in events]


@settings(deadline=None)
@given(payloads=PAYLOADS, after=st.integers(0, 9))
def test_events_come_back(tmp_path_factory: pytest.TempPathFactory, payloads: list[JobPayload], after: int) -> None:
    """Live or opened again, from any number on, the events are those written, numbered without gaps."""
    path = tmp_path_factory.mktemp("journal") / "events"

    journal = write(path, payloads)

    assert read(journal, after) == payloads[after:]
    assert read(Journal(path), after) == payloads[after:]


@settings(deadline=None)
@given(payloads=PAYLOADS, data=st.data())
def test_torn_end_is_dropped(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[JobPayload], data: st.DataObject
) -> None:
    """Cut anywhere, or with zeros where a power cut left them, a prefix of the events remains; writing goes on."""
    path = tmp_path_factory.mktemp("journal") / "events"
    write(path, payloads)
    whole = path.read_bytes() if path.exists() else b""
    cut = data.draw(st.integers(0, len(whole)))
    zeros = data.draw(st.integers(0, 40))
    path.write_bytes(whole[:cut] + b"\0" * zeros)

    journal = Journal(path)
    kept = read(journal)
    journal.append(Ended("failed"))

    assert kept == payloads[: len(kept)]
    assert cut < len(whole) or kept == payloads
    assert read(Journal(path)) == [*kept, Ended("failed")]


def test_nothing_follows_the_end(tmp_path: Path) -> None:
    """Ended is the last event, after a restart too."""
    write(tmp_path / "events", [Progress("a"), Ended("done")])

    journal = Journal(tmp_path / "events")

    assert journal.ended is not None
    assert journal.ended.state == "done"
    with pytest.raises(ValueError, match="has ended"):
        journal.append(Progress("b"))


def test_failed_write_does_not_spoil_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event cut short by a full disk is overwritten by the next one."""
    journal = write(tmp_path / "events", [Progress("a")])
    with (tmp_path / "events").open("ab") as stream:
        stream.write(b"\x50half a record")

    journal.append(Progress("b"))

    assert read(Journal(tmp_path / "events")) == [Progress("a"), Progress("b")]


def test_reader_goes_on_where_it_was(tmp_path: Path) -> None:
    """A reader gives each event once, however often it is asked while the journal grows."""
    journal = write(tmp_path / "events", [Progress("a"), Progress("b")])
    reader = journal.reader()

    first = [message.progress.text for message in reader.read(1)]
    nothing = list(reader.read(0))
    journal.append(Progress("c"))
    second = [message.progress.text for message in reader.read(0)]

    assert (first, nothing, second) == (["b"], [], ["c"])
