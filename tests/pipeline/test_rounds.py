"""Pruning in rounds: goals, bounds, the proof, and going on after a kill."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgewright.compress.prune.costs import cost_models
from edgewright.compress.prune.rounds import PruningRounds, Repair, RoundOptions
from edgewright.compress.prune.scores import IMPORTANCES, channel_scores, least_important
from edgewright.compress.prune.sensitivity import corrections, measure_sensitivity
from edgewright.compress.prune.surgery import prune
from edgewright.graph.channels.analysis import analyse
from edgewright.graph.model_file import load_model
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.pipeline.networks import Setting, setting


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return setting(tmp_path_factory.mktemp("rounds"))


def rounds(
    place: Setting, folder: Path, options: RoundOptions, bound: float = 100.0, repair: Repair | None = None
) -> PruningRounds:
    return PruningRounds(place.model, folder, place.calibration, place.bench(), place.goal(bound), options, repair)


def quick(measure: str = "macs", ratio: float = 0.6, **more: object) -> RoundOptions:
    plain = RoundOptions(measure, ratio, round_share=0.2, sensitivity=False, slack_points=100.0, threads=1)
    return dataclasses.replace(plain, **more)  # type: ignore[arg-type]


def test_cost_models_agree_with_surgery(place: Setting, tmp_path: Path) -> None:
    """Parameters and multiply-accumulates predicted for random widths are those of the cut file."""
    model = load_model(place.model)
    analysis = analyse(model)
    parameters, macs = cost_models(model, analysis)
    rng = np.random.default_rng(0)
    for _ in range(4):
        removed = {group.id: int(rng.integers(1, group.size // 2)) for group in analysis.groups}
        made = prune(
            place.model, {name: list(range(count)) for name, count in removed.items()}, tmp_path / "cut.onnx", analysis
        )
        assert made.parameters == pytest.approx(parameters.total(removed))
        assert made.macs == pytest.approx(macs.total(removed))


@pytest.mark.parametrize("measure", ["macs", "parameters"])
def test_the_goal_is_reached_with_aligned_widths(place: Setting, tmp_path: Path, measure: str) -> None:
    """The last round is at or below the ratio, each before above it, and channels go in eights."""
    result = rounds(place, tmp_path, quick(measure, least_squares=False)).run()

    assert result.reached
    assert result.stopped_because == "the goal is reached"
    assert result.rounds[-1].share <= 0.6 < result.rounds[-2].share
    assert all(count % 8 == 0 for item in result.rounds for count in item.removed.values())


@pytest.mark.parametrize("ratio", [0.35, 0.5, 0.7])
def test_a_size_goal_is_met_within_half_a_percent(tmp_path: Path, ratio: float) -> None:
    """The serialised file is as large as asked."""
    wide = setting(tmp_path, width=64)
    engine = rounds(wide, tmp_path / "rounds", quick("size", ratio, importance="l2", least_squares=False))
    last = engine.run().rounds[-1]

    assert engine.path(last).stat().st_size == last.size_bytes
    assert abs(last.size_bytes / wide.model.stat().st_size - ratio) <= 0.005 * ratio


def test_an_impossible_goal_says_the_nearest(place: Setting, tmp_path: Path) -> None:
    """Far below what may go, the reason names the share that can be reached."""
    result = rounds(place, tmp_path, quick(ratio=0.05, least_kept=0.75, importance="l2")).run()

    assert not result.reached
    assert f"nearest possible is {result.rounds[-1].share:.3f}" in result.stopped_because


def test_the_bound_ends_the_rounds(place: Setting, tmp_path: Path) -> None:
    """Without slack the first round that loses more is the last one, and the reason says how much."""
    result = rounds(place, tmp_path, quick(ratio=0.2, slack_points=0.0), bound=1.0).run()

    assert not result.reached
    assert "lost too much" in result.stopped_because
    assert result.rounds[0].judgement.metric == 1.0


def test_time_ends_the_rounds_but_one_is_always_tried(place: Setting, tmp_path: Path) -> None:
    """With no time at all one round is made; the next run goes on from it."""
    first = rounds(place, tmp_path, quick(ratio=0.3)).run(deadline=0.0, clock=lambda: 0.0)
    again = rounds(place, tmp_path, quick(ratio=0.3)).run()

    assert len(first.rounds) == 2
    assert "time" in first.stopped_because
    assert again.rounds[1].seconds == first.rounds[1].seconds
    assert len(again.rounds) > 2


def test_a_goal_that_must_be_reached_is_reached_without_time(place: Setting, tmp_path: Path) -> None:
    """After the first round time is up: one more goes all the way."""
    options = quick(ratio=0.5, round_share=0.05, must=True, importance="l1", least_squares=False)

    result = rounds(place, tmp_path, options).run(deadline=0.0, clock=lambda: 0.0)

    assert result.reached
    assert len(result.rounds) == 3


def test_killed_rounds_go_on_to_the_same_end(place: Setting, tmp_path: Path) -> None:
    """Stopped in the third round's repair, the same call ends with the bytes of a run that was not stopped."""

    class Killed(Exception):
        pass

    def dies(_source: Path, _destination: Path, number: int, _seconds: float) -> None:
        if number == 3:
            raise Killed

    options = quick(ratio=0.45, round_share=0.15)
    whole = rounds(place, tmp_path / "whole", options)
    expected = whole.path(whole.run().rounds[-1]).read_bytes()
    with pytest.raises(Killed):
        rounds(place, tmp_path / "killed", options, repair=dies).run()
    resumed = rounds(place, tmp_path / "killed", options)

    assert resumed.path(resumed.run().rounds[-1]).read_bytes() == expected


def test_repair_is_used(place: Setting, tmp_path: Path) -> None:
    """Each round's network goes through the repair that was given, in order."""
    seen: list[int] = []

    def note(source: Path, destination: Path, number: int, _seconds: float) -> None:
        assert source == destination
        seen.append(number)

    result = rounds(place, tmp_path, quick(), repair=note).run()

    assert seen == [item.number for item in result.rounds[1:]]


def test_groups_to_keep_stay_and_unknown_ones_are_refused(place: Setting, tmp_path: Path) -> None:
    """`keep` holds by id; a name that is no group is an error that lists groups."""
    groups = [group.id for group in analyse(place.model).groups]
    result = rounds(place, tmp_path / "a", quick(ratio=0.8, keep=(groups[0],), importance="l1")).run()

    assert all(groups[0] not in item.removed for item in result.rounds)
    with pytest.raises(EdgewrightError) as caught:
        rounds(place, tmp_path / "b", quick(keep=("nope",))).run()
    assert caught.value.code is ErrorCode.OPTION_INVALID
    assert groups[0] in caught.value.hint


@pytest.mark.parametrize("importance", IMPORTANCES)
def test_every_importance_scores_every_channel(place: Setting, importance: str) -> None:
    """One finite, non-negative score a channel; a silent channel matters least by gradients and norms."""
    analysis = analyse(place.model)
    scores = channel_scores(place.model, analysis, importance, place.calibration, True)

    assert scores.used == importance
    for group in analysis.groups:
        assert scores.values[group.id].shape == (group.size,)
        assert np.isfinite(scores.values[group.id]).all()
        assert (scores.values[group.id] >= 0).all()


def test_fisher_finds_what_matters(place: Setting, tmp_path: Path) -> None:
    """Removing the least important channels moves the outputs less than removing the most important ones."""
    analysis = analyse(place.model)
    scores = channel_scores(place.model, analysis, "fisher", place.calibration, True, 4).values
    bench = place.bench()
    better = []
    for group in analysis.groups:
        values = scores[group.id]
        losses = []
        for order in (values, -values):
            prune(place.model, {group.id: least_important(order, group.size // 4)}, tmp_path / "x.onnx", analysis)
            losses.append(bench.judge_file(tmp_path / "x.onnx").fidelity.divergence or 0.0)
        better.append(losses[0] < losses[1])
    assert all(better)


def test_surgeon_sees_what_repair_can_make_up_for(tmp_path: Path) -> None:
    """Where half of the channels repeat the other half, one of each pair costs nothing once its twin takes over, and
    Fisher cannot know.
    """
    from tests.pipeline.test_reconstruct import passes, two_convolutions

    onnx.save(two_convolutions(twins=True), str(tmp_path / "net.onnx"))
    analysis = analyse(tmp_path / "net.onnx")
    name = analysis.groups[0].id
    found = {
        importance: channel_scores(tmp_path / "net.onnx", analysis, importance, passes(), True).values[name]
        for importance in ("fisher", "surgeon")
    }

    free = least_important(found["surgeon"], 8)
    assert sorted(channel % 8 for channel in free) == list(range(8))
    assert found["surgeon"][free].max() < 1e-2 * found["fisher"].mean()
    assert np.sort(found["surgeon"])[8:].min() > 1e-2 * found["fisher"].mean()


def test_surgeon_with_too_few_images_is_fisher(place: Setting) -> None:
    """One batch cannot tell which channels make up for which: Fisher is used for all groups, and it is said."""
    analysis = analyse(place.model)
    scores = channel_scores(place.model, analysis, "surgeon", place.calibration, True, 1)

    assert scores.used == "fisher"
    assert "too few images" in scores.note


def test_sensitivity_curves_rise_and_correct_predictions(place: Setting, tmp_path: Path) -> None:
    """Each group has a curve that grows with what is removed; corrected predictions agree with it on average."""
    analysis = analyse(place.model)
    scores = channel_scores(place.model, analysis, "l2", place.calibration, True).values
    curves = measure_sensitivity(place.model, analysis, scores, place.bench(), tmp_path)
    factors = corrections(curves, scores)

    assert {curve.group for curve in curves} == {group.id for group in analysis.groups}
    assert all(curve.losses[0] < curve.losses[-1] for curve in curves)
    for curve in curves:
        summed = np.concatenate([[0], np.cumsum(np.sort(scores[curve.group]))])
        ratios = [loss / (factors[curve.group] * summed[count]) for count, loss in zip(curve.removed, curve.losses)]
        assert np.exp(np.mean(np.log(ratios))) == pytest.approx(1.0)


def test_sensitivity_keeps_to_its_time(place: Setting, tmp_path: Path) -> None:
    """No time: no curves, and no corrections."""
    analysis = analyse(place.model)
    scores = channel_scores(place.model, analysis, "l2", place.calibration, True).values

    curves = measure_sensitivity(
        place.model, analysis, scores, place.bench(), tmp_path, deadline=-1.0, clock=lambda: 0.0
    )

    assert curves == ()
    assert corrections(curves, scores) == {}
