"""Quantisation-aware training of deployed files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from edgewright.compress.qdq import fused_ops
from edgewright.compress.train.batches import array_batches
from edgewright.compress.train.qat import QatOptions, QuantisedStudent, train_quantised
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.train.networks import classifier, images, judge, perturbed
from tests.train.test_unfold import deployed

TRAINING, HELD_OUT = images(256, 1), images(128, 2)
BATCHES = array_batches(TRAINING, None, 16)
OPTIONS = QatOptions(steps=80, lr=1e-4, scale_lr=1e-3, threads=1, evaluations=4)
# Closeness of the outputs themselves: the classes of this network hardly change.
JUDGE = judge(HELD_OUT, classification=False)


class Reader(CalibrationDataReader):
    def __init__(self) -> None:
        self.batches = iter([TRAINING[:64]])

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"x": batch}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """(a coarse deployed file, its float network): onnxruntime's own quantisation, one scale a tensor, 7 bits."""
    source = classifier(tmp_path / "float.onnx")
    path = tmp_path / "int8.onnx"
    quantize_static(
        source,
        path,
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=False,
        reduce_range=True,
    )
    return path, source


def test_a_coarse_file_comes_closer(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Judged by onnxruntime on other images: 2 dB closer to the float network; graph and fusion are the same."""
    out = tmp_path / "out.onnx"
    made = train_quantised(*pair, BATCHES, JUDGE, OPTIONS, out)

    assert made.improved
    assert made.best.fidelity.sqnr_db > made.start.fidelity.sqnr_db + 2
    before, after = onnx.load(str(pair[0])), onnx.load(str(out))
    assert list(before.graph.node) == list(after.graph.node)
    assert fused_ops(out) == fused_ops(pair[0])
    shapes = [{t.name: (list(t.dims), t.data_type) for t in model.graph.initializer} for model in (before, after)]
    assert shapes[0] == shapes[1]
    numbers = [numpy_helper.to_array(t) for t in after.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert max(int(np.abs(value.astype(int)).max()) for value in numbers) <= 64


def test_a_training_that_harms_gives_the_start_back(tmp_path: Path) -> None:
    """With absurd rates the start wins, byte for byte."""
    source = classifier(tmp_path / "float.onnx")
    quantised = deployed(tmp_path, source, TRAINING[:64])
    options = replace(OPTIONS, lr=0.5, scale_lr=0.5, steps=20)

    made = train_quantised(quantised, source, BATCHES, JUDGE, options, tmp_path / "out.onnx")

    assert not made.improved
    assert (tmp_path / "out.onnx").read_bytes() == quantised.read_bytes()


def test_scales_that_leave_the_numbers_end_the_training(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A scale of 0 or infinity is never written; the training ends with what was best before."""
    options = replace(OPTIONS, scale_lr=1e3, warm_up_steps=0, steps=4, evaluations=4)
    made = train_quantised(*pair, BATCHES, JUDGE, options, tmp_path / "out.onnx")

    assert made.best_step == 0
    assert "diverged by step 1" in made.stopped_because
    assert (tmp_path / "out.onnx").read_bytes() == pair[0].read_bytes()


def test_an_untrained_student_writes_the_same_file(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Through torch and back, projection included, without a step: every byte as it was."""
    student = QuantisedStudent(*pair, 1e-5, 1e-4)
    student.project()
    student.write(tmp_path / "out.onnx")

    assert (tmp_path / "out.onnx").read_bytes() == onnx.load(str(pair[0])).SerializeToString()


def test_scales_and_weights_both_learn(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """After a training, scales of activations and of weights have moved by a few percent at most."""
    train_quantised(*pair, BATCHES, JUDGE, OPTIONS, tmp_path / "out.onnx")
    sides = [
        {t.name: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer if t.name.endswith("_scale")}
        for path in (pair[0], tmp_path / "out.onnx")
    ]
    ratios = {name: float(np.max(sides[1][name] / sides[0][name])) for name in sides[0]}

    assert sum(ratio != 1.0 for ratio in ratios.values()) > 5
    assert all(0.7 < ratio < 1.4 for ratio in ratios.values())


def test_a_killed_training_goes_on(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Interrupted and continued, it ends with the same file."""

    class Killed(Exception):
        pass

    def stop(event: object) -> None:
        if event.text == "training" and event.done == 33:  # type: ignore[attr-defined]
            raise Killed

    options = replace(OPTIONS, save_seconds=1e-6, steps=50)
    arguments = (*pair, BATCHES, JUDGE, options)
    train_quantised(*arguments, tmp_path / "whole.onnx")
    with pytest.raises(Killed):
        train_quantised(*arguments, tmp_path / "out.onnx", stop, tmp_path / "state")
    train_quantised(*arguments, tmp_path / "out.onnx", checkpoint=tmp_path / "state")

    assert (tmp_path / "out.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()


def test_another_teacher_can_be_given(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """The network it was made from gives the weights; the teacher, here a better one, the answers."""
    teacher = perturbed(pair[1], tmp_path / "teacher.onnx", 0.05)
    options = replace(OPTIONS, lr=1e-3)

    made = train_quantised(*pair, BATCHES, JUDGE, options, tmp_path / "out.onnx", teacher=teacher)

    assert made.best.fidelity.sqnr_db > made.start.fidelity.sqnr_db + 2


def test_the_float_network_of_another_is_noticed(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A float file that has none of the weights: the deployed ones are taken, and nothing gets worse."""
    other = classifier(tmp_path / "other.onnx", seed=5)
    student = QuantisedStudent(pair[0], other, 1e-5, 1e-4)
    student.write(tmp_path / "out.onnx")

    assert (tmp_path / "out.onnx").read_bytes() == onnx.load(str(pair[0])).SerializeToString()


@pytest.mark.parametrize("wrong", [{"scale_lr": -1.0}, {"lr": 0.0}])
def test_rates_are_checked(wrong: dict[str, float]) -> None:
    """Named in the message."""
    with pytest.raises(EdgewrightError, match=next(iter(wrong))) as caught:
        QatOptions(steps=5, **wrong)  # type: ignore[arg-type]

    assert caught.value.code == ErrorCode.OPTION_INVALID
