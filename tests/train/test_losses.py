"""The distillation losses, against formulas written out in numpy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from edgewright.compress.train.losses import (
    DistillationLoss,
    Weights,
    attention_error,
    channel_variance,
    logit_error,
    matched_error,
    soft_divergence,
)
from edgewright_contract.errors import EdgewrightError, ErrorCode

RNG = np.random.default_rng(3)
STUDENT, TEACHER = (torch.from_numpy(RNG.normal(0, 2, (6, 4)).astype(np.float32)) for _ in range(2))


def loss_for(outputs: list[torch.Tensor], classification: bool = True, **weights: float) -> DistillationLoss:
    chosen = {"temperature": 1.0, "alpha": 1.0, "logits": 0.0, "features": 0.0, **weights}
    return DistillationLoss(outputs, {}, classification, Weights(**chosen))


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_soft_divergence_is_hintons(temperature: float) -> None:
    """T^2 times the KL divergence of softened probabilities, mean over samples."""
    p = softmax(TEACHER.numpy() / temperature, axis=1)
    logs = log_softmax(TEACHER.numpy() / temperature, axis=1) - log_softmax(STUDENT.numpy() / temperature, axis=1)

    found = float(soft_divergence(STUDENT, TEACHER, temperature))

    assert found == pytest.approx(temperature**2 * (p * logs).sum(axis=1).mean(), rel=1e-5)


def test_logit_error_is_relative() -> None:
    """The mean square of the difference, measured against the teacher's own spread."""
    expected = np.square(STUDENT.numpy() - TEACHER.numpy()).mean() / 2

    assert float(logit_error(STUDENT, TEACHER, 2.0)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(6, 4), (2, 30, 5), (2, 5, 30), (2, 5, 3, 3)])
def test_a_perfect_student_has_no_loss(shape: tuple[int, ...]) -> None:
    """Equal outputs of any rank cost nothing, and others cost something."""
    teacher = torch.from_numpy(RNG.normal(0, 1, shape).astype(np.float32))
    loss = loss_for([teacher], classification=False)

    assert float(loss([teacher], {}, [teacher], {}, None)) == 0.0
    assert float(loss([teacher + 1], {}, [teacher], {}, None)) > 0.1


def test_matched_outputs_weigh_boxes_and_scores_alike() -> None:
    """An error of one standard deviation costs the same in a channel of pixels and in one of probabilities."""
    teacher = torch.from_numpy(RNG.normal(0, 1, (4, 50, 3)) * np.array([100.0, 1.0, 0.01]))
    variance = channel_variance(teacher)
    off = [
        float(matched_error(teacher + step, teacher, variance)) for step in torch.diag(torch.tensor([100.0, 1.0, 0]))
    ]

    assert variance.shape == (1, 1, 3)
    assert off[0] == pytest.approx(off[1], rel=0.3)
    assert float(variance[0, 0, 2]) == pytest.approx(1.0, rel=0.3), "a channel that hardly varies is not blown up"


def test_attention_compares_networks_of_other_widths() -> None:
    """Maps of 8 and of 16 channels are equal when the second repeats the first."""
    narrow = torch.from_numpy(RNG.normal(0, 1, (3, 8, 4, 4)).astype(np.float32))

    assert float(attention_error(torch.cat([narrow, narrow], dim=1), narrow)) == pytest.approx(0.0, abs=1e-10)
    assert float(attention_error(narrow.flip(2), narrow)) > 0.01


def test_probabilities_are_told_from_logits() -> None:
    """A network that ends in Softmax has the loss of the same one without."""
    logits = loss_for([TEACHER])([STUDENT], {}, [TEACHER], {}, None)
    ready = [torch.softmax(side, dim=1) for side in (STUDENT, TEACHER)]
    loss = loss_for([ready[1]])

    assert loss.probabilities
    assert float(loss([ready[0]], {}, [ready[1]], {}, None)) == pytest.approx(float(logits), rel=1e-3)


def test_alpha_mixes_labels_in() -> None:
    """alpha = 0 is cross-entropy alone; between, the weighted sum."""
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    entropy = -log_softmax(STUDENT.numpy(), axis=1)[np.arange(6), labels.numpy()].mean()
    soft = float(loss_for([TEACHER])([STUDENT], {}, [TEACHER], {}, None))

    hard = float(loss_for([TEACHER], alpha=0.0)([STUDENT], {}, [TEACHER], {}, labels))
    mixed = float(loss_for([TEACHER], alpha=0.25)([STUDENT], {}, [TEACHER], {}, labels))

    assert hard == pytest.approx(entropy, rel=1e-5)
    assert mixed == pytest.approx(0.25 * soft + 0.75 * hard, rel=1e-5)


@pytest.mark.parametrize(
    "labels", [torch.tensor([0, 1, 2, 3, 4, 0]), torch.tensor([0, -1, 0, 0, 0, 0]), torch.zeros(5).long()]
)
def test_labels_that_do_not_fit_are_refused(labels: torch.Tensor) -> None:
    """Classes that do not exist and a wrong number of labels are said with the allowed range."""
    with pytest.raises(EdgewrightError, match="do not fit scores") as caught:
        loss_for([TEACHER], alpha=0.5)([STUDENT], {}, [TEACHER], {}, labels)

    assert caught.value.code == ErrorCode.LABEL_INVALID


def test_integers_cannot_be_matched() -> None:
    """A network whose outputs are all integers is refused, for no gradient passes."""
    with pytest.raises(EdgewrightError) as caught:
        loss_for([torch.zeros(2, 3, dtype=torch.int64)], classification=False)

    assert caught.value.code == ErrorCode.COMPRESSION_FAILED
