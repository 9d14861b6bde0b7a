"""Two commands at once on one home folder do the work once and corrupt nothing."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from edgewright import example
from tests.e2e.program import Program


@pytest.mark.slow
def test_the_same_work_asked_for_twice_at_once_is_done_once(program: Program) -> None:
    """Parallel imports and compressions agree on one model and one variant with one creation time."""
    files = example.files()
    add = ("model", "add", "net", str(files.model), "--spec", files.spec_name, "--dataset", "d")

    def at_once(*arguments: str) -> list[dict[str, Any]]:
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(lambda _: program.json(*arguments), range(3)))

    datasets = at_once("dataset", "add", "d", str(files.dataset))
    models = at_once(*add)
    variants = at_once("compress", "net", "--level", "fp16")

    assert len({document["identity"] for document in datasets}) == 1
    assert len({document["created"] for document in models}) == 1
    assert len({document["variants"][0]["created"] for document in variants}) == 1
    assert len(program.json("model", "list")["models"]) == 1


@pytest.mark.slow
def test_a_killed_command_blocks_nobody(program: Program) -> None:
    """After kill -9 in the middle of an import the same command works at once."""
    files = example.files()
    program.json("dataset", "add", "d", str(files.dataset))
    add = ("model", "add", "net", str(files.model), "--spec", files.spec_name, "--dataset", "d")
    process = subprocess.Popen(program.command(*add), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "preprocessing" in line or "reading" in line:
            break
    process.kill()
    process.wait()
    process.stderr.close()

    assert program.json(*add)["baseline"]["value"] > 0.8
