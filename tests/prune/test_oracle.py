"""The oracle: it passes what is right, refuses what is wrong, and knows when it proves nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgewright.compress.prune.float64 import run_float64
from edgewright.compress.prune.oracle import OracleKind, check_pruning, pruning_feeds
from edgewright.compress.prune.surgery import prune
from edgewright.graph.channels.analysis import analyse
from edgewright.graph.model_file import load_model
from edgewright.graph.session import open_session, run
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.prune.networks import NETWORKS, Builder, faint, mobile, residual, saved, speaking


def _half(path: Path) -> dict[str, list[int]]:
    return {group.id: list(range(group.size // 2)) for group in analyse(path).groups}


def test_the_wrong_channels_are_noticed(tmp_path: Path) -> None:
    """A file that lacks other channels than it claims is refused."""
    original = saved(residual(), tmp_path)
    pruned = tmp_path / "pruned.onnx"
    [first, *_] = analyse(original).groups
    prune(original, {first.id: [0, 1]}, pruned)

    with pytest.raises(EdgewrightError) as caught:
        check_pruning(original, {first.id: [2, 3]}, pruned, pruning_feeds(load_model(original)))

    assert caught.value.code is ErrorCode.COMPRESSION_FAILED
    assert "differs from the original" in caught.value.message


def test_one_wrong_weight_is_noticed(tmp_path: Path) -> None:
    """One changed weight in the pruned file is enough."""
    original = saved(mobile(), tmp_path)
    removal = _half(original)
    pruned = tmp_path / "pruned.onnx"
    prune(original, removal, pruned)
    model = load_model(pruned)
    tensor = model.graph.initializer[0]
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] += 0.5
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    pruned.write_bytes(model.SerializeToString())

    with pytest.raises(EdgewrightError, match="differs from the original"):
        check_pruning(original, removal, pruned, pruning_feeds(model))


def test_channels_that_speak_when_zeroed_need_their_readers_zeroed(tmp_path: Path) -> None:
    """A scalar added after the convolution makes the plain oracle inapplicable; the result says so."""
    original = saved(speaking(), tmp_path)
    removal = _half(original)
    prune(original, removal, tmp_path / "pruned.onnx")

    result = check_pruning(original, removal, tmp_path / "pruned.onnx", pruning_feeds(load_model(original)))

    assert result.kind is OracleKind.BOTH
    assert result.precision == "float32"


def test_hidden_branches_are_proven_on_a_twin(tmp_path: Path) -> None:
    """A layer scale of 1e-6 hides the removal; twins with factors of 0.5 to 1 prove it."""
    original = saved(faint(), tmp_path)
    removal = _half(original)
    prune(original, removal, tmp_path / "pruned.onnx")

    result = check_pruning(original, removal, tmp_path / "pruned.onnx", pruning_feeds(load_model(original)))

    assert result.twin
    assert result.moved > 0.01


def test_a_branch_folded_into_a_faint_convolution_is_proven_too(tmp_path: Path) -> None:
    """The layer scale may have been folded into the weights."""
    b = Builder()
    x = b.conv("x", 3, 8)
    weight = b.weight(8, 32, 1, 1, scale=1e-6)
    branch = b.add("Conv", [b.add("Relu", [b.conv(x, 8, 32, 1)]), weight])
    original = saved(b.model(b.add("Add", [x, branch]), [1, 8, 8, 8]), tmp_path)
    removal = _half(original)
    prune(original, removal, tmp_path / "pruned.onnx")

    assert check_pruning(original, removal, tmp_path / "pruned.onnx", pruning_feeds(load_model(original))).twin


def test_a_faint_branch_is_proven_beside_a_loud_one(tmp_path: Path) -> None:
    """What moves the outputs elsewhere does not hide that one branch is too faint to be seen."""
    b = Builder()
    x = b.add("Relu", [b.conv(b.conv("x", 3, 8), 8, 8)])
    branch = b.conv(b.add("Relu", [b.conv(x, 8, 32, 1)]), 32, 8, 1)
    x = b.add("Add", [x, b.add("Mul", [branch, b.constant(np.full((8, 1, 1), 1e-6), np.float32)])])
    original = saved(b.head(x, 8), tmp_path)
    removal = _half(original)
    prune(original, removal, tmp_path / "pruned.onnx")

    assert check_pruning(original, removal, tmp_path / "pruned.onnx", pruning_feeds(load_model(original))).twin


def test_channels_that_nobody_hears_are_proven_on_a_twin(tmp_path: Path) -> None:
    """Readers of exact zeros hear nothing; with random weights they do."""
    b = Builder()
    x = b.conv("x", 3, 8)
    y = b.add("Conv", [x, b.constant(np.zeros((5, 8, 1, 1)), np.float32)])
    y = b.add("Add", [y, b.conv("x", 3, 5)])
    original = saved(b.model(y, [1, 5, 8, 8]), tmp_path)
    removal = _half(original)
    prune(original, removal, tmp_path / "pruned.onnx")

    assert check_pruning(original, removal, tmp_path / "pruned.onnx", pruning_feeds(load_model(original))).twin


def test_dead_channels_beside_living_ones_are_proven_on_a_twin(tmp_path: Path) -> None:
    """One group moves the outputs; the other's removed channels never pass their Relu."""
    b = Builder()
    bias = b.constant([-100.0, -100.0, 0.1, 0.1, 0.1, 0.1], np.float32)
    dead = b.add("Relu", [b.add("Conv", ["x", b.weight(6, 3, 1, 1), bias])])
    alive = b.add("Relu", [b.conv("x", 3, 6)])
    y = b.add("Add", [b.conv(dead, 6, 5), b.conv(alive, 6, 5)])
    original = saved(b.model(y, [1, 5, 8, 8]), tmp_path)
    removal = {group.id: [0, 1] for group in analyse(original).groups}
    prune(original, removal, tmp_path / "pruned.onnx")

    assert check_pruning(original, removal, tmp_path / "pruned.onnx", pruning_feeds(load_model(original))).twin


def test_a_vacuous_check_is_refused(tmp_path: Path) -> None:
    """A branch times a written zero moves nothing, whatever its weights."""
    b = Builder()
    y = b.conv(b.conv("x", 3, 8), 8, 5)
    y = b.add("Add", [b.add("Mul", [y, b.constant(0.0, np.float32)]), b.conv("x", 3, 5)])
    original = saved(b.model(y, [1, 5, 8, 8]), tmp_path)
    removal = _half(original)
    prune(original, removal, tmp_path / "pruned.onnx")

    with pytest.raises(EdgewrightError, match="proves nothing: the outputs do not move"):
        check_pruning(original, removal, tmp_path / "pruned.onnx", pruning_feeds(load_model(original)))


def test_nothing_removed_is_nothing_checked(tmp_path: Path) -> None:
    """An empty removal is refused rather than passed."""
    original = saved(residual(), tmp_path)

    with pytest.raises(EdgewrightError, match="no channel is removed"):
        check_pruning(original, {}, original, pruning_feeds(load_model(original)))


def test_open_batch_is_checked_with_two() -> None:
    """Where the graph leaves the batch open, one of the inputs has two samples."""
    assert [feed["x"].shape[0] for feed in pruning_feeds(mobile())] == [1, 1, 2]
    assert [feed["x"].shape[0] for feed in pruning_feeds(residual())] == [1, 1]


@pytest.mark.parametrize("name", NETWORKS)
def test_float64_agrees_with_onnxruntime(name: str, tmp_path: Path) -> None:
    """The float64 run computes the same network, to float32's rounding."""
    model = NETWORKS[name]()
    feed = pruning_feeds(model)[0]

    wide = run_float64(model, feed)

    for expected, actual in zip(run(open_session(saved(model, tmp_path), 1), feed), wide, strict=True):
        assert actual.dtype == np.float64
        np.testing.assert_allclose(actual, expected, atol=2e-5 * np.abs(expected).max())


def test_float64_pools_and_dilations(tmp_path: Path) -> None:
    """Strides, dilations, asymmetric pads, ceil mode and averaged padding as onnxruntime does them."""
    b = Builder()
    x = b.add("Conv", ["x", b.weight(6, 3, 3, 2)], strides=[2, 1], dilations=[1, 3], pads=[1, 0, 2, 1])
    x = b.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    x = b.add("AveragePool", [x], kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=0)
    x = b.add("AveragePool", [x], kernel_shape=[2, 2], pads=[0, 0, 1, 1], count_include_pad=1)
    x = b.add("Conv", [x, b.weight(6, 1, 3, 3)], group=6, auto_pad="SAME_UPPER", strides=[2, 2])
    model = b.model(x, [1, 6, None, None])  # type: ignore[list-item]
    feed = pruning_feeds(model)[0]

    [wide] = run_float64(model, feed)

    onnx.checker.check_model(model)
    [expected] = run(open_session(saved(model, tmp_path), 1), feed)
    np.testing.assert_allclose(wide, expected, atol=1e-6)
