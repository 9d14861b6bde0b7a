"""Channel groups of small networks: who goes together, what it saves, and why something stays."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from edgewright.compress.prune.oracle import TOLERANCE, check_pruning, pruning_feeds
from edgewright.compress.prune.surgery import prune
from edgewright.graph.channels.analysis import ChannelAnalysis, analyse
from edgewright.graph.channels.plan import Role
from edgewright.graph.channels.propagate import AttentionUnit
from edgewright.graph.model_file import load_model
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.prune.networks import NETWORKS, SIDE, Builder, attention, faint, grouped, mobile, residual, saved, shuffle


def _sizes(analysis: ChannelAnalysis) -> list[int]:
    return [group.size for group in analysis.groups]


def test_residual_trunk_is_one_group() -> None:
    """Stem and both block ends go together; each block's inside goes alone."""
    analysis = analyse(residual())

    trunk, first, second = analysis.groups
    assert (trunk.size, first.size, second.size) == (16, 24, 24)
    assert [member.operator for member in trunk.producers if member.input == 1 and member.operator == "Conv"] == (
        ["Conv"] * 3
    )
    assert {member.operator for member in trunk.consumers} == {"Conv", "Gemm"}


def test_savings_of_one_channel_by_hand() -> None:
    """An inner channel takes its filter, bias and norm here and a column of the next filter there."""
    _, inner, _ = analyse(residual()).groups

    filter_and_bias, norm, column = 16 * 9 + 1, 4, 16 * 9
    assert inner.parameters == filter_and_bias + norm + column
    assert inner.macs == (16 * 9 + 16 * 9) * SIDE * SIDE


def test_squeeze_excitation_goes_with_its_channels() -> None:
    """The gate's output is tied to what it gates; its bottleneck is a group of its own."""
    assert _sizes(analyse(mobile())) == [8, 24, 12, 24, 12]


def test_shuffle_ties_both_halves() -> None:
    """A channel that is shuffled goes with its partner in the other half."""
    analysis = analyse(shuffle())

    assert sum(_sizes(analysis)) == 16
    assert analysis.prunable_share > 0.99


def test_grouped_convolutions() -> None:
    """Sixteen narrow groups go one by one, with their inputs; two wide groups lose equal positions."""
    wide_inputs, narrow, last = analyse(grouped()).groups

    assert (wide_inputs.size, wide_inputs.width) == (16, 2)
    # 48 channels in 2 tied halves of 24, in 16 groups of 3: half of the groups is free.
    assert (narrow.size, narrow.width) == (8, 6)
    assert last.size == 16


def test_attention_goes_by_heads_and_mlp_by_width() -> None:
    """Four heads of q, k and v (3 x 4 columns each), forty hidden units; the trunk is normalised and stays."""
    analysis = analyse(attention())

    heads, hidden = analysis.groups
    assert (heads.size, heads.width, hidden.size, hidden.width) == (4, 12, 40, 1)
    assert any("normalised over these channels" in item.reason for item in analysis.protected)


def test_attention_may_go_by_widths_instead(tmp_path: Path) -> None:
    """Equal positions of all heads: four of them, in q, k and v alike; the oracle holds as well."""
    original = saved(attention(), tmp_path)
    analysis = analyse(original, attention=AttentionUnit.WIDTHS)

    # One cut makes q, k and v, so a position goes from all three of them.
    assert [(group.size, group.width) for group in analysis.groups] == [(4, 12), (40, 1)]
    removal = {analysis.groups[0].id: [2]}
    prune(original, removal, tmp_path / "pruned.onnx", analysis)
    feeds = pruning_feeds(load_model(original))
    assert check_pruning(original, removal, tmp_path / "pruned.onnx", feeds, analysis).error <= TOLERANCE


def test_outputs_are_protected_with_their_name() -> None:
    """The classes of a head stay."""
    analysis = analyse(residual())

    [head] = analysis.protected
    assert head.parameters == 5
    assert head.reason.startswith("network output gemm")


def test_group_normalization_goes_by_groups() -> None:
    """Eight groups of three channels, and four groups of four when it is spelled out."""
    first, second = analyse(NETWORKS["normalised"]()).groups

    assert (first.size, first.width) == (8, 3)
    assert (second.size, second.width) == (4, 4)


def test_unknown_operator_protects_and_says_so() -> None:
    """What is not known is not guessed."""
    b = Builder()
    x = b.add("MeanVarianceNormalization", [b.conv("x", 3, 16)])

    analysis = analyse(b.head(x, 16))

    assert analysis.groups == ()
    assert any("MeanVarianceNormalization is an operator without a rule" in item.reason for item in analysis.protected)


def test_nested_graphs_protect_what_they_read() -> None:
    """A tensor read by name inside an If keeps its channels."""
    b = Builder()
    x = b.conv("x", 3, 8)
    inner = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", [x], ["inside"])],
        "branch",
        [],
        [onnx.helper.make_tensor_value_info("inside", onnx.TensorProto.FLOAT, [1, 8, SIDE, SIDE])],
    )
    condition = b.constant(True, bool)
    zero = b.add("Greater", [b.add("ReduceMax", ["x"], keepdims=0), b.constant(0.0, "float32")])
    both = b.add("And", [zero, condition])
    made = b.add("If", [both], then_branch=inner, else_branch=inner)
    model = b.head(made, 8)

    analysis = analyse(model)

    assert analysis.groups == ()
    assert any("nested graph" in item.reason for item in analysis.protected)


def test_a_single_channel_is_never_a_choice() -> None:
    """One attention map stretched over all channels stays."""
    b = Builder()
    x = b.conv("x", 3, 8)
    x = b.add("Mul", [x, b.add("Sigmoid", [b.conv(x, 8, 1)])])

    assert _sizes(analyse(b.head(x, 8))) == [8]


@pytest.mark.parametrize("name", NETWORKS)
def test_groups_are_stable_and_disjoint(name: str) -> None:
    """The same graph gives the same ids; within a group all channels cost the same; no position has two groups."""
    first, second = analyse(NETWORKS[name]()), analyse(NETWORKS[name]())

    assert [group.id for group in first.groups] == [group.id for group in second.groups]
    assert len({group.id for group in first.groups}) == len(first.groups)
    taken: set[tuple[int, int, int, int]] = set()
    for group in first.groups:
        for member in (*group.producers, *group.consumers, *group.followers):
            assert len({len(places) for places in member.positions}) == 1
            for places in member.positions:
                for place in places:
                    key = (member.number, member.input, member.axis, place)
                    assert key not in taken
                    taken.add(key)


def test_layer_scale_is_a_follower() -> None:
    """Factors along protected channels are no group; the hidden channels of the branch are."""
    [hidden] = analyse(faint()).groups

    assert hidden.size == 32
    assert {member.role for member in hidden.producers} == {Role.PRODUCER}


def test_missing_file(tmp_path: Path) -> None:
    """A path that is not there is refused by name."""
    with pytest.raises(EdgewrightError) as caught:
        analyse(tmp_path / "absent.onnx")

    assert caught.value.code is ErrorCode.FILE_NOT_FOUND


def test_wrong_size_is_refused() -> None:
    """A size that the graph does not take is refused before anything is followed."""
    with pytest.raises(EdgewrightError) as caught:
        analyse(residual(), input_size=(12, 12))

    assert caught.value.code is ErrorCode.SPEC_MISMATCH
