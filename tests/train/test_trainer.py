"""The trainer on small networks: what it reaches, what it refuses, and that nothing is lost."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgewright.compress.train.batches import Batch, array_batches
from edgewright.compress.train.options import TrainOptions
from edgewright.compress.train.result import TrainedModel
from edgewright.compress.train.trainer import train
from edgewright.core.values import ProgressEvent
from edgewright.graph.session import open_session
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.train.networks import classifier, detector, images, judge, perturbed, save

TRAINING, HELD_OUT = images(256, 1), images(96, 2)
OPTIONS = TrainOptions(steps=60, lr=3e-3, threads=1, evaluations=4)
BATCHES = array_batches(TRAINING, None, 16)


def answers(path: Path, data: np.ndarray) -> np.ndarray:
    return open_session(path, 1).run(None, {"x": data})[0]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """(damaged student, teacher)."""
    teacher = classifier(tmp_path / "teacher.onnx")
    return perturbed(teacher, tmp_path / "student.onnx", 0.4), teacher


def trained(
    pair: tuple[Path, Path], destination: Path, options: TrainOptions = OPTIONS, **others: object
) -> TrainedModel:
    arguments = {"batches": BATCHES, "judge": judge(HELD_OUT), **others}
    return train(pair[0], pair[1], options=options, destination=destination, **arguments)  # type: ignore[arg-type]


def test_distillation_repairs_a_damaged_network(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Without labels, on images it is not judged by, the divergence falls to less than a tenth."""
    made = trained(pair, tmp_path / "out.onnx", replace(OPTIONS, steps=150))

    assert made.improved
    assert made.alpha == 1.0
    assert made.best.fidelity.divergence is not None
    assert made.start.fidelity.divergence is not None
    assert made.best.fidelity.divergence < 0.1 * made.start.fidelity.divergence
    assert made.executor_difference < 1e-4
    assert made.features == ("r2", "p")
    assert made.stopped_because == "all steps are done"
    fresh, teacher = answers(tmp_path / "out.onnx", images(50, 9)), answers(pair[1], images(50, 9))
    assert np.abs(fresh - teacher).mean() < 0.3 * np.abs(answers(pair[0], images(50, 9)) - teacher).mean()


def test_the_file_differs_in_weights_alone(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Nodes, names and shapes are those of the student."""
    trained(pair, tmp_path / "out.onnx")
    before, after = onnx.load(str(pair[0])), onnx.load(str(tmp_path / "out.onnx"))

    assert list(before.graph.node) == list(after.graph.node)
    assert [(t.name, list(t.dims)) for t in before.graph.initializer] == [
        (t.name, list(t.dims)) for t in after.graph.initializer
    ]


def test_a_training_that_harms_gives_the_start_back(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """With an absurd rate every judged network is worse: the file written is the start, byte for byte."""
    made = trained((pair[1], pair[1]), tmp_path / "out.onnx", replace(OPTIONS, lr=0.5))

    assert not made.improved
    assert made.best == made.start
    assert (tmp_path / "out.onnx").read_bytes() == pair[1].read_bytes()


def test_labels_teach_what_the_teacher_does_not_know(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A teacher of other weights than the one that made the labels: with labels, the student surpasses it."""
    truth = classifier(tmp_path / "truth.onnx", seed=0)
    teacher = perturbed(truth, tmp_path / "poor.onnx", 0.5, seed=11)
    middle = answers(truth, TRAINING).mean(axis=0)
    labels, held = ((answers(truth, data) - middle).argmax(axis=1) for data in (TRAINING, HELD_OUT))
    options = replace(OPTIONS, steps=200, alpha=0.3)

    made = trained(
        (teacher, teacher),
        tmp_path / "out.onnx",
        options,
        batches=array_batches(TRAINING, labels, 16),
        judge=judge(HELD_OUT, held),
    )

    assert made.alpha == 0.3
    assert made.best.metric is not None
    assert made.start.metric is not None
    assert made.best.metric > made.start.metric + 0.05


def test_networks_exported_for_one_image_and_for_regression(tmp_path: Path) -> None:
    """A detector of fixed batch 1: gradients add up over a batch, boxes and scores both come back."""
    teacher = detector(tmp_path / "teacher.onnx")
    student = perturbed(teacher, tmp_path / "student.onnx", 0.3)

    options = replace(OPTIONS, lr=3e-2)
    made = trained((student, teacher), tmp_path / "out.onnx", options, judge=judge(HELD_OUT, classification=False))

    assert made.best.fidelity.sqnr_db > made.start.fidelity.sqnr_db + 5
    found = [
        open_session(path, 1).run(None, {"x": HELD_OUT[:1]})[1] for path in (student, tmp_path / "out.onnx", teacher)
    ]
    assert np.abs(found[1] - found[2]).max() < 0.5 * np.abs(found[0] - found[2]).max()


def test_batch_statistics_are_renewed_when_asked(tmp_path: Path) -> None:
    """A network with BatchNormalization: its running mean follows the images, or stays where it was."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(0, 0.4, (4, 3, 3, 3)), "gamma": np.ones(4), "beta": np.zeros(4)}
    weights |= {"mean": np.full(4, 0.5), "var": np.ones(4), "head": rng.normal(0, 1, (4, 5))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "gamma", "beta", "mean", "var"], ["n"], "norm"),
        helper.make_node("Relu", ["n"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("MatMul", ["f", "head"], ["y"], "head_product"),
    ]
    net = save(tmp_path / "net.onnx", nodes, weights, [("y", ["n", 5])], "n")
    teacher = perturbed(net, tmp_path / "teacher.onnx", 0.1)
    means = []
    for renew in (False, True):
        made = trained((net, teacher), tmp_path / "out.onnx", replace(OPTIONS, lr=1e-2, batch_statistics=renew))
        held = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(tmp_path / "out.onnx")).graph.initializer}
        means.append(held["mean"])
        assert made.improved

    assert np.array_equal(means[0], np.full(4, 0.5, np.float32))
    assert np.abs(means[1] - 0.5).min() > 0.1


def test_parts_of_a_batch_give_the_gradient_of_the_whole(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """micro_batch saves memory and changes nothing but rounding."""
    whole = trained(pair, tmp_path / "a.onnx")
    parts = trained(pair, tmp_path / "b.onnx", replace(OPTIONS, micro_batch=5))

    assert parts.best.fidelity.divergence == pytest.approx(whole.best.fidelity.divergence, rel=0.05)


def test_features_can_be_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Asked for by the teacher's names; an empty list matches outputs alone."""
    named = trained(pair, tmp_path / "a.onnx", replace(OPTIONS, features=("c2",)))
    none = trained(pair, tmp_path / "a.onnx", replace(OPTIONS, features=()))

    assert named.features == ("c2",)
    assert none.features == ()


def test_the_budget_is_kept(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Judging and writing included, the time is used and not exceeded by more than a tenth."""
    budget = 4.0
    began = time.monotonic()
    made = trained(pair, tmp_path / "out.onnx", TrainOptions(budget_seconds=budget, lr=3e-3, threads=1))
    seconds = time.monotonic() - began

    assert 0.6 * budget < seconds < 1.1 * budget
    assert made.stopped_because == "the time is used up"
    assert made.steps > 20
    assert made.improved


def test_a_budget_too_small_for_a_step_keeps_the_start(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Nothing was trained, and it says so."""
    made = trained(pair, tmp_path / "out.onnx", replace(OPTIONS, budget_seconds=1e-3))

    assert made.steps == 0
    assert "before the first step" in made.stopped_because
    assert (tmp_path / "out.onnx").read_bytes() == pair[0].read_bytes()


def test_epochs_are_counted(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Two and a half passes over 16 batches are 40 steps, and progress is told against them."""
    events: list[ProgressEvent] = []
    made = trained(pair, tmp_path / "out.onnx", TrainOptions(epochs=2.5, threads=1), progress=events.append)

    assert made.steps == made.planned_steps == 40
    assert made.epochs == 2
    assert [event.done for event in events if event.text == "training"] == list(range(1, 41))
    assert all(event.total == 40 for event in events if event.text == "training")


def test_nan_on_the_way_keeps_the_best_so_far(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Images that turn to infinity after a while end the training; what was good by then is written."""

    def spoiled(seed: int) -> object:
        for place, batch in enumerate(BATCHES(seed)):
            late = place > 9
            yield Batch(np.where(late, np.float32(3e38), batch.inputs).astype(np.float32)) if late else batch

    with pytest.raises(EdgewrightError) as caught:
        trained(pair, tmp_path / "out.onnx", batches=spoiled)

    assert caught.value.code == ErrorCode.MODEL_NOT_FINITE
    assert "teacher" in caught.value.message
    assert not (tmp_path / "out.onnx").exists()


def test_a_student_that_overflows_stops(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Weights driven to where the loss is no number: the training ends early and says why, the start is kept."""
    made = trained(pair, tmp_path / "out.onnx", replace(OPTIONS, lr=1e6, warm_up_steps=0, steps=40))

    assert "NaN or infinite" in made.stopped_because
    assert made.steps < 40
    assert (tmp_path / "out.onnx").read_bytes() == pair[0].read_bytes()


def test_nan_weights_are_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A student with NaN in it cannot be trained; nothing is written."""
    model = onnx.load(str(pair[0]))
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "w2")
    value = numpy_helper.to_array(tensor).copy()
    value[0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(value, "w2"))
    onnx.save(model, str(pair[0]))

    with pytest.raises(EdgewrightError) as caught:
        trained(pair, tmp_path / "out.onnx")

    assert caught.value.code == ErrorCode.MODEL_NOT_FINITE
    assert not (tmp_path / "out.onnx").exists()


def test_labels_asked_for_and_not_there(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """alpha below 1 without labels names the option and the way out; nothing is left behind."""
    before = sorted(tmp_path.iterdir())
    with pytest.raises(EdgewrightError, match="alpha is") as caught:
        trained(pair, tmp_path / "out.onnx", replace(OPTIONS, alpha=0.5))

    assert caught.value.code == ErrorCode.OPTION_INVALID
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("names", [("nothing",), ("c1", "nothing")])
def test_unknown_features_are_refused(pair: tuple[Path, Path], tmp_path: Path, names: tuple[str, ...]) -> None:
    """A tensor that one side lacks is named."""
    with pytest.raises(EdgewrightError, match="nothing") as caught:
        trained(pair, tmp_path / "out.onnx", replace(OPTIONS, features=names))

    assert caught.value.code == ErrorCode.OPTION_INVALID


def test_images_of_a_wrong_size_are_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """onnxruntime's reason reaches the user."""
    with pytest.raises(EdgewrightError) as caught:
        trained(pair, tmp_path / "out.onnx", batches=array_batches(images(32)[:, :2], None, 8))

    assert caught.value.code == ErrorCode.MODEL_UNRUNNABLE


def test_the_rate_is_found_by_trying(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Without `lr`, a repair finds a large one; a network that is right already gets a small one. Both repeatably."""
    options = TrainOptions(steps=240, threads=1, evaluations=2)

    made = trained(pair, tmp_path / "a.onnx", options)
    again = trained(pair, tmp_path / "b.onnx", options)
    perfect = trained((pair[1], pair[1]), tmp_path / "c.onnx", options)

    assert made.lr >= 1e-3
    assert perfect.lr == pytest.approx(1e-4)
    assert made.improved
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert made.lr == again.lr
