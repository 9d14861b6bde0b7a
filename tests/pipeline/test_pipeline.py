"""Recipes run from start to a judged file: bounds, goals, falling back, going on, time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgewright.compress.pipeline.registry import RUNNERS
from edgewright.compress.pipeline.run import MadeVariant, RecipeRun
from edgewright.compress.pipeline.training_data import TrainingData
from edgewright.compress.pipeline.work import Stopwatch, allotted
from edgewright.core.recipe import STEPS, Distill, Fp16, Prune, Qat, Quantize, Recipe, Simplify, Step
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Normalization
from tests.pipeline.networks import Setting, setting


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return setting(tmp_path_factory.mktemp("pipeline"))


def make(place: Setting, folder: Path, bound: float, *steps: Step, budget: float = 600.0) -> MadeVariant:
    run = RecipeRun(Recipe("r", steps, bound), place.work(bound), folder / "work", budget)
    return run.finish(folder / "made.onnx")


QUICK = Prune(macs_ratio=0.6, round_share=0.2, sensitivity=False, repair_steps=3, slack=100.0)
SHORT = Distill(steps=6, batch=32, rate=1e-3)


def test_every_step_has_a_runner() -> None:
    """Prune is run by the pipeline itself, all others by a registered function."""
    assert set(RUNNERS) == set(STEPS.values()) - {Prune}


def test_a_whole_recipe(place: Setting, tmp_path: Path) -> None:
    """Simplified, pruned, distilled, INT8, retrained: a smaller Q/DQ file that is judged against the original."""
    made = make(place, tmp_path, 100.0, Simplify(), QUICK, SHORT, Quantize(), Qat(steps=3))

    assert made.met
    bound, ratio = made.facts["goals"]
    assert (bound["goal"], bound["aim"]) == ("drop_points", False)
    assert (ratio["goal"], ratio["asked"], ratio["aim"]) == ("macs_ratio", 0.6, False)
    assert ratio["reached"] <= 0.6
    operators = {node.op_type for node in onnx.load(str(made.path)).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators
    assert made.path.stat().st_size < 0.5 * place.model.stat().st_size
    assert made.facts["pruning"]["chosen_round"] == len(made.facts["pruning"]["rounds"]) - 1
    assert made.facts["distillation"]["steps"] == 6
    assert made.facts["drop"] == pytest.approx(100 * (1 - made.judgement.metric))


def test_the_bound_wins_over_the_goal(place: Setting, tmp_path: Path) -> None:
    """A bound of nothing takes pruning back as far as needed, down to the unpruned network; the goal is missed and
    both are said.
    """
    made = make(place, tmp_path, 0.0, QUICK, Quantize())

    bound, ratio = made.goals
    assert bound.met
    assert not ratio.met
    assert ratio.reached > 0.6
    assert made.facts["goals"][1]["aim"]
    assert "let" in made.facts["stopped_because"]
    assert "asked" not in made.facts["stopped_because"].split(";")[0]


def test_without_time_the_unpruned_network_is_made(place: Setting, tmp_path: Path) -> None:
    """Time for nothing: one round is tried, and as it breaks the bound the network stays unpruned and keeps it."""
    made = make(place, tmp_path, 0.0, QUICK, SHORT, Quantize(methods=("mse",)), budget=0.01)

    assert made.goals[1].reached == 1.0
    assert made.facts["pruning"]["chosen_round"] == 0


def test_a_step_that_was_done_is_not_done_again(place: Setting, tmp_path: Path) -> None:
    """The second run over the same folder takes every result from it and gives the same bytes."""
    first = make(place, tmp_path, 100.0, QUICK, SHORT, Fp16())
    data = first.path.read_bytes()
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.onnx")}

    second = make(place, tmp_path, 100.0, QUICK, SHORT, Fp16())

    assert second.path.read_bytes() == data
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.onnx")} == stamps
    assert json.dumps(first.facts["goals"]) == json.dumps(second.facts["goals"])


def test_pruning_to_a_size(tmp_path: Path) -> None:
    """The file of `size_ratio` has its size within half a percent."""
    wide = setting(tmp_path, width=64)
    made = make(wide, tmp_path, 100.0, Prune(size_ratio=0.5, round_share=0.25, sensitivity=False, repair_steps=0))

    assert abs(made.path.stat().st_size / wide.model.stat().st_size - 0.5) <= 0.0025
    assert made.goals[1].met


def test_without_images_the_next_step_is_named(place: Setting, tmp_path: Path) -> None:
    """Quantising without calibration images is refused before anything is written."""
    import dataclasses

    work = dataclasses.replace(place.work(1.0), calibration=None)
    with pytest.raises(EdgewrightError) as caught:
        RecipeRun(Recipe("r", (Quantize(),), 1.0), work, tmp_path / "work").finish(tmp_path / "made.onnx")
    assert caught.value.code is ErrorCode.DATASET_REQUIRED
    assert "dataset add" in caught.value.hint
    assert not (tmp_path / "made.onnx").exists()


def test_time_is_counted_over_kills(tmp_path: Path) -> None:
    """A stopwatch opened again goes on from what was saved; a step keeps the time it was first given."""
    now = [100.0]
    watch = Stopwatch(tmp_path, lambda: now[0])
    now[0] = 130.0
    watch.save()
    later = Stopwatch(tmp_path, lambda: 5000.0)

    assert later.seconds == 30.0
    assert later.deadline(40.0) == 5010.0
    assert allotted(tmp_path, "step", 12.0) == 12.0
    assert allotted(tmp_path, "step", 3.0) == 12.0


def test_training_batches_are_seeded_and_complete(tmp_path: Path) -> None:
    """The same seed gives the same epoch; every image comes once; labels stay with their images."""
    pixels = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1).repeat(4, axis=1).repeat(4, axis=2)
    np.save(tmp_path / "x.npy", pixels)
    data = TrainingData(tmp_path / "x.npy", Normalization(layout="nchw"), tuple(range(10)))

    first, again, other = (
        [(batch.inputs, batch.labels) for batch in data.batches(5, shift=0.25, flip=True)(seed)] for seed in (1, 1, 2)
    )

    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for (a, _), (b, _) in zip(first, other, strict=True))
    for inputs, labels in first:
        assert inputs.shape == (5, 1, 4, 4)
        assert np.array_equal(inputs[:, 0, 0, 0], labels)
    assert sorted(np.concatenate([labels for _, labels in first])) == list(range(10))
    assert next(data.batches(5, use_labels=False)(0)).labels is None
