"""The searches for the most contrast on curves that are fed to them directly: no images, no camera."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.measures import STEREO_MEASURES
from afsim.policies import make
from afsim.policies.curve import bracket_of
from afsim.policy import Status
from afsim.task import TaskSpec
from tests.searching import INDEX, PEAKS, STARTS, N, bells, lorentzians, play, tents

# Observations that are enough for any curve with one peak, from any start, the start's own counted. Interval
# reduction: test_search_sections.py. One sweep: the coarse range, and both sides of the peak. Bisection: three
# slices, then at most two a halving from 16 and for what a walk to the far end takes.
ENOUGH = {
    "hill_climb": 20,
    "adaptive_climb": 30,
    "coarse_to_fine": 1 + 10 + 10,
    "golden_section": 9,
    "fibonacci": 9,
    "brent": 9,
    "bisect": 15,
}
SEARCHES = list(ENOUGH)
every_search = pytest.mark.parametrize("name", SEARCHES)


ONE_PEAK = {
    "bell": bells(PEAKS, 10.0),
    "wide bell": bells(PEAKS, 20.0),
    "narrow Lorentzian": lorentzians(PEAKS, 2.5),
    "Lorentzian": lorentzians(PEAKS, 8.0),
    "tent": tents(PEAKS),
}


@every_search
@pytest.mark.parametrize("curve", ONE_PEAK)
def test_it_finds_a_single_peak_from_every_start_in_time(name: str, curve: str) -> None:
    curves = ONE_PEAK[curve]
    # A tent is so wide that what a short search sees of it is no peak by the usual ratio.
    run = play(name, curves, STARTS, budget=ENOUGH[name], contrast_ratio=0.9)
    assert np.abs(run.commands[-1] - PEAKS).max() <= 1
    assert (run.memory.status != Status.SEARCHING).all()
    lanes = np.arange(len(PEAKS))
    ends = curves[lanes, run.commands[-1].astype(int)]
    assert (ends >= curves[lanes, STARTS]).all()


@every_search
def test_what_it_says_of_itself_is_what_it_saw(name: str) -> None:
    run = play(name, ONE_PEAK["Lorentzian"], STARTS)
    scores = run.memory.scores
    bracket = bracket_of(scores)
    closed = ((bracket.below >= 0) | (bracket.best == 0)) & ((bracket.above < N) | (bracket.best == N - 1))
    steep = closed & (np.nanmin(scores, axis=1) <= 0.75 * np.nanmax(scores, axis=1))
    np.testing.assert_array_equal(run.memory.status, np.where(steep, Status.FOCUSED, Status.FAILED))
    assert steep.mean() > 0.9
    if name != "bisect":
        expected = 1.0 - np.nanmin(scores, axis=1) / np.nanmax(scores, axis=1)
        np.testing.assert_allclose(run.memory.confidence, expected, atol=1e-6)


@every_search
@pytest.mark.parametrize("value", [0.0, 0.3, np.nan, np.inf])
def test_where_nothing_can_be_focused_it_says_so(name: str, value: float) -> None:
    run = play(name, np.full((N, N), value), INDEX)
    assert (run.memory.status == Status.FAILED).all()
    np.testing.assert_array_equal(run.memory.confidence, np.float32(0.2 if name == "bisect" else 0.0))


@every_search
def test_flat_noise_is_no_peak(name: str) -> None:
    run = play(name, 1.0 + 0.05 * np.random.default_rng(0).uniform(-1, 1, (300, N)), np.arange(300) % N)
    assert (run.memory.status == Status.FAILED).all()
    assert run.memory.confidence.max() <= 0.2


@every_search
def test_noise_costs_some_slices_but_not_the_peak(name: str) -> None:
    curves = bells(PEAKS, 12.0) * (1.0 + 0.02 * np.random.default_rng(1).uniform(-1, 1, (len(PEAKS), N)))
    away = np.abs(play(name, curves, STARTS).commands[-1] - PEAKS)
    assert away.mean() < 1.5
    assert (away <= 4).mean() > 0.97


@every_search
def test_of_two_humps_it_ends_on_one(name: str) -> None:
    curve = (bells(np.array([10.0]), 6.0) + 0.8 * bells(np.array([36.0]), 6.0))[0]
    run = play(name, np.tile(curve, (N, 1)), INDEX)
    ends = run.commands[-1].astype(int)
    on_one = np.minimum(np.abs(ends - 10), np.abs(ends - 36)) <= 1
    # Steps that shrink too early end on a slope: that is a failure, and told.
    assert on_one[run.memory.status == Status.FOCUSED].all()
    assert on_one.mean() > 0.97
    assert (curve[ends] >= curve[INDEX]).all()


@every_search
def test_it_ends_on_a_saturated_plateau_or_at_its_edge(name: str) -> None:
    curves = np.minimum(bells(PEAKS, 10.0), 0.8)
    run = play(name, curves, STARTS)
    assert (run.memory.status != Status.SEARCHING).all()
    assert (curves[np.arange(len(PEAKS)), run.commands[-1].astype(int)] == 0.8).mean() > 0.99


@every_search
@pytest.mark.parametrize("n", [2, 3, 4, 7, 60])
def test_on_any_curve_it_stays_in_range_ends_and_keeps_the_best(name: str, n: int) -> None:
    rng = np.random.default_rng(n)
    curves, starts = rng.uniform(0.0, 1.0, (300, n)), rng.integers(0, n, 300)
    run = play(name, curves, starts, budget=2 * n + 30)
    assert run.commands.min() >= 0
    assert run.commands.max() <= n - 1
    np.testing.assert_array_equal(run.commands, np.rint(run.commands))
    assert (run.memory.status != Status.SEARCHING).all()
    # The slice where it ended has been seen too, meanwhile.
    assert np.abs(run.commands[-1] - np.nanargmax(run.memory.scores, axis=1)).max() <= 1


@every_search
@pytest.mark.parametrize("budget", [1, 2, 3, 5])
def test_the_last_move_goes_to_the_best_seen_or_between_its_neighbours(name: str, budget: int) -> None:
    run = play(name, bells(PEAKS, 6.0), STARTS, budget)
    bracket, final = bracket_of(run.memory.scores), run.commands[-1]
    one_side_is_open = (bracket.below < 0) | (bracket.above >= N)
    np.testing.assert_array_equal(final[one_side_is_open], bracket.best[one_side_is_open])
    assert ((bracket.below < final) & (final < bracket.above)).all()
    if budget == 1:
        np.testing.assert_array_equal(final, STARTS)


@every_search
def test_an_ended_search_stays(name: str) -> None:
    run = play(name, ONE_PEAK["bell"], STARTS)
    np.testing.assert_array_equal(run.commands[30:], np.tile(run.commands[-1], (11, 1)))


@every_search
def test_lanes_do_not_know_of_each_other(name: str) -> None:
    curves, chosen = bells(PEAKS, 7.0), np.array([5, 200, 433])
    run, few = play(name, curves, STARTS), play(name, curves[chosen], STARTS[chosen])
    np.testing.assert_array_equal(run.commands[:, chosen], few.commands)
    for all_lanes, own in zip(run.memory, few.memory, strict=True):
        np.testing.assert_array_equal(all_lanes[chosen], own)


@every_search
@pytest.mark.parametrize("measure", list(STEREO_MEASURES)[:1])
def test_costs_have_no_ratio(name: str, measure: str) -> None:
    with pytest.raises(AfsimError, match=f"{name} compares contrasts by their ratio, which {measure} has not"):
        make(f"{name}:{measure}", TaskSpec(N, 2, 8, 8, 5))


# ---------------------------------------------------------------------- each for itself
@pytest.mark.parametrize("name", ["golden_section", "fibonacci", "brent"])
def test_a_narrow_peak_on_flat_ground_is_found_or_missed_honestly(name: str) -> None:
    run = play(name, bells(PEAKS, 3.0), STARTS)
    found = np.abs(run.commands[-1] - PEAKS) <= 1
    assert found.all()
    assert (run.memory.status == Status.FOCUSED).all()
    # Narrower than the gaps, it may be missed; then the search fails.
    needle = play(name, bells(PEAKS, 0.3), STARTS)
    np.testing.assert_array_equal(needle.memory.status == Status.FOCUSED, needle.commands[-1] == PEAKS)


def test_a_sweep_sees_every_slice_from_the_same_side() -> None:
    commands = play("coarse_to_fine", ONE_PEAK["bell"], STARTS, budget=40).commands
    # From the first end on there are two returns: to begin the fine pass, and to the peak.
    steps = np.diff(commands[1:], axis=0) * np.where(STARTS <= (N - 1) / 2, 1, -1)
    assert (steps < 0).sum(axis=0).max() <= 2


def test_a_sweep_never_ends_below_the_best_as_a_capped_one_does() -> None:
    run = play("coarse_to_fine", ONE_PEAK["tent"], STARTS, coarse_step=10)
    np.testing.assert_array_equal(run.commands[-1], PEAKS)


def test_the_adaptive_climb_turns_at_a_fall_with_three_quarters_of_the_step() -> None:
    commands = play("adaptive_climb", tents(np.array([26.0])), np.array([20]), first_step=8).commands[:, 0]
    # 28 is better than 20, 36 worse: back by 6; 30 is better than 36, and the next fall is at 24 - 6.
    assert commands[:6].tolist() == [20.0, 28.0, 36.0, 30.0, 24.0, 18.0]


def test_the_adaptive_climb_turns_at_an_end_with_half_the_step() -> None:
    curve = np.minimum(INDEX, 40.0)[None] + 1.0
    assert play("adaptive_climb", curve, np.array([44]), first_step=4).commands[:4, 0].tolist() == [44, 40, 36, 39]
    rising = INDEX[None].astype(np.float64) + 1.0
    commands = play("adaptive_climb", rising, np.array([24]), first_step=20).commands[:, 0]
    assert commands[:4].tolist() == [24.0, 44.0, 48.0, 38.0]


def test_bisection_looks_right_then_left_and_halves() -> None:
    commands = play("bisect", tents(np.array([24.0])), np.array([24]), first_factor=8.0).commands[:, 0]
    assert commands[:10].tolist() == [24.0, 32.0, 16.0, 28.0, 20.0, 26.0, 22.0, 25.0, 23.0, 24.0]


@pytest.mark.parametrize(("depth", "budget", "confidence"), [(0.9, 40, 0.8), (0.4, 40, 0.2), (0.9, 4, 0.1)])
def test_bisection_is_as_sure_as_the_fall_is_deep(depth: float, budget: int, confidence: float) -> None:
    curve = 1.0 - np.float64(depth) * np.abs(INDEX.astype(np.float64) - 20.0)[None] / 28.0
    run = play("bisect", curve, np.array([30]), budget)
    assert run.memory.confidence[0] == np.float32(confidence)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("coarse_to_fine", {"fine_step": 0}, "fine_step must be at least 1 index, got 0"),
        ("coarse_to_fine", {"coarse_ratio": 1.0}, r"coarse_ratio must be in \[0, 1\), got 1.0"),
        ("adaptive_climb", {"first_step": 0}, "first_step must be at least 1 index, got 0"),
        ("adaptive_climb", {"shrink": 1.0}, r"shrink must be in \[0, 1\), got 1.0"),
        ("adaptive_climb", {"patience": 0}, "patience must be at least 1 move, got 0"),
        ("brent", {"tolerance": 0}, "tolerance must be at least 1 index, got 0"),
        ("bisect", {"first_factor": 0.5}, "first_factor must be a number of at least 1, got 0.5"),
        ("bisect", {"first_factor": np.nan}, "first_factor must be a number of at least 1, got nan"),
        ("bisect", {"smallest_step": 0}, "smallest_step must be at least 1 index, got 0"),
        ("fibonacci", {"contrast_ratio": -0.1}, r"contrast_ratio must be in \[0, 1\), got -0.1"),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make(name, TaskSpec(N, 1, 8, 8, 5), **options)


@every_search
def test_options_are_fields_of_a_record(name: str) -> None:
    policy = make(name, TaskSpec(N, 1, 8, 8, 5), contrast_ratio=0.5)
    assert dataclasses.replace(policy, contrast_ratio=0.75) == make(name, policy.spec)  # type: ignore[call-arg]
