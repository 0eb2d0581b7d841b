"""The numbers of a comparison: the paper's columns by hand, intervals by scene, withheld without labels."""

import math
from dataclasses import replace

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.metrics import PAPER_COLUMNS, index_error, paper_columns, scene_intervals, summarize
from afsim.policies import make
from afsim.policy import Status
from afsim.rollout import Arena, Episodes
from afsim.rows import FIELDS
from afsim.stackset import StackSet
from afsim.task import FocusTask
from tests.conftest import make_stack


def play(stacks: StackSet, policy: str = "stay") -> tuple[Episodes, Arena]:
    camera = Camera(stacks)
    task = FocusTask(camera, budget=1, reward="sharpness")
    arena = Arena(camera)
    return arena.play(make(policy, task.spec), task), arena


def row_of(stacks: StackSet, policy: str = "stay", *, status: Status | None = None) -> dict[str, object]:
    episodes, arena = play(stacks, policy)
    if status is not None:
        episodes = replace(episodes, status=np.full_like(episodes.status, status))
    return summarize(policy, 1, episodes, stacks, arena.sharpness)


def errors(scenes: int, each: int = 7, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Draw integer errors of ``scenes`` scenes that differ from one another."""
    rng = np.random.default_rng(seed)
    centre = rng.integers(-6, 7, scenes).repeat(each)
    scene = [f"scene-{k}" for k in np.arange(scenes).repeat(each)]
    return (centre + rng.integers(-2, 3, scenes * each)).astype(np.float64), scene


def test_the_papers_columns_by_hand() -> None:
    columns = paper_columns(np.array([0.0, 1.0, -2.0, 5.0]))
    assert tuple(columns) == PAPER_COLUMNS
    expected = (0.25, 0.5, 0.75, 0.75, 2.0, math.sqrt(7.5))
    assert tuple(columns.values()) == pytest.approx(expected)


def test_positions_are_rounded_half_up() -> None:
    position = np.array([4.5, 5.5, 4.49, 0.5])
    assert index_error(position, np.array([5, 5, 5, 0])).tolist() == [0.0, 1.0, -1.0, 1.0]


def test_an_interval_holds_the_mean_and_is_the_same_twice() -> None:
    error, scene = errors(12)
    intervals = scene_intervals(error, scene, seed=3)
    assert intervals == scene_intervals(error, scene, seed=3)
    assert intervals != scene_intervals(error, scene, seed=4)
    for name, value in paper_columns(error).items():
        low, high = intervals[name]
        assert low <= value <= high


def test_an_interval_does_not_depend_on_the_order_of_episodes() -> None:
    error, scene = errors(8)
    order = np.random.default_rng(1).permutation(len(error))
    shuffled = scene_intervals(error[order], [scene[i] for i in order])  # sums of integers are exact
    assert shuffled == scene_intervals(error, scene)


def test_an_interval_is_wider_where_the_same_episodes_are_of_fewer_scenes() -> None:
    error, scene = errors(40)
    patchwise = scene_intervals(error, [str(i) for i in range(len(error))])
    scenewise = scene_intervals(error, scene)
    assert np.diff(scenewise["mae"]) > 1.5 * np.diff(patchwise["mae"])


def test_one_scene_has_no_interval() -> None:
    for low, high in scene_intervals(np.array([1.0, 2.0]), ["a", "a"]).values():
        assert math.isnan(low)
        assert math.isnan(high)


def test_intervals_agree_with_an_explicit_resampling_of_scenes() -> None:
    error, scene = errors(9)
    # Scenes of different sizes: a resample's number of episodes varies.
    groups = [error[np.array(scene) == name][: 1 + k % 7] for k, name in enumerate(sorted(set(scene)))]
    error, scene = np.concatenate(groups), [str(k) for k, group in enumerate(groups) for _ in group]
    rng = np.random.default_rng(99)
    resampled = [
        paper_columns(np.concatenate([groups[k] for k in rng.integers(0, len(groups), len(groups))]))
        for _ in range(4000)
    ]
    for name, (low, high) in scene_intervals(error, scene).items():
        slow = np.percentile([columns[name] for columns in resampled], [2.5, 97.5])
        np.testing.assert_allclose((low, high), slow, atol=0.1 * np.diff(slow)[0])


def test_a_row_has_the_fields_of_a_comparison(stacks: StackSet) -> None:
    assert set(row_of(stacks)) == set(FIELDS)


def test_errors_are_against_the_label_and_the_exact_truth(stacks: StackSet) -> None:
    row = row_of(stacks)
    starts = np.arange(stacks.n)
    label, truth = np.asarray(stacks.best_index), np.asarray(stacks.best_index_exact)
    error = np.abs(starts - label[:, None])
    assert row["mae"] == pytest.approx(error.mean())
    assert row["p95"] == pytest.approx(np.percentile(error, 95))
    assert row["exact_mae"] == pytest.approx(np.abs(starts - truth[:, None]).mean())
    assert row["success"] == pytest.approx((np.abs(starts - truth[:, None]) <= 1.0).mean())
    assert row["worst_start"] == error.mean(axis=0).argmax()
    assert row["worst_start_mae"] == pytest.approx(error.mean(axis=0).max())
    assert (row["episodes"], row["labelled"], row["stacks"], row["scenes"]) == (72, 72, 6, 3)


def test_focused_but_wrong_is_told_by_the_exact_truth() -> None:
    # The label says 5, the truth is 5.4: index 3 is 2 from the one and 2.4 from the other.
    stacks = StackSet.from_stacks([make_stack(5.4)])
    row = row_of(stacks, status=Status.FOCUSED)
    assert row["focused"] == 1.0
    assert row["focused_but_wrong"] == pytest.approx((np.abs(np.arange(12) - 5.4) > 2.0).mean())
    assert row_of(stacks, status=Status.FAILED)["focused_but_wrong"] == 0.0


def test_without_labels_everything_that_needs_one_is_withheld(unlabelled_stacks: StackSet) -> None:
    row = row_of(unlabelled_stacks)
    assert row["labelled"] == 0
    assert row["worst_start"] == -1
    needs_label = [name + end for name in PAPER_COLUMNS for end in ("", "_lo", "_hi")]
    needs_label += ["exact_mae", "success", "p95", "worst_start_mae", "focused_but_wrong", "reachable", "clamped"]
    needs_label += ["mae_reachable", "mae_unreachable", "exact_mae_reachable", "exact_mae_unreachable"]
    compared = ("exact_mae", "success", "regret", "difference")
    needs_label += [name + end for name in compared for end in ("_lo", "_hi")] + ["optimum", "regret", "difference"]
    withheld = {name for name, value in row.items() if isinstance(value, float) and math.isnan(value)}
    assert withheld == {*needs_label, "travel_um", "time_ms"}
    assert 0.0 < float(str(row["relative_sharpness"])) < 1.0


def test_errors_of_a_mixed_set_are_of_its_labelled_stacks() -> None:
    labelled = [make_stack(3.2, seed=0), make_stack(8.0, seed=1)]
    unlabelled = make_stack(6.0, seed=2, labelled=False)
    mixed = row_of(StackSet.from_stacks([labelled[0], unlabelled, labelled[1]]), status=Status.FOCUSED)
    alone = row_of(StackSet.from_stacks(labelled), status=Status.FOCUSED)
    assert (mixed["episodes"], mixed["labelled"]) == (36, 24)
    about_errors = [*PAPER_COLUMNS, "mae_lo", "rmse_hi", "exact_mae", "success", "p95", "worst_start"]
    about_errors += ["worst_start_mae", "focused_but_wrong"]
    assert [mixed[name] for name in about_errors] == [alone[name] for name in about_errors]


def test_relative_sharpness_is_one_at_the_sharpest_slice(stacks: StackSet) -> None:
    assert row_of(stacks, "sweep")["relative_sharpness"] == 1.0
    assert float(str(row_of(stacks)["relative_sharpness"])) < 1.0
