"""Least-squares repair: exact where it can be, never worse where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgewright.compress.prune.reconstruct import ReconstructOptions, reconstruct
from edgewright.compress.prune.surgery import prune
from edgewright.compress.prune.windows import LinearView
from edgewright.graph.channels.analysis import analyse
from edgewright.graph.session import Array, open_session, run
from tests.prune.networks import SIDE, Builder


def passes(count: int = 8, seed: int = 3) -> Callable[[], Iterator[Array]]:
    rng = np.random.default_rng(seed)
    batches = [rng.normal(size=(4, 3, SIDE, SIDE)).astype(np.float32) for _ in range(count)]
    return lambda: iter(batches)


def two_convolutions(twins: bool) -> onnx.ModelProto:
    """conv 16 - relu - conv 8 - head; with `twins`, channels 8..15 of the first repeat 0..7."""
    net = Builder(seed=1, batch="n")
    first = net.conv("x", 3, 16)
    if twins:
        for tensor in net.tensors[-2:]:
            value = numpy_helper.to_array(tensor).copy()
            value[8:] = value[:8]
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    y = net.conv(str(net.add("Relu", [first])), 16, 8)
    return net.head(str(net.add("Relu", [y])), 8)


def difference(one: Path, other: Path) -> float:
    batch = next(passes(1, seed=9)())
    first, second = (run(open_session(path), {"x": batch})[0] for path in (one, other))
    return float(np.square(first - second).sum() / np.square(first - first.mean(axis=0)).sum())


def cut(model: onnx.ModelProto, folder: Path, channels: list[int]) -> tuple[Path, Path, Path, float, float]:
    """(original, pruned, repaired, loss before, loss after)."""
    original, pruned, repaired = (folder / name for name in ("original.onnx", "pruned.onnx", "repaired.onnx"))
    onnx.save(model, str(original))
    analysis = analyse(original)
    removal = {analysis.groups[0].id: channels}
    prune(original, removal, pruned, analysis)
    reconstruct(original, pruned, removal, analysis, repaired, passes(), ReconstructOptions(sweeps=2))
    return original, pruned, repaired, difference(original, pruned), difference(original, repaired)


def test_redundant_channels_are_made_up_for_completely(tmp_path: Path) -> None:
    """Twins of removed channels take over: what was a large error becomes rounding."""
    _, _, _, before, after = cut(two_convolutions(twins=True), tmp_path, list(range(8, 16)))

    assert before > 0.01
    assert after < 1e-5


def test_other_channels_are_made_up_for_in_part(tmp_path: Path) -> None:
    """Without redundancy the error falls on images that were not seen."""
    _, pruned, repaired, before, after = cut(two_convolutions(twins=False), tmp_path, [0, 3, 5, 6, 9])

    assert after < 0.7 * before
    assert repaired.stat().st_size == pruned.stat().st_size


def test_layers_are_reported_with_their_errors(tmp_path: Path) -> None:
    """The layer that reads the removed channels is refitted, and only that one."""
    onnx.save(two_convolutions(twins=True), str(tmp_path / "net.onnx"))
    analysis = analyse(tmp_path / "net.onnx")
    removal = {analysis.groups[0].id: [8, 9, 10]}
    prune(tmp_path / "net.onnx", removal, tmp_path / "cut.onnx", analysis)

    (refit,) = reconstruct(
        tmp_path / "net.onnx", tmp_path / "cut.onnx", removal, analysis, tmp_path / "out.onnx", passes()
    )

    assert refit.node == "Conv_2"
    assert refit.after < 1e-6 < refit.before


def test_few_images_never_make_a_layer_worse(tmp_path: Path) -> None:
    """One batch, fewer rows than unknowns: the ridge keeps to the present weights."""
    original, pruned, repaired = (tmp_path / f"{name}.onnx" for name in "opr")
    onnx.save(two_convolutions(twins=False), str(original))
    analysis = analyse(original)
    removal = {analysis.groups[0].id: [1, 2]}
    prune(original, removal, pruned, analysis)
    few = ReconstructOptions(rows_per_unknown=0.01, most_rows=8)

    for refit in reconstruct(original, pruned, removal, analysis, repaired, passes(2), few):
        assert refit.after <= refit.before
    assert difference(original, repaired) < 1.5 * difference(original, pruned)


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [1, 1, 1, 1]},
        {"pads": [0, 1, 2, 0], "strides": [2, 1]},
        {"strides": [2, 2], "dilations": [2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
        {"auto_pad": "SAME_LOWER", "strides": [3, 1]},
        {"auto_pad": "VALID", "strides": [3, 2]},
    ],
)
def test_windows_are_those_of_the_runtime(attributes: dict[str, object], tmp_path: Path) -> None:
    """Rows times the flat weight plus bias is what onnxruntime computes, for every kind of padding and stride."""
    net = Builder(seed=2, batch="n")
    weight, bias = net.weight(5, 3, 3, 2), net.constant(net.rng.normal(size=5), np.float32)
    y = net.add("Conv", ["x", weight, bias], **attributes)
    model = net.model(str(y), ["n", 5, "h", "w"])
    onnx.save(model, str(tmp_path / "net.onnx"))
    batch = next(passes(1)())
    made = run(open_session(tmp_path / "net.onnx"), {"x": batch})[0]
    view = LinearView(model.graph.node[0], (5, 3, 3, 2))

    inputs, outputs = view.rows(batch, made, 10, np.random.default_rng(0))

    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert np.allclose(inputs @ view.flat(tensors[weight]) + tensors[bias], outputs, atol=1e-4)
    assert np.array_equal(view.unflat(view.flat(tensors[weight]), (5, 3, 3, 2)), tensors[weight])


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm_rows(transposed: int) -> None:
    """Both layouts of a Gemm's weight."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(5, 7) if transposed else (7, 5))
    x = rng.normal(size=(20, 7))
    y = x @ (weight.T if transposed else weight)
    view = LinearView(helper.make_node("Gemm", ["x", "w"], ["y"], transB=transposed), weight.shape)

    inputs, outputs = view.rows(x, y, 1, rng)

    assert np.allclose(inputs @ view.flat(weight), outputs)
    assert np.array_equal(view.unflat(view.flat(weight), weight.shape), weight)
