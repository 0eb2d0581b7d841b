"""Costs: weights charge what they name, by hand; regret subtracts an optimum of any of its shapes."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.costs import CostModel, least_times, make_cost, regret
from afsim.errors import AfsimError, WithheldError
from afsim.policies import make
from afsim.rollout import Arena, Episodes
from afsim.stackset import StackSet
from afsim.task import FocusTask
from afsim.taskspec import TIMINGS, Timing


def play(stacks: StackSet, name: str = "random", budget: int = 3) -> Episodes:
    camera = Camera(stacks)
    task = FocusTask(camera, budget=budget, reward="none")
    return Arena(camera).play(make(name, task.spec), task)


@pytest.mark.parametrize(
    ("weights", "field"),
    [
        ({"move": 0.5}, "moves"),
        ({"travel_index": 0.25}, "travel_index"),
        ({"travel_um": 0.125}, "travel_um"),
    ],
)
def test_each_weight_charges_what_it_names(stacks: StackSet, weights: dict[str, Any], field: str) -> None:
    episodes = play(stacks)
    (weight,) = weights.values()
    charged = CostModel(error=0.0, **weights).of(episodes, stacks)
    np.testing.assert_allclose(charged, weight * getattr(episodes, field))
    assert charged.max() > 0


def test_time_is_charged_to_the_end(stacks: StackSet) -> None:
    episodes = play(stacks)
    np.testing.assert_allclose(CostModel(error=0.0, time_ms=2.0).of(episodes, stacks), 2.0 * episodes.times[:, -1])


def test_the_error_is_that_of_the_exact_truth(stacks: StackSet) -> None:
    episodes = play(stacks, "stay")
    wanted = np.abs(episodes.start - stacks.truth[episodes.stack])
    np.testing.assert_allclose(CostModel().of(episodes, stacks), wanted)
    np.testing.assert_allclose(
        CostModel(error=2.0, squared=True, cap=3.0).of(episodes, stacks), 2 * np.minimum(wanted, 3) ** 2
    )


def test_errors_of_either_sign_cost_the_same_and_nan_stays() -> None:
    cost = CostModel(cap=4.0).of_error([-2.0, 2.0, 9.0, np.nan])
    np.testing.assert_array_equal(cost, [2.0, 2.0, 4.0, np.nan])


def test_what_is_withheld_is_not_charged(unlabelled_stacks: StackSet) -> None:
    episodes = play(unlabelled_stacks)
    assert np.isnan(CostModel(move=1.0).of(episodes, unlabelled_stacks)).all()
    for name in ("travel_um", "time_ms"):
        weight: dict[str, Any] = {name: 1.0}
        with pytest.raises(WithheldError, match=name):
            CostModel(**weight).of(episodes, unlabelled_stacks)


@pytest.mark.parametrize(
    "fields", [{"error": -1.0}, {"move": math.nan}, {"cap": 0.0}, {"squared": 1}, {"time_ms": "much"}]
)
def test_values_that_are_no_cost_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(AfsimError, match=f"cost {next(iter(fields))}"):
        CostModel(**fields)


def test_regret_takes_an_optimum_by_episode_by_pair_or_by_start(stacks: StackSet) -> None:
    episodes, cost = play(stacks), CostModel()
    by_start = np.linspace(0.0, 1.0, stacks.n)
    by_pair = np.tile(by_start, (len(stacks), 1))
    wanted = cost.of(episodes, stacks) - by_start[episodes.start]
    for optimum in (by_start, by_pair, by_pair.ravel()):
        np.testing.assert_array_equal(regret(episodes, stacks, cost, optimum), wanted)
    with pytest.raises(AfsimError, match=r"got \(3,\)"):
        regret(episodes, stacks, cost, np.zeros(3))


@pytest.mark.parametrize("timing", [*TIMINGS.values(), replace(Timing(), inference_ms=32.5)])
def test_least_times_are_those_of_a_lens_that_settles_at_once(stacks: StackSet, timing: Timing) -> None:
    camera = Camera(stacks)
    task = FocusTask(camera, budget=2, reward="none", timing=timing)
    episodes = Arena(camera).play(make("random", task.spec), task)
    step, end = least_times(timing, camera.sensor.exposure_ms)
    two = episodes.length == 2
    np.testing.assert_allclose(np.diff(episodes.times[two], axis=1), np.tile([step, end], (two.sum(), 1)))


def test_costs_can_be_written_as_text() -> None:
    assert make_cost("error") == CostModel()
    assert make_cost("error,move=0.05,time_ms=0.002") == CostModel(move=0.05, time_ms=0.002)
    assert make_cost("squared,cap=4") == CostModel(squared=True, cap=4.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("magic", "unknown cost preset 'magic'"),
        ("error,moves=1", "unknown cost option 'moves'"),
        ("error,move=much", "expected a number, got 'much'"),
        ("error,move=-1", "cost move"),
    ],
)
def test_text_that_is_no_cost_is_refused(text: str, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make_cost(text)
