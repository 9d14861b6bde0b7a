"""What a peer may ask for, at the edges of each limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable

import pytest

from edgewright_contract import limits
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import BenchmarkPlan, Candidate, InputSet, Normalization

SHA = "0123456789abcdef" * 4
CANDIDATE = Candidate("lite0@acc1", SHA, "onnx", "onnxruntime", 1)
NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (limits.check_name, "a"),
        (limits.check_name, "A1._-" + "z" * 59),
        (limits.check_label, "lite0@my-recipe"),
        (limits.check_request_id, "12345678"),
        (limits.check_sha256, SHA),
        (limits.check_artifact_size, 1),
        (limits.check_artifact_size, limits.ARTIFACT_BYTES_MAX),
        (limits.check_candidate, CANDIDATE),
        (limits.check_candidate, replace(CANDIDATE, threads=limits.THREADS_MAX)),
        (limits.check_candidates, (CANDIDATE, replace(CANDIDATE, label="other"))),
        (limits.check_normalization, Normalization()),
        (limits.check_normalization, Normalization((0.0,), (1.0, 2.0, 3.0), "nchw")),
        (limits.check_input_set, InputSet(SHA)),
        (limits.check_plan, BenchmarkPlan()),
        (limits.check_plan, BenchmarkPlan(1, 1, 0.001, 0.001, 0.0, 2**64 - 1)),
    ],
)
def test_allowed(check: Callable[[Any], object], value: object) -> None:
    """What is inside the limits passes."""
    check(value)


@pytest.mark.parametrize(
    ("check", "value", "says"),
    [
        (limits.check_name, "", "''"),
        (limits.check_name, "a" * 65, "64"),
        (limits.check_name, "../etc", "letters"),
        (limits.check_name, ".hidden", "letters"),
        (limits.check_name, "a\n", "letters"),
        (limits.check_label, "a/b", "a/b"),
        (limits.check_request_id, "short", "8 to 64"),
        (limits.check_sha256, SHA.upper(), "lower-case"),
        (limits.check_sha256, SHA[:-1], "64"),
        (limits.check_sha256, SHA + "\n", "64"),
        (limits.check_artifact_size, 0, "1 to"),
        (limits.check_artifact_size, limits.ARTIFACT_BYTES_MAX + 1, "1 to"),
        (limits.check_candidate, replace(CANDIDATE, format="pickle"), "onnx, tflite"),
        (limits.check_candidate, replace(CANDIDATE, threads=0), "1 to 256"),
        (limits.check_candidate, replace(CANDIDATE, runtime="os.system('x')"), "letters"),
        (limits.check_candidates, (), "1 to 32"),
        (limits.check_candidates, (CANDIDATE,) * 33, "1 to 32"),
        (limits.check_candidates, (CANDIDATE, CANDIDATE), "each label once"),
        (limits.check_normalization, Normalization((NAN,)), "finite"),
        (limits.check_normalization, Normalization((), (0.0,)), "other than 0"),
        (limits.check_normalization, Normalization((1.0, 2.0), (1.0, 2.0, 3.0)), "as many"),
        (limits.check_normalization, Normalization(layout="nhcw"), "nchw"),
        (limits.check_normalization, Normalization((1.0,) * 4097), "4096"),
        (limits.check_plan, BenchmarkPlan(processes=0), "1 to 64"),
        (limits.check_plan, BenchmarkPlan(blocks=10_001), "10000"),
        (limits.check_plan, BenchmarkPlan(block_seconds=NAN), "0.001 to 5"),
        (limits.check_plan, BenchmarkPlan(max_seconds=INFINITY), "86400"),
        (limits.check_plan, BenchmarkPlan(warmup_seconds=-1.0), "0 to 600"),
    ],
)
def test_refused(check: Callable[[Any], object], value: object, says: str) -> None:
    """What is outside is REQUEST_INVALID, saying the value or what is allowed."""
    with pytest.raises(EdgewrightError) as caught:
        check(value)

    assert caught.value.code is ErrorCode.REQUEST_INVALID
    assert says in caught.value.message


def test_a_huge_value_is_not_repeated_whole() -> None:
    """A message stays readable whatever was sent."""
    with pytest.raises(EdgewrightError) as caught:
        limits.check_name("x" * 1_000_000)

    assert len(caught.value.message) < 400
