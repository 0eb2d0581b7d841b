"""The clairvoyant bound: exact for an ideal lens, below every policy on every lens, and what a formula says."""

import math
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from afsim import clairvoyant
from afsim.camera import Camera
from afsim.clairvoyant import QUADRATURE_INDEX, clairvoyant_bound, longest_step_ms, most_swing_um
from afsim.costs import CostModel
from afsim.errors import AfsimError, WithheldError
from afsim.lens import LENSES, Lens
from afsim.policies import POLICIES
from afsim.rollout import Arena, Episodes
from afsim.stackset import StackSet
from afsim.task import FocusTask
from afsim.taskspec import Timing
from tests.conftest import make_stack
from tests.rig import one_error
from tests.seating import make

COSTS = {
    "error": CostModel(),
    "squared and capped": CostModel(squared=True, cap=4.0, move=0.3),
    "travel": CostModel(move=0.1, travel_index=0.05),
    "micrometres and milliseconds": CostModel(travel_um=0.02, time_ms=0.01, cap=6.0),
}


@cache
def small() -> StackSet:
    truths = (1.0, 2.3, 5.0, 6.6, 9.0, 10.4)
    return StackSet.from_stacks(make_stack(truth, seed=i) for i, truth in enumerate(truths))


@cache
def arena_of(lens: Lens) -> Arena:
    return Arena(Camera(small(), lens=lens))


def task_of(lens: Lens, budget: int = 3, **options: Any) -> FocusTask:
    return FocusTask(arena_of(lens).camera, budget=budget, reward="none", **options)


def bound(lens: Lens, cost: CostModel, budget: int = 3, **options: Any) -> np.ndarray:
    return clairvoyant_bound(arena_of(lens), task_of(lens, budget, **options), cost)


@cache
def played(name: str, lens: Lens, budget: int) -> Episodes:
    task = task_of(lens, budget)
    return arena_of(lens).play(make(name, task.spec), task)


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
@pytest.mark.parametrize("lens", ["ideal", "typical_phone", "worn_warm"])
@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_costs_less(name: str, lens: str, cost: CostModel) -> None:
    budget = small().n + 1 if "stack" in POLICIES[name].requires else 3
    episodes = played(name, LENSES[lens], 3)
    excess = cost.of(episodes, small()) - bound(LENSES[lens], cost, budget)
    if lens == "ideal":
        assert excess.min() > -1e-12
    # The mean over 72 episodes is uncertain by what each draws.
    assert excess.mean() > -2.0 * excess.std() / math.sqrt(excess.size) - 1e-12


def test_on_an_ideal_lens_the_oracle_attains_the_bound() -> None:
    episodes = played("oracle", LENSES["ideal"], 1)
    for budget in (1, 3):
        np.testing.assert_allclose(bound(LENSES["ideal"], CostModel(), budget), CostModel().of(episodes, small()))


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_on_an_ideal_lens_the_bound_is_the_best_of_all_commands(cost: CostModel) -> None:
    arena, table = arena_of(Lens()), arena_of(Lens()).camera.actuator.table_um
    truth = small().truth[arena.stack][:, None]
    start, command = arena.start[:, None], np.arange(small().n)[None, :]
    # One last step: 2 ms to decide and 0.5 ms to tell the driver.
    every = cost.of_error(command - truth) + cost.move * (command != start) + 2.5 * cost.time_ms
    every = every + cost.travel_index * np.abs(command - start)
    every = every + cost.travel_um * np.abs(table[command] - table[start])
    for budget in (1, 2, 5):
        np.testing.assert_allclose(bound(Lens(), cost, budget), every.min(axis=1), rtol=1e-12)


def test_without_distances_an_ideal_lens_has_a_bound_in_indices() -> None:
    stacks = StackSet.from_stacks([make_stack(3.4, distances=False), make_stack(8.0, seed=1, distances=False)])
    camera = Camera(stacks)
    arena, task = Arena(camera), FocusTask(camera, reward="none")
    best = clairvoyant_bound(arena, task, CostModel(travel_index=2.0))
    np.testing.assert_allclose(best, np.abs(stacks.truth[arena.stack] - arena.start))
    with pytest.raises(WithheldError, match="travel_um"):
        clairvoyant_bound(arena, task, CostModel(travel_um=1.0))


def folded(mean: np.ndarray, spread: float) -> np.ndarray:
    """Return the mean size of normal draws (..., )."""
    erf = np.vectorize(math.erf)
    tail = math.sqrt(2.0 / math.pi) * spread * np.exp(-(mean**2) / (2 * spread**2))
    return np.asarray(tail + mean * erf(mean / (spread * math.sqrt(2.0))))


def test_one_move_of_a_pushed_lens_is_a_folded_normal_distribution() -> None:
    """One move ends where the push takes it; whoever stays keeps the push that was drawn."""
    lens = one_error(crosstalk=0.8)
    arena, task = arena_of(lens), task_of(lens, 1)
    table = arena.camera.actuator.table_um
    off = np.interp(small().truth[arena.stack], np.arange(12), table)[:, None] - table[None, :]
    # Codes of 0.9 um round each command; their steps turn micrometres into indices near enough.
    step = float(np.diff(table).mean())
    moved = folded(off, lens.crosstalk).min(axis=1) / step
    state = task.reset(arena.keys, stack=arena.stack, start=arena.start)
    stays = np.abs(state.lanes["position"] - small().truth[arena.stack])
    got = bound(lens, CostModel(), 1)
    np.testing.assert_allclose(got, np.minimum(moved, stays), atol=0.12)
    assert (got[stays < 0.05] <= stays[stays < 0.05] + 1e-12).all()


def every_command(lens: Lens) -> np.ndarray:
    """Return where (E, n) the lens of each episode ends after one move, or none, to every index."""
    arena, task = arena_of(lens), task_of(lens, 1)
    state = task.reset(arena.keys, stack=arena.stack, start=arena.start)
    ends = [task.step(state, np.full(len(arena.stack), k))[0].lanes["position"] for k in range(small().n)]
    return np.stack(ends, axis=1)


@pytest.mark.parametrize("lens", [one_error(offset=4.0, gain=0.03, bow=1.0), one_error(gravity=0.5, magnet=1e-3)])
def test_without_anything_drawn_anew_the_bound_is_the_best_of_all_ends(lens: Lens) -> None:
    off = np.abs(every_command(lens) - small().truth[arena_of(lens).stack][:, None])
    for budget in (1, 4):
        np.testing.assert_allclose(bound(lens, CostModel(), budget), off.min(axis=1), atol=1e-9)


@pytest.mark.parametrize(
    "lens", [one_error(hysteresis=2.0), replace(LENSES["worn_warm"], jitter=0.0, crosstalk=0.0)]
)
def test_no_end_of_a_lens_that_hangs_or_swings_costs_less(lens: Lens) -> None:
    off = np.abs(every_command(lens) - small().truth[arena_of(lens).stack][:, None])
    assert (bound(lens, CostModel(), 1) <= off.min(axis=1) + 1e-9).all()


@pytest.mark.parametrize("lens", [LENSES["typical_phone"], one_error(crosstalk=1.0, jitter=0.5, offset=3.0)])
def test_who_is_shown_the_true_position_comes_close_but_not_below(lens: Lens) -> None:
    """Correct by what is off, and rest once there is nothing to gain: knows as much as the clairvoyant, nearly."""
    cost, excess = CostModel(), []
    for seed in range(8):
        arena, task = Arena(arena_of(lens).camera, seed=seed), task_of(lens, 4)
        state = task.reset(arena.keys, stack=arena.stack, start=arena.start)
        truth = small().truth[arena.stack]
        for _ in range(4):
            ahead = np.rint(truth - state.lanes["position"])
            state, _ = task.step(state, np.clip(state.lanes["command"] + ahead, 0, 11).astype(np.int64))
        excess.append(np.abs(state.lanes["position"] - truth) - clairvoyant_bound(arena, task, cost))
    spent = np.concatenate(excess)
    assert -2.0 * spent.std() / math.sqrt(spent.size) < spent.mean() < 0.45


@pytest.mark.parametrize("lens", ["typical_phone", "worn_warm", "closed_loop"])
@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_more_steps_or_a_way_to_declare_never_cost_more(lens: str, cost: CostModel) -> None:
    bounds = [bound(LENSES[lens], cost, budget) for budget in (1, 2, 3, 6)]
    for fewer, more in pairwise(bounds):
        assert (more <= fewer + 1e-12).all()
    assert (bound(LENSES[lens], cost, 2, declare=True) <= bounds[1] + 1e-12).all()
    assert (bounds[-1] >= 0).all()


def test_redrawing_the_push_pays_only_while_moves_are_cheap() -> None:
    lens = one_error(crosstalk=2.0)
    free, dear = (bound(lens, CostModel(move=move), 4).mean() for move in (0.0, 3.0))
    once = bound(lens, CostModel(move=3.0), 1).mean()
    assert free < 0.6 * bound(lens, CostModel(), 1).mean()
    assert dear == pytest.approx(once, rel=0.02)


def test_a_lens_is_never_found_farther_off_than_the_slack() -> None:
    lens = replace(LENSES["worn_warm"], jitter=0.0, crosstalk=0.0, warming=0.0, thermal=0.0)
    arena, task = arena_of(lens), task_of(lens, 4)
    state, rng = task.reset(arena.keys, stack=arena.stack, start=arena.start), np.random.default_rng(0)
    slack, seen = most_swing_um(task), 0.0
    for _ in range(4):
        state, _ = task.step(state, rng.integers(0, 12, len(arena.stack)))
        inside = (state.lanes["position"] >= 0) & (state.lanes["position"] <= 11)
        place = np.interp(state.lanes["position"], np.arange(12), arena.camera.actuator.table_um)
        seen = max(seen, float(np.abs(place - state.lens["end"])[inside].max()))
    assert 0.0 < seen <= slack


def test_lanes_do_not_depend_on_each_other() -> None:
    lens, cost = LENSES["worn_warm"], COSTS["travel"]
    camera = arena_of(lens).camera
    some = Arena(camera, starts=[0, 7])
    whole = bound(lens, cost)
    kept = np.isin(arena_of(lens).start, [0, 7])
    np.testing.assert_array_equal(clairvoyant_bound(some, task_of(lens), cost), whole[kept])


def test_stacks_without_a_truth_have_no_bound(unlabelled_stacks: StackSet) -> None:
    camera = Camera(unlabelled_stacks)
    best = clairvoyant_bound(Arena(camera), FocusTask(camera, reward="none"), CostModel())
    assert np.isnan(best).all()


def test_games_that_have_no_bound_are_refused() -> None:
    with pytest.raises(AfsimError, match="continuous"):
        bound(Lens(), CostModel(), action_mode="continuous")
    with pytest.raises(AfsimError, match="wait_ms=0"):
        bound(LENSES["typical_phone"], CostModel(), timing=Timing(wait_ms=0.0))
    with pytest.raises(AfsimError, match="the arena's camera"):
        clairvoyant_bound(arena_of(Lens()), FocusTask(Camera(small()), reward="none"), CostModel())


@pytest.mark.parametrize("declare", [False, True])
@pytest.mark.parametrize(
    ("cost", "steepest"),
    [
        (CostModel(), 1.0),
        (CostModel(cap=0.5, move=0.05), 1.0),
        (CostModel(cap=1.0), 1.0),
        (CostModel(squared=True, cap=2.0), 4.0),
    ],
)
@pytest.mark.parametrize("lens", [LENSES["typical_phone"], LENSES["worn_warm"], one_error(crosstalk=2.0)])
def test_few_draws_are_as_good_as_many_to_what_is_stated(
    lens: Lens, cost: CostModel, steepest: float, declare: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [bound(lens, cost, budget, declare=declare) for budget in (1, 4)]
    monkeypatch.setattr(clairvoyant, "_PUSHES", 128)
    monkeypatch.setattr(clairvoyant, "_TREMBLES", 33)
    for shipped, budget in zip(few, (1, 4), strict=True):
        excess = (shipped - bound(lens, cost, budget, declare=declare)) / steepest
        assert -0.01 < excess.min() <= excess.max() < QUADRATURE_INDEX
        assert abs(excess.mean()) < 0.0025


@pytest.mark.parametrize("timing", [Timing(), Timing(mode="free"), Timing(inference_ms=2000.0)])
@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_no_step_takes_longer_than_the_longest(lens: Lens, timing: Timing) -> None:
    task = task_of(lens, 3, timing=timing)
    steps = np.diff(arena_of(lens).play(make("random", task.spec), task).times, axis=1)
    assert steps.max() <= longest_step_ms(task) < 100.0 + 4.0 * steps.max()
