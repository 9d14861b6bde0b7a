"""Every value survives the wire."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright_contract import agent_pb2 as pb
from edgewright_contract import convert
from edgewright_contract import values as v

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
I64 = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False)
FLOAT32 = st.floats(allow_nan=False, width=32)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)


def several(one: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(one, max_size=3).map(tuple)


READING = st.one_of(
    st.builds(v.Reading, TEXT, st.one_of(FLOAT, TEXT), TEXT, st.just("")),
    st.builds(v.Reading, TEXT, st.none(), TEXT, TEXT.filter(bool)),
)
RUNTIME = st.builds(v.RuntimeFacts, TEXT, TEXT, TEXT, TEXTS, TEXTS)
FACTS = st.builds(
    v.DeviceFacts,
    board=TEXT, cpu_model=TEXT, architecture=TEXT, cores=U32, cpu_flags=TEXTS, memory_bytes=U64, system=TEXT,
    kernel=TEXT, python_version=TEXT, agent_version=TEXT, runtimes=several(RUNTIME), readings=several(READING),
    disk_free_bytes=U64, agent_memory_bytes=U64, clock_unix_ns=I64,
)  # fmt: skip
# A dimension is a number or a symbol; a symbol of digits alone would be a number.
DIMENSION = st.one_of(st.integers(0, 2**40), st.sampled_from(["?", "batch", "N2", "-1", "²"]))
SPEC = st.builds(v.TensorSpec, TEXT, several(DIMENSION), TEXT)
CANDIDATE = st.builds(v.Candidate, TEXT, TEXT, TEXT, TEXT, U32)
NORMALIZATION = st.builds(v.Normalization, several(FLOAT32), several(FLOAT32), TEXT)
INPUTS = st.builds(v.InputSet, TEXT, NORMALIZATION)
CHANGE = st.builds(v.SlotChange, TEXT, TEXT, TEXT, TEXT, U32, TEXT, I64)
PAYLOADS = {
    "progress": st.builds(v.Progress, TEXT, U64, U64),
    "loaded": st.builds(v.Loaded, TEXT, U32, U64, U64, U64, TEXT, TEXT, several(U32), several(SPEC), several(SPEC)),
    "block": st.builds(v.Block, TEXT, U32, U32, st.booleans(), several(U64), I64, U64, U64),
    "telemetry": st.builds(v.Telemetry, I64, several(READING)),
    "outputs": st.builds(v.Outputs, TEXT, TEXT),
    "overhead": st.builds(v.Overhead, several(U64), U64),
    "worker_closed": st.builds(v.WorkerClosed, TEXT, U32, U64),
    "ended": st.builds(v.Ended, TEXT, TEXT, TEXT, TEXT),
}  # fmt: skip
PAIRS = {
    "reading": READING,
    "runtime_facts": RUNTIME,
    "device_facts": FACTS,
    "tensor_spec": SPEC,
    "candidate": CANDIDATE,
    "normalization": NORMALIZATION,
    "input_set": INPUTS,
    "benchmark_plan": st.builds(v.BenchmarkPlan, U32, U32, FLOAT, FLOAT, FLOAT, U64),
    "job": st.builds(v.Job, TEXT, TEXT, TEXT, U32, I64),
    "slot_change": CHANGE,
    "deployment": st.builds(v.Deployment, TEXT, TEXT, TEXT, TEXT, TEXT, U32, TEXT, I64, several(CHANGE)),
    "deploy_goals": st.builds(
        v.DeployGoals, INPUTS, TEXT, st.booleans(), several(U32), st.none() | FLOAT, st.none() | FLOAT
    ),
    "deploy_checks": st.builds(v.DeployChecks, U64, U64, U64, U64, FLOAT, st.none() | FLOAT, st.none() | FLOAT),
    "push_state": st.builds(v.PushState, st.booleans(), U64),
    "job_event": st.builds(v.JobEvent, U64, st.one_of(*PAYLOADS.values())),
    **PAYLOADS,
}


@pytest.mark.parametrize("name", PAIRS)
@given(data=st.data())
def test_round_trip(name: str, data: st.DataObject) -> None:
    """To the message, to bytes, and back is the same value."""
    value = data.draw(PAIRS[name])
    to_proto, from_proto = getattr(convert, f"{name}_to_proto"), getattr(convert, f"{name}_from_proto")

    message = to_proto(value)
    again = from_proto(type(message).FromString(message.SerializeToString()))

    assert again == value


def test_every_pair_is_tested() -> None:
    """No conversion is left out above, and none has one half only."""
    names = {name.rpartition("_to_proto")[0] for name in dir(convert) if name.endswith("_to_proto")}

    assert names == set(PAIRS)
    assert all(hasattr(convert, f"{name}_from_proto") for name in names)


def test_every_payload_of_an_event_has_a_pair() -> None:
    """The oneof of JobEvent, JobPayload and the table name the same things."""
    fields = {field.name for field in pb.JobEvent.DESCRIPTOR.oneofs_by_name["event"].fields}

    assert fields == set(convert.PAYLOADS) == set(PAYLOADS)
    assert {record for record, _, _ in convert.PAYLOADS.values()} == set(v.JobPayload.__args__)


@pytest.mark.parametrize(
    ("record", "message"),
    [(v.DeviceFacts, pb.DeviceFacts), (v.Loaded, pb.Loaded), (v.Block, pb.Block), (v.Candidate, pb.Candidate),
     (v.Deployment, pb.Deployment), (v.BenchmarkPlan, pb.BenchmarkPlan), (v.Job, pb.Job), (v.Ended, pb.Ended),
     (v.SlotChange, pb.SlotChange), (v.DeployGoals, pb.DeployGoals), (v.DeployChecks, pb.DeployChecks)],
)  # fmt: skip
def test_fields_have_the_same_names(record: type, message: type) -> None:
    """A field added on one side alone does not go unnoticed."""
    assert {f.name for f in dataclasses.fields(record)} == {f.name for f in message.DESCRIPTOR.fields}


def test_unknown_payload_is_an_error() -> None:
    """An event of a newer agent is not mistaken for something else."""
    with pytest.raises(ValueError, match="job event 7"):
        convert.job_event_from_proto(pb.JobEvent(sequence=7))


def test_reading_without_state_says_so() -> None:
    """A reading of a newer kind is unavailable, with a reason."""
    assert convert.reading_from_proto(pb.Reading(name="x")).unavailable == "not reported"
