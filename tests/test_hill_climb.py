"""Contrast hill-climb on curves that are fed to it directly: no images, no camera."""

from typing import NamedTuple

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.policies import make
from afsim.policies.curve import CurveMemory, bracket_of, parabola_peak
from afsim.policy import FloatArray, Knowledge, Status
from afsim.task import TaskSpec

N = 49
INDEX = np.arange(N)
PEAKS, STARTS = (grid.ravel() for grid in np.meshgrid(INDEX, INDEX, indexing="ij"))


class Climb(NamedTuple):
    """Commands (steps + 1, lanes), the memory at the end, and observations (lanes) while it searched."""

    commands: FloatArray
    memory: CurveMemory
    observations: FloatArray


def climb(curves: FloatArray, starts: np.ndarray, budget: int = 60, **options: float) -> Climb:
    """Let the policy climb each curve (lanes, n) from its start."""
    lanes, n = curves.shape
    policy = make("hill_climb", TaskSpec(n, 1, 8, 8, budget), **options)
    memory = policy.begin(np.arange(lanes, dtype=np.uint64), Knowledge())
    commands, observations = [np.asarray(starts, dtype=np.float64)], np.zeros(lanes)
    for step in range(budget):
        here = commands[-1]
        observation = {
            "command": (here / (n - 1)).astype(np.float32)[:, None],
            "steps_left": np.full((lanes, 1), budget - step, np.float32),
        }
        observations += memory.status == Status.SEARCHING
        command, memory = policy.decide(curves[np.arange(lanes), here.astype(int)], observation, memory)
        commands.append(command)
    return Climb(np.array(commands), memory, observations)


def bells(peaks: np.ndarray, half_width: float, base: float = 0.05) -> FloatArray:
    """Return Gaussian contrast curves (lanes, N) on a pedestal."""
    away = (INDEX - np.asarray(peaks, dtype=np.float64)[:, None]) / half_width
    return base + np.exp2(-np.square(away))


def tents(peaks: np.ndarray) -> FloatArray:
    """Return contrast curves (lanes, N) that fall in straight lines to nearly nothing."""
    return 50.0 - np.abs(INDEX - np.asarray(peaks, dtype=np.float64)[:, None])


@pytest.mark.parametrize("half_width", [2.0, 5.0, 10.0, 20.0])
def test_it_ends_focused_at_the_peak_of_a_bell_from_every_start(half_width: float) -> None:
    run = climb(bells(PEAKS, half_width), STARTS)
    np.testing.assert_array_equal(run.commands[-1], PEAKS)
    assert (run.memory.status == Status.FOCUSED).all()


def test_it_ends_at_the_peak_of_a_tent_from_every_start() -> None:
    np.testing.assert_array_equal(climb(tents(PEAKS), STARTS).commands[-1], PEAKS)


def test_a_start_in_flat_noise_does_not_hide_the_peak() -> None:
    noise = 0.02 * np.random.default_rng(0).uniform(-1, 1, (len(PEAKS), N))
    run = climb(bells(PEAKS, 4.0, base=1.0) + noise, STARTS)
    assert (np.abs(run.commands[-1] - PEAKS) <= 1).mean() > 0.95


def test_failing_takes_both_ends_of_the_range() -> None:
    run = climb(np.tile(1.0 - 1e-4 * np.abs(INDEX - 20), (N, 1)), INDEX)
    assert (run.memory.status == Status.FAILED).all()
    assert np.isfinite(run.memory.scores[:, [0, -1]]).all()
    np.testing.assert_array_equal(run.commands[-1], 20)


def test_a_peak_costs_about_ten_observations() -> None:
    observations = climb(bells(PEAKS, 5.0), STARTS).observations
    assert observations.mean() < 10.0
    assert observations.max() < 20


@pytest.mark.parametrize("seed", range(3))
def test_flat_noise_is_no_peak(seed: int) -> None:
    curves = 1.0 + 0.05 * np.random.default_rng(seed).uniform(-1, 1, (N, N))
    run = climb(curves, INDEX)
    assert (run.memory.status == Status.FAILED).all()
    assert (run.memory.confidence < 0.15).all()


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_an_even_curve_is_no_peak(value: float) -> None:
    run = climb(np.full((N, N), value), INDEX)
    assert (run.memory.status == Status.FAILED).all()
    np.testing.assert_array_equal(run.memory.confidence, 0.0)


@pytest.mark.parametrize("n", [2, 3, 7, 49])
@pytest.mark.parametrize("first_step", [1, 5, 100])
def test_on_any_curve_it_stays_in_range_ends_and_loses_nothing(n: int, first_step: int) -> None:
    rng = np.random.default_rng(n)
    curves, starts = rng.uniform(0.0, 1.0, (300, n)), rng.integers(0, n, 300)
    run = climb(curves, starts, budget=n + 3, first_step=first_step)
    assert run.commands.min() >= 0
    assert run.commands.max() <= n - 1
    assert (run.memory.status != Status.SEARCHING).all()
    assert np.abs(run.commands[-1] - np.nanargmax(run.memory.scores, axis=1)).max() <= 1


def test_no_slice_is_looked_at_twice_while_it_searches() -> None:
    curves = np.random.default_rng(1).uniform(0.0, 1.0, (300, N))
    run = climb(curves, np.arange(300) % N)
    np.testing.assert_array_equal((~np.isnan(run.memory.scores)).sum(axis=1), run.observations)


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 8])
def test_the_last_move_goes_to_the_best_seen_or_between_its_neighbours(budget: int) -> None:
    run = climb(bells(PEAKS, 6.0), STARTS, budget)
    bracket = bracket_of(run.memory.scores)
    assert len(run.commands) == budget + 1
    final, open_side = run.commands[-1], (bracket.below < 0) | (bracket.above >= N)
    np.testing.assert_array_equal(final[open_side], bracket.best[open_side])
    assert ((bracket.below < final) & (final < bracket.above)).all()


def test_more_steps_come_closer() -> None:
    curves = bells(PEAKS, 6.0)
    errors = [np.abs(climb(curves, STARTS, budget).commands[-1] - PEAKS).mean() for budget in (1, 3, 6, 10, 16)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == 0.0


def test_of_two_humps_it_ends_on_one() -> None:
    starts = INDEX
    curve = (bells(np.array([10.0]), 4.0) + 0.8 * bells(np.array([36.0]), 4.0))[0]
    ends = climb(np.tile(curve, (N, 1)), starts).commands[-1]
    assert set(ends.astype(int)) == {10, 36}
    assert ends[3] == 10
    assert ends[40] == 36


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_contrast_that_is_no_number_never_escapes(value: float) -> None:
    curves = bells(PEAKS, 8.0)
    curves[np.random.default_rng(0).uniform(size=curves.shape) < 0.2] = value
    run = climb(curves, STARTS)
    assert np.isfinite(run.commands).all()
    assert np.isfinite(run.memory.confidence).all()
    np.testing.assert_array_equal(climb(np.full((N, N), value), INDEX).memory.status, Status.FAILED)


def test_lanes_do_not_know_of_each_other() -> None:
    curves, chosen = bells(PEAKS, 7.0), np.array([5, 700, 2000])
    run, few = climb(curves, STARTS), climb(curves[chosen], STARTS[chosen])
    np.testing.assert_array_equal(run.commands[:, chosen], few.commands)


@pytest.mark.parametrize("apex", [20.0, 21.3, 19.2, 24.4])
@pytest.mark.parametrize("seen", [(18, 21, 27), (10, 20, 26), (19, 20, 30), (0, 22, 48)])
def test_the_peak_of_a_parabola_is_exact(apex: float, seen: tuple[int, int, int]) -> None:
    curve = 700.0 - (INDEX - apex) ** 2
    scores = np.full((1, N), np.nan)
    scores[0, list(seen)] = curve[list(seen)]
    bracket = bracket_of(scores)
    if bracket.best[0] == seen[1]:
        assert parabola_peak(scores, bracket)[0] == pytest.approx(apex)
    else:  # the highest is at an end of the three: there is no parabola around it
        assert parabola_peak(scores, bracket)[0] == bracket.best[0]


def test_ties_go_to_the_smallest_index() -> None:
    scores = np.full((1, N), np.nan)
    scores[0, [4, 9, 15]] = 1.0
    assert bracket_of(scores).best[0] == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_step": 0}, "first_step must be at least 1 index, got 0"),
        ({"drop": 1.0}, r"drop must be in \[0, 1\), got 1.0"),
        ({"contrast_ratio": -0.1}, r"contrast_ratio must be in \[0, 1\), got -0.1"),
        ({"measure": "luck"}, "unknown focus measure 'luck'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make("hill_climb", TaskSpec(N, 1, 8, 8, 5), **options)
