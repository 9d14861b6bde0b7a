"""Surgery: random channels of every small network are cut, and the oracle holds."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from edgewright.compress.prune.oracle import NOTICEABLE, TOLERANCE, check_pruning, pruning_feeds
from edgewright.compress.prune.surgery import prune
from edgewright.graph.channels.analysis import ChannelAnalysis, analyse
from edgewright.graph.cost import count_parameters
from edgewright.graph.model_file import load_model
from edgewright.graph.session import open_session, run
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.prune.networks import NETWORKS, Builder, attention, mobile, residual, saved


@cache
def _analysed(name: str) -> tuple[onnx.ModelProto, ChannelAnalysis]:
    model = NETWORKS[name]()
    return model, analyse(model)


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_random_removals_pass_the_oracle(name: str, data: st.DataObject) -> None:
    """Any channels of any groups, as long as one of each group stays, leave what the zeroed original computes."""
    model, analysis = _analysed(name)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    removal: dict[str, list[int]] = {}
    for group in analysis.groups:
        count = int(data.draw(st.floats(0, 0.99)) * group.size)
        removal[group.id] = rng.permutation(group.size)[:count].tolist()
    with tempfile.TemporaryDirectory() as folder:
        original = saved(model, Path(folder))
        pruned = Path(folder) / "pruned.onnx"
        made = prune(original, removal, pruned, analysis)
        if not made.channels:
            return
        result = check_pruning(original, removal, pruned, pruning_feeds(model), analysis)

    assert result.error <= TOLERANCE
    assert result.moved >= NOTICEABLE


@pytest.mark.parametrize("name", NETWORKS)
def test_pruned_size_is_as_predicted(name: str, tmp_path: Path) -> None:
    """One channel of one group takes exactly the parameters that the group promises."""
    model, analysis = _analysed(name)
    original = saved(model, tmp_path)

    for group in analysis.groups:
        made = prune(original, {group.id: [0]}, tmp_path / "pruned.onnx", analysis)
        inner = sum(
            1
            for one in group.producers
            for other in group.consumers
            if (one.tensor, one.number) == (other.tensor, other.number)
        )
        if not inner:  # a weight that is cut on both axes loses the crossing only once
            assert count_parameters(model) - made.parameters == group.parameters
        assert made.parameters == count_parameters(load_model(made.path))
        assert made.size_bytes == made.path.stat().st_size


def test_pruned_file_takes_any_batch(tmp_path: Path) -> None:
    """A network with an open batch keeps it open."""
    original = saved(mobile(), tmp_path)
    analysis = analyse(original)
    made = prune(original, {group.id: [0, 1] for group in analysis.groups}, tmp_path / "pruned.onnx", analysis)

    session = open_session(made.path, threads=1)
    for batch in (1, 3):
        [y] = run(session, {"x": np.ones((batch, 3, 8, 8), np.float32)})
        assert y.shape == (batch, 5)


def test_computed_shapes_are_overruled_only_where_needed(tmp_path: Path) -> None:
    """Removing a head changes a size that the graph reads from elsewhere; removing hidden units does not."""
    original = saved(attention(), tmp_path)
    analysis = analyse(original)
    heads, hidden = analysis.groups

    cut = load_model(prune(original, {heads.id: [1]}, tmp_path / "heads.onnx", analysis).path)
    narrow = load_model(prune(original, {hidden.id: [1]}, tmp_path / "hidden.onnx", analysis).path)

    assert sum(node.op_type == "Where" for node in cut.graph.node) == 1
    assert not any(node.op_type == "Where" for node in narrow.graph.node)


@pytest.mark.parametrize("name", NETWORKS)
def test_pruning_goes_on_in_rounds(name: str, tmp_path: Path) -> None:
    """A pruned file has the same groups, narrower, and can be cut and proven again; overruled shapes stay as few."""
    model, analysis = _analysed(name)
    path = saved(model, tmp_path)
    sizes = {group.id: group.size for group in analysis.groups}
    for index in range(2):
        removal = {group.id: [0] for group in analysis.groups if group.size > 2}
        made = prune(path, removal, tmp_path / f"round{index}.onnx", analysis).path
        check_pruning(path, removal, made, pruning_feeds(model), analysis)
        path, analysis = made, analyse(made)
        sizes = {group: size - (group in removal) for group, size in sizes.items()}
        assert {group.id: group.size for group in analysis.groups} == sizes

    wheres = [node for node in load_model(path).graph.node if node.op_type == "Where"]
    assert len(wheres) == {"attention": 1, "measured": 4}.get(name, 0)


def test_shared_bias_is_cloned_for_the_layer_that_shrinks(tmp_path: Path) -> None:
    """Exporters store equal biases once; cutting one layer leaves the other's bias whole."""
    b = Builder()
    bias = b.constant(np.linspace(0.1, 1, 8), np.float32)
    x = b.add("Conv", ["x", b.weight(8, 3, 1, 1), bias])
    x = b.add("Relu", [b.add("Conv", [x, b.weight(8, 8, 1, 1), bias])])
    original = saved(b.head(x, 8), tmp_path)
    first, second = analyse(original).groups

    made = load_model(prune(original, {first.id: [0, 1]}, tmp_path / "pruned.onnx").path)

    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    biases = [held[node.input[2]] for node in made.graph.node if node.op_type == "Conv"]
    np.testing.assert_array_equal(biases[0], np.linspace(0.1, 1, 8, dtype=np.float32)[2:])
    np.testing.assert_array_equal(biases[1], np.linspace(0.1, 1, 8, dtype=np.float32))
    assert second.size == 8


def test_old_split_sizes_become_an_attribute(tmp_path: Path) -> None:
    """Before operator set 13 sizes of a Split are an attribute; without any, the parts were equal."""
    b = Builder(opset=11)
    parts = b.add("Split", [b.conv("x", 3, 8)], outputs=2, axis=1)
    x = b.add("Add", [b.conv(parts[0], 4, 6), b.conv(parts[1], 4, 6)])
    original = saved(b.head(x, 6), tmp_path)
    analysis = analyse(original)
    left, right, _ = analysis.groups

    removal = {left.id: [0, 3], right.id: [1]}
    prune(original, removal, tmp_path / "pruned.onnx", analysis)

    result = check_pruning(original, removal, tmp_path / "pruned.onnx", pruning_feeds(load_model(original)), analysis)
    assert result.error <= TOLERANCE


@pytest.mark.parametrize(
    ("removal", "part"),
    [
        ({"Nowhere": [0]}, "no channel group 'Nowhere'"),
        ({"Conv_3": [24]}, "channels 0 to 23, not 24"),
        ({"Conv_3": [-1]}, "channels 0 to 23, not -1"),
        ({"Conv_3": list(range(24))}, "nothing would be left"),
    ],
)
def test_impossible_removals_are_refused(removal: dict[str, list[int]], part: str, tmp_path: Path) -> None:
    """Unknown groups, channels outside a group and emptied tensors are refused, and no file appears."""
    original = saved(residual(), tmp_path)

    with pytest.raises(EdgewrightError) as caught:
        prune(original, removal, tmp_path / "pruned.onnx")

    assert caught.value.code is ErrorCode.OPTION_INVALID
    assert part in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["original.onnx"]
