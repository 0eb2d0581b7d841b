"""Targets beyond what an erring lens can reach: the episode says so, and both populations are reported."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from afsim.camera import Camera
from afsim.keys import lane_keys
from afsim.lens import LENSES, Lens
from afsim.metrics import summarize
from afsim.policies import make
from afsim.report import columns, screen_table, table
from afsim.rollout import Arena, Episodes
from afsim.rows import FIELDS
from afsim.stackset import StackSet
from afsim.task import FocusTask
from tests.conftest import make_stack

# Two or three of twelve indices off, in either direction.
OFFSET = Lens(name="offset", offset=12.0)


def play(stacks: StackSet, lens: Lens, policy: str = "oracle") -> tuple[Episodes, Arena]:
    """Let a policy play every pair of a set once."""
    camera = Camera(stacks, lens)
    task = FocusTask(camera, budget=1, reward="none")
    arena = Arena(camera)
    return arena.play(make(policy, task.spec), task), arena


def row_of(stacks: StackSet, lens: Lens, policy: str = "oracle") -> dict[str, object]:
    """Return the row of a comparison."""
    episodes, arena = play(stacks, lens, policy)
    return summarize(policy, 1, episodes, stacks, arena.sharpness)


# ---------------------------------------------------------------------- episodes
def test_a_target_is_reachable_where_some_command_comes_within_half_an_index(stacks: StackSet) -> None:
    task = FocusTask(Camera(stacks, OFFSET), reward="none")
    lanes = 300
    state = task.reset(lane_keys(0, np.arange(lanes)), start=0)
    place = []
    for command in range(12):
        moved = task.camera.actuator.move(state.lens, np.full(lanes, float(command)), 0.0, np.zeros(lanes), 10.0)
        place.append(moved["position"])
    truth = stacks.truth[state.lanes["stack"]]
    within = (truth >= np.min(place, axis=0) - 0.5) & (truth <= np.max(place, axis=0) + 0.5)
    np.testing.assert_array_equal(state.lanes["reachable"], within)
    assert 0.1 < within.mean() < 0.95


def test_within_reach_a_lens_that_is_told_where_to_go_is_within_half_an_index(stacks: StackSet) -> None:
    task = FocusTask(Camera(stacks, OFFSET), reward="none")
    lanes = 300
    state = task.reset(lane_keys(0, np.arange(lanes)), start=0)
    truth = stacks.truth[state.lanes["stack"]]
    nearest = np.full(lanes, np.inf)
    for command in range(12):
        moved, _ = task.step(state, np.full(lanes, command))
        nearest = np.minimum(nearest, np.abs(moved.lanes["position"] - truth))
    reachable = state.lanes["reachable"]
    # Between two commands lies a step of 4 or 5 codes, 1.25 of the smaller ones.
    assert nearest[reachable].max() <= 0.63
    assert nearest[~reachable].min() > 0.5


def test_info_tells_it_from_the_beginning_to_the_end(stacks: StackSet) -> None:
    task = FocusTask(Camera(stacks, OFFSET), budget=2)
    state = task.reset(lane_keys(0, np.arange(40)))
    told = [task.info(state)["reachable"].copy()]
    for command in (3, 9):
        state, _ = task.step(state, np.full(40, command))
        told.append(task.info(state)["reachable"].copy())
    np.testing.assert_array_equal(told, [state.lanes["reachable"]] * 3)
    assert 0 < told[0].sum() < 40


def test_an_exact_lens_reaches_everything(stacks: StackSet) -> None:
    episodes, _ = play(stacks, Lens())
    assert episodes.reachable.all()


def test_a_lens_beyond_the_recording_is_told_apart(stacks: StackSet) -> None:
    task = FocusTask(Camera(stacks, OFFSET), reward="none")
    state = task.reset(lane_keys(0, np.arange(300)), start=0)
    beyond = state.lens["position"] < 0.0
    assert 0.2 < beyond.mean() < 0.8
    np.testing.assert_array_equal(task.info(state)["clamped"], beyond)
    np.testing.assert_array_equal(task.info(state)["position"], state.lens["position"])
    first = stacks.levels.normalize(stacks.images[state.lanes["stack"], 0])
    np.testing.assert_array_equal(np.asarray(task.observe(state)["image"])[beyond], first[beyond])
    assert not play(stacks, LENSES["ideal"])[0].clamped.any()
    episodes, _ = play(stacks, OFFSET)
    final = episodes.positions[:, -1]
    np.testing.assert_array_equal(episodes.clamped, (final < 0.0) | (final > stacks.n - 1.0))
    assert episodes.clamped.any()
    assert row_of(stacks, OFFSET)["clamped"] == pytest.approx(episodes.clamped.mean())


def test_what_has_no_truth_counts_as_reachable() -> None:
    stacks = StackSet.from_stacks([make_stack(3.0, labelled=False)])
    task = FocusTask(Camera(stacks, replace(OFFSET, offset=100.0)), reward="none")
    assert task.reset(lane_keys(0, np.arange(20))).lanes["reachable"].all()


def test_episodes_tell_it_whatever_the_policy(stacks: StackSet) -> None:
    told = [play(stacks, OFFSET, policy)[0].reachable for policy in ("stay", "random", "sweep")]
    np.testing.assert_array_equal(told[0], told[1])
    np.testing.assert_array_equal(told[0], told[2])


# ---------------------------------------------------------------------- reports
def test_both_populations_are_in_a_row_and_make_up_the_whole(stacks: StackSet) -> None:
    episodes, _ = play(stacks, OFFSET)
    row = row_of(stacks, OFFSET)
    within = episodes.reachable
    position = episodes.positions[:, -1]
    exact = np.abs(position - stacks.truth[episodes.stack])
    error = np.abs(np.floor(position + 0.5) - stacks.best_index[episodes.stack])
    assert row["reachable"] == pytest.approx(within.mean())
    assert row["exact_mae_reachable"] == pytest.approx(exact[within].mean())
    assert row["exact_mae_unreachable"] == pytest.approx(exact[~within].mean())
    assert row["mae_reachable"] == pytest.approx(error[within].mean())
    assert row["mae_unreachable"] == pytest.approx(error[~within].mean())
    share = float(str(row["reachable"]))
    whole = share * float(str(row["mae_reachable"])) + (1 - share) * float(str(row["mae_unreachable"]))
    assert row["mae"] == pytest.approx(whole)
    assert set(row) == set(FIELDS)


def test_where_all_is_reachable_there_is_no_other_population(stacks: StackSet) -> None:
    row = row_of(stacks, Lens())
    assert row["reachable"] == 1.0
    assert row["mae_reachable"] == row["mae"]
    assert math.isnan(float(str(row["mae_unreachable"])))


def test_the_table_tells_them_apart_only_where_there_are_two(stacks: StackSet) -> None:
    headings = ["reach (%)", "exact reach / else"]
    shown = [column.header for column in columns([row_of(stacks, OFFSET)])]
    assert [heading for heading in shown if heading in headings] == headings
    assert not set(headings) & {column.header for column in columns([row_of(stacks, Lens())])}


def test_a_row_without_the_other_population_withholds_its_error(stacks: StackSet) -> None:
    heading, *cells = zip(*table([row_of(stacks, OFFSET), row_of(stacks, Lens())]), strict=True)
    shown = {column[0]: column[1:] for column in (heading, *cells)}
    assert shown["reach (%)"][1] == "100.0"
    assert shown["exact reach / else"][1].split(" / ")[1] == "–"
    assert "–" not in shown["exact reach / else"][0]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_narrow_terminal_still_shows_whole_numbers(stacks: StackSet, width: int) -> None:
    rows = [row_of(stacks, OFFSET), row_of(stacks, OFFSET, "random")]
    console = Console(file=io.StringIO(), width=width)
    console.print(screen_table(rows, width=width))
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert max(map(len, printed.splitlines())) <= width
    assert "…" not in printed


@pytest.mark.parametrize("name", [name for name, lens in LENSES.items() if not lens.is_exact])
def test_every_preset_leaves_something_within_reach(stacks: StackSet, name: str) -> None:
    episodes, _ = play(stacks, LENSES[name])
    assert 0.1 < episodes.reachable.mean() <= 1.0
