"""The board: your line and the policies', and the same board again from its texts."""

from dataclasses import replace

import numpy as np
import pytest

from afsim.cockpit.board import MOST_LINES, make_board
from afsim.cockpit.line import Line
from afsim.errors import AfsimError
from afsim.stackset import StackSet
from tests.cockpits import SET, SETUP, board, opened


def lanes(line: Line) -> bytes:
    return line.so_far.lanes.tobytes()


def test_a_board_is_made_again_from_its_texts(stacks: StackSet) -> None:
    one = board(stacks, lens="worn_warm", sensor="dim").moved(4).added("hill_climb").added("sweep").stepped()
    one = one.forked(0, ["bayesian"]).stepped().handed_to(0, "hill_climb").stepped().taken_over(2).moved(9)
    again = board(stacks, *one.texts(), lens="worn_warm", sensor="dim")
    assert again.texts() == one.texts()
    assert [lanes(line) for line in again.lines] == [lanes(line) for line in one.lines]
    images = [[moment.image.tobytes() for moment in each.yours.so_far.moments] for each in (one, again)]
    assert images[0] == images[1]


def test_policies_step_together_and_hands_do_not(stacks: StackSet) -> None:
    start = board(stacks, "you", "hill_climb", "sweep")
    two = start.stepped().stepped()
    assert [line.step for line in two.lines] == [0, 2, 2]
    assert [line.step for line in two.stepped_back().lines] == [0, 1, 1]
    assert [line.step for line in start.stepped_back().lines] == [0, 0, 0]


def test_policies_play_by_simulated_time(stacks: StackSet) -> None:
    start = board(stacks, "you", "hill_climb", "sweep")
    frame = start.task.spec.timing.frame_ms
    for count in (1, 3):
        after = start.at_time(count * frame + 0.01)
        assert [line.step for line in after.lines] == [0, count, count]
        assert after.now() == pytest.approx(count * frame, abs=0.1)
    end = start.at_time(1e9)
    assert end.at_rest
    assert end.now() == end.lines[2].trace.lanes["time_ms"][-1]
    assert not start.at_rest


def test_where_time_is_withheld_a_step_is_a_frame(unlabelled_stacks: StackSet) -> None:
    start = board(unlabelled_stacks, "you", "hill_climb", stack=0)
    after = start.at_time(2.5 * start.task.spec.timing.frame_ms)
    assert after.lines[1].step == 2


def test_what_the_others_would_do_from_here(stacks: StackSet) -> None:
    forked = board(stacks, "you", "hill_climb").moved(9).forked(0, ["hill_climb", "bayesian"])
    assert forked.texts() == ["you 9", "hill_climb *0", "you 9 > hill_climb *0", "you 9 > bayesian *0"]
    assert all(line.trace.lanes["command"][1] == 9 for line in forked.lines[2:])
    with pytest.raises(AfsimError, match="nobody to go on"):
        forked.forked(0, [])


def test_a_board_has_only_so_many_lines(stacks: StackSet) -> None:
    full, message = board(stacks, *["stay"] * MOST_LINES), f"at most {MOST_LINES} lines"
    with pytest.raises(AfsimError, match=message):
        full.added("stay")
    with pytest.raises(AfsimError, match=message):
        full.forked(0, ["stay"])
    with pytest.raises(AfsimError, match=message):
        board(stacks, *["you"] * 99)


def test_taking_over_can_be_undone(stacks: StackSet) -> None:
    mine = board(stacks, "you", "hill_climb").moved(9).stepped()
    taken = mine.taken_over(1)
    assert taken.yours.text() == "hill_climb *1 > you"
    back = taken.back()
    assert back.yours is mine.yours
    assert back.undone == 0
    assert mine.taken_over(0) is mine


def test_undone_moves_are_counted(stacks: StackSet) -> None:
    start = board(stacks)
    after = start.moved(9).moved(4).back()
    assert [after.undone, after.yours.text()] == [1, "you 9"]
    with pytest.raises(AfsimError, match="there is no move to undo"):
        start.back()


def test_at_the_end_the_truth_is_shown_and_nothing_is_undone(stacks: StackSet) -> None:
    ended = board(stacks).moved(6).moved(None)
    assert ended.revealed
    with pytest.raises(AfsimError, match="the truth is shown"):
        ended.back()
    handed = board(stacks).handed_to(0, "fixed")
    assert not handed.revealed
    assert handed.stepped().revealed


def test_a_line_is_removed(stacks: StackSet) -> None:
    assert board(stacks, "you", "stay", "fixed").removed(1).texts() == ["you", "fixed *0"]


@pytest.mark.parametrize(
    ("changes", "texts", "message"),
    [
        ({"stacks": "/etc"}, ["you"], "unknown set '/etc'; expected one of: demo, in memory"),
        ({"stack": 6}, ["you"], r"stack must be integers in 0 \.\.\. 5, got 6"),
        ({"stack": -1}, ["you"], r"stack must be integers in 0 \.\.\. 5, got -1"),
        ({"start": 12}, ["you"], r"start must be integers in 0 \.\.\. 11, got 12"),
        ({"steps": 0}, ["you"], "steps must be at least 1"),
        ({"steps": 10**9}, ["you"], "steps must be .*at most 1000"),
        ({"seed": -1}, ["you"], "seed must be in 0"),
        ({"lens": "magic"}, ["you"], "unknown lens preset 'magic'"),
        ({"sensor": "dim,iso=loud"}, ["you"], "sensor option 'iso': expected a number, got 'loud'"),
        ({"breathing": float("nan")}, ["you"], "breathing must be"),
        ({}, ["you 3 12"], "line 'you 3 12': there is no index 12; expected 0 ... 11"),
        ({}, ["you", "magic *1"], "unknown policy 'magic'"),
        ({}, ["you", "fixed *5"], "line 'fixed .5': fixed makes 1 moves from there, expected 5"),
        ({"steps": 2}, ["you 3 4 5"], "line 'you 3 4 5': the episode is over"),
    ],
)
def test_what_does_not_exist_is_named(
    stacks: StackSet, changes: dict[str, object], texts: list[str], message: str
) -> None:
    with pytest.raises(AfsimError, match=message):
        board(stacks, *texts, **changes)


def test_another_setup_plays_as_many_moves_as_it_allows(stacks: StackSet, unlabelled_stacks: StackSet) -> None:
    texts = ["you 3 4 5 > bayesian *2", "hill_climb *4", "zncc_disparity *1"]
    shorter = make_board(replace(SETUP, steps=2), opened(stacks), texts, lenient=True)
    assert shorter.texts()[0] == "you 3 4"
    assert shorter.revealed
    # Without a second view a policy that needs two is left out.
    other = make_board(replace(SETUP, stack=1), opened(unlabelled_stacks), texts, lenient=True)
    assert other.texts() == ["you 3 4 5 > bayesian *2", "hill_climb *4"]
    # Commands that do not exist there leave the beginning.
    assert make_board(replace(SETUP, stacks=SET), opened(stacks), ["you 40"], lenient=True).texts() == ["you"]


def test_a_changed_camera_is_met_with_the_same_moves(stacks: StackSet) -> None:
    ideal = board(stacks, "you 3 9 7")
    worn = make_board(replace(SETUP, lens="worn_warm"), opened(stacks), ideal.texts(), lenient=True)
    assert worn.yours.trace.lanes["command"].tolist() == ideal.yours.trace.lanes["command"].tolist()
    assert not np.array_equal(worn.yours.trace.lanes["position"], ideal.yours.trace.lanes["position"])
