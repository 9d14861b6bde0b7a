"""Tasks by name."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.core.values import OutputSpec, Task
from edgewright.tasks.registry import TASKS, plugin_for
from edgewright_contract.errors import EdgewrightError, ErrorCode


def test_every_task_has_an_entry() -> None:
    """A task without an entry would fail only when used."""
    assert set(TASKS) == set(Task)


def test_classification_scores_images_one_by_one() -> None:
    """Hits are 1, misses 0; answers are classes without the background."""
    plugin = plugin_for("classification")
    assert plugin is not None

    scored = plugin.compute({"y": np.eye(4)[[1, 3]]}, (0, 1), OutputSpec(first_class=1))

    assert (plugin.metric, scored.metric, plugin.needs_labels) == ("top1", "top1", True)
    assert scored.scores.tolist() == [1.0, 0.0]
    assert scored.answers is not None
    assert scored.answers.tolist() == [0, 2]


def test_classification_without_labels_is_refused() -> None:
    """The number of images without a label is given."""
    plugin = plugin_for("classification")
    assert plugin is not None

    with pytest.raises(EdgewrightError) as caught:
        plugin.compute({"y": np.eye(2)}, (0, None), OutputSpec())

    assert caught.value.code is ErrorCode.DATASET_REQUIRED
    assert "1 images have none" in caught.value.message


def test_tensor_networks_have_no_metric() -> None:
    """They are compared with their baseline only."""
    assert plugin_for("tensor") is None


def test_an_unknown_task_lists_the_known_ones() -> None:
    """The allowed names are in the message."""
    with pytest.raises(EdgewrightError) as caught:
        plugin_for("clasification")

    assert caught.value.code is ErrorCode.OPTION_INVALID
    assert "classification, tensor" in caught.value.message
