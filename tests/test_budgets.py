"""Policies under every budget: what each row is compared with, and how far it is above the optimum."""

import math
from dataclasses import replace

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.clairvoyant import clairvoyant_bound
from afsim.costs import CostModel
from afsim.errors import AfsimError
from afsim.experiments.budgets import has_optimum, play_budgets
from afsim.lens import LENSES
from afsim.metrics import exact_errors, mean_interval
from afsim.policies import make
from afsim.rollout import Arena
from afsim.rows import START, Row, differs, number, reference_of
from afsim.stackset import StackSet
from afsim.task import FocusTask
from afsim.taskspec import Timing


def play(stacks: StackSet, *names: str, steps: int = 3, baseline: str | None = None) -> list[dict[str, object]]:
    camera = Camera(stacks)
    tasks = [FocusTask(camera, budget=m, reward="none") for m in range(1, steps + 1)]
    return play_budgets(Arena(camera), tasks, names, baseline=baseline)


def of(rows: list[dict[str, object]], policy: str) -> list[Row]:
    return [row for row in rows if row["policy"] == policy]


def test_each_budget_is_compared_with_the_one_before_and_the_first_with_the_start(stacks: StackSet) -> None:
    rows = play(stacks, "hill_climb", "sweep")
    assert [row["against"] for row in rows] == [START, "1 step", "2 steps", START]
    error = [number(row, "exact_mae") for row in of(rows, "hill_climb")]
    start = np.abs(np.arange(12) - stacks.truth[:, None]).mean()
    found = [number(row, "difference") for row in of(rows, "hill_climb")]
    assert found == pytest.approx(np.diff([start, *error]))
    assert reference_of(rows) == "with the budget before"


def test_a_baseline_is_compared_with_at_the_same_budget(stacks: StackSet) -> None:
    rows = play(stacks, "stay", "hill_climb", "sweep", baseline="hill_climb")
    assert [row["policy"] for row in rows] == ["stay"] * 3 + ["hill_climb"] * 3 + ["sweep"]
    assert {row["against"] for row in rows} == {"hill_climb"}
    assert reference_of(rows) == "of hill_climb"
    climbed = [number(row, "exact_mae") for row in of(rows, "hill_climb")]
    for row, error in zip(of(rows, "stay"), climbed, strict=True):
        assert number(row, "difference") == pytest.approx(number(row, "exact_mae") - error)
    assert [number(row, "difference") for row in of(rows, "hill_climb")] == [0.0] * 3
    # One prediction of the whole stack is compared with the largest budget.
    (sweep,) = of(rows, "sweep")
    assert number(sweep, "difference") == pytest.approx(number(sweep, "exact_mae") - climbed[-1])


def test_a_whole_stack_is_a_baseline_for_every_budget(stacks: StackSet) -> None:
    rows = play(stacks, "stay", "sweep", baseline="sweep")
    (sweep,) = of(rows, "sweep")
    for row in of(rows, "stay"):
        assert number(row, "difference") == pytest.approx(number(row, "exact_mae") - number(sweep, "exact_mae"))


def test_differences_are_paired_episode_by_episode(stacks: StackSet) -> None:
    camera = Camera(stacks)
    arena, task = Arena(camera), FocusTask(camera, budget=2, reward="none")
    errors = {
        name: exact_errors(arena.play(make(name, task.spec), task), stacks) for name in ("random", "hill_climb")
    }
    scenes = [stacks.scenes[i] for i in arena.stack]
    low, high = mean_interval(errors["random"] - errors["hill_climb"], scenes)
    row = of(play(stacks, "random", "hill_climb", steps=2, baseline="hill_climb"), "random")[-1]
    assert (number(row, "difference_lo"), number(row, "difference_hi")) == (low, high)


def test_a_sure_difference_is_one_whose_interval_excludes_zero(stacks: StackSet) -> None:
    (stay, oracle) = play(stacks, "stay", "oracle", steps=1, baseline="stay")
    assert (differs(stay), differs(oracle)) == (0, -1)
    assert differs(of(play(stacks, "stay", "oracle", steps=1, baseline="oracle"), "stay")[0]) == 1
    one_scene = stacks.select([0, 1])
    assert [differs(row) for row in play(one_scene, "stay", "oracle", steps=1, baseline="stay")] == [0, 0]


def test_regret_is_what_ends_above_the_clairvoyant_bound(stacks: StackSet) -> None:
    rows = play(stacks, "stay", "oracle", "sweep", steps=2)
    best = np.abs(np.rint(stacks.truth) - stacks.truth).mean()
    for row in rows:
        assert number(row, "optimum") == pytest.approx(best)
        assert number(row, "regret") == pytest.approx(number(row, "exact_mae") - best)
        assert number(row, "regret_lo") <= number(row, "regret") <= number(row, "regret_hi")
    assert number(of(rows, "oracle")[0], "regret") == pytest.approx(0.0, abs=1e-12)


def test_the_bound_of_an_erring_lens_is_of_its_own_budget(stacks: StackSet) -> None:
    camera = Camera(stacks, LENSES["typical_phone"])
    arena = Arena(camera, starts=[0, 11])
    tasks = [FocusTask(camera, budget=m, reward="none") for m in (1, 3)]
    rows = play_budgets(arena, tasks, ["oracle"])
    for task, row in zip(tasks, rows, strict=True):
        assert number(row, "optimum") == pytest.approx(clairvoyant_bound(arena, task, CostModel()).mean())
    assert number(rows[0], "optimum") >= number(rows[1], "optimum")


def test_a_lens_that_is_seen_before_it_settles_has_no_bound(stacks: StackSet) -> None:
    lens = replace(LENSES["ideal"], ringing=True, name="ringing")
    camera = Camera(stacks, lens)
    task = FocusTask(camera, budget=1, reward="none", timing=Timing(wait_ms=0.0))
    assert not has_optimum(task)
    (row,) = play_budgets(Arena(camera, starts=[3]), [task], ["stay"])
    assert math.isnan(number(row, "optimum"))
    assert math.isnan(number(row, "regret"))


def test_intervals_hold_their_means(stacks: StackSet) -> None:
    for row in play(stacks, "random", "hill_climb"):
        for name in ("exact_mae", "success", "regret", "difference"):
            assert number(row, f"{name}_lo") <= number(row, name) + 1e-12
            assert number(row, name) <= number(row, f"{name}_hi") + 1e-12


def test_a_baseline_that_does_not_play_is_refused(stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="unknown baseline 'sweep'; expected one of: stay"):
        play(stacks, "stay", baseline="sweep")


def test_progress_is_told(stacks: StackSet) -> None:
    camera = Camera(stacks)
    told: list[tuple[str, int | None]] = []
    tasks = [FocusTask(camera, budget=m, reward="none") for m in (1, 2)]
    play_budgets(Arena(camera), tasks, ["stay", "sweep"], advance=lambda name, lanes: told.append((name, lanes)))
    assert told == [("stay", 72), ("stay", 72), ("stay", None), ("sweep", 72), ("sweep", None)]
