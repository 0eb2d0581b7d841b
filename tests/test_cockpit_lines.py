"""Lines of play: hands and policies in turn, bit for bit as everywhere else."""

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.cockpit.line import HAND, Line, Part, read_parts
from afsim.errors import AfsimError
from afsim.lens import make_lens
from afsim.policies import make
from afsim.sensor import make_sensor
from afsim.stackset import StackSet
from afsim.task import FocusTask
from afsim.trace import Trace, by_hand, consult, opening, record

ERRING = {"lens": "worn_warm", "sensor": "dim"}


def make_task(stacks: StackSet, *, declare: bool = True, lens: str = "worn_warm", sensor: str = "dim") -> FocusTask:
    camera = Camera(stacks, make_lens(lens), make_sensor(sensor))
    return FocusTask(camera, budget=6, declare=declare, reward="none")


def begin(stacks: StackSet) -> Line:
    return Line(opening(make_task(stacks), 3, 2, seed=5))


def handed(line: Line, name: str) -> Line:
    return line.handed_to(name, make(name, line.trace.task.spec))


def same(one: Trace, other: Trace, upto: int | None = None) -> None:
    """Check that two episodes are the same bits."""
    assert len(one.moments[:upto]) == len(other.moments[:upto])
    for a, b in zip(one.moments[:upto], other.moments[:upto], strict=True):
        assert a.state.lanes.tobytes() == b.state.lanes.tobytes()
        assert a.state.lens.tobytes() == b.state.lens.tobytes()
        assert a.image.tobytes() == b.image.tobytes()


@pytest.mark.parametrize("name", ["hill_climb", "bayesian", "zncc_disparity", "sweep", "oracle", "random"])
def test_a_policy_plays_the_episode_of_every_comparison(stacks: StackSet, name: str) -> None:
    plain = make_task(stacks, declare=False)
    same(handed(begin(stacks), name).trace, record(plain, make(name, plain.spec), 3, 2, seed=5))


def test_a_hand_meets_the_lens_that_policies_meet(stacks: StackSet) -> None:
    policy = handed(begin(stacks), "hill_climb").ahead(4)
    line = begin(stacks)
    for command in policy.trace.lanes["command"][1:5]:
        line = line.moved(int(command))
    same(line.trace, policy.so_far)
    assert [line.step, line.by_hand, line.name] == [4, True, HAND]


def test_a_policy_takes_over_from_a_hand_and_a_hand_from_a_policy(stacks: StackSet) -> None:
    line = handed(begin(stacks).moved(4).moved(6), "hill_climb").ahead(2).moved(7)
    assert line.text() == "you 4 6 > hill_climb *2 > you 7"
    assert line.name == "you > hill_climb > you"
    assert line.step == 5
    assert line.trace.lanes["command"][[1, 2, 5]].tolist() == [4, 6, 7]


def test_a_policy_that_takes_over_knows_what_was_seen(stacks: StackSet) -> None:
    """Handed over where it would be itself, it goes on as it would have."""
    own = handed(begin(stacks), "hill_climb")
    line = begin(stacks)
    for command in own.trace.lanes["command"][1:3]:
        line = line.moved(int(command))
    same(handed(line, "hill_climb").trace, own.trace)


def test_taking_over_forgets_what_the_policy_would_have_done(stacks: StackSet) -> None:
    line = handed(begin(stacks), "hill_climb").ahead()
    taken = line.taken_over()
    assert len(taken.trace.moments) == 2
    assert taken.by_hand
    assert taken.next_command is None
    assert taken.trace.moments[-1].memory is None
    assert taken.taken_over() is taken
    assert line.next_command is not None  # the line before is as it was


def test_undo_is_the_line_before(stacks: StackSet) -> None:
    first = begin(stacks)
    line = first.moved(5).moved(7)
    assert line.before is not None
    assert line.before.before is first


def test_a_declared_line_is_over(stacks: StackSet) -> None:
    line = begin(stacks).moved(5).moved(None)
    assert line.over
    assert line.text() == "you 5 declare"
    assert line.trace.lanes["command"].tolist() == [2, 5, 5]
    with pytest.raises(AfsimError, match="the episode is over"):
        line.moved(3)
    with pytest.raises(AfsimError, match="the episode is over"):
        handed(line, "stay")


def test_a_line_ends_with_its_budget(stacks: StackSet) -> None:
    line = begin(stacks)
    for command in (3, 4, 5, 6, 7, 8):
        line = line.moved(command)
    assert line.over


def test_a_policys_line_stops_at_its_end(stacks: StackSet) -> None:
    line = handed(begin(stacks), "fixed").ahead(99)
    assert line.next_command is None
    assert line.step == len(line.trace.moments) - 1
    assert line.ahead() is line


def test_so_far_ends_at_the_present_with_its_decision(stacks: StackSet) -> None:
    line = handed(begin(stacks).moved(4), "bayesian").ahead()
    assert len(line.so_far.moments) == 3
    assert line.so_far.belief(2) is not None
    assert line.so_far.forked_at == 1


def test_an_index_that_does_not_exist_is_refused(stacks: StackSet) -> None:
    for command in (-1, 12, 99):  # 12 is the number of the action that declares
        with pytest.raises(AfsimError, match=rf"there is no index {command}; expected 0 \.\.\. 11"):
            begin(stacks).moved(command)


def test_nobody_declares_where_the_game_has_no_such_action(stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="make its task with declare=True"):
        by_hand(opening(make_task(stacks, declare=False), 0, 0), None)


# ---------------------------------------------------------------------- asking
def test_asking_a_policy_gives_what_it_then_does(stacks: StackSet) -> None:
    line = begin(stacks).moved(4).moved(9)
    policy = make("bayesian", line.trace.task.spec)
    asked, command = consult(line.trace, policy)
    played = line.handed_to("bayesian", policy)
    assert played.next_command == command
    np.testing.assert_array_equal(asked.belief(2), played.trace.belief(2))
    same(asked, line.trace)


@pytest.mark.parametrize(("name", "declared"), [("sweep", False), ("bayesian", True)])
def test_asking_needs_a_decision_to_be_made(stacks: StackSet, name: str, declared: bool) -> None:
    line = begin(stacks).moved(None) if declared else begin(stacks)
    with pytest.raises(AfsimError, match="expected an episode that is not over"):
        consult(line.trace, make(name, line.trace.task.spec))


# ---------------------------------------------------------------------- as text
@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("you", (Part(HAND),)),
        ("you 3 14 declare", (Part(HAND, 3, (3, 14), True),)),
        ("hill_climb:laplacian_energy;first_step=3 *2", (Part("hill_climb:laplacian_energy;first_step=3", 2),)),
        ("you 3 > bayesian *0 > you 4", (Part(HAND, 1, (3,)), Part("bayesian", 0), Part(HAND, 1, (4,)))),
        ("  stay  ", (Part("stay"),)),
    ],
)
def test_a_text_is_read_as_parts(text: str, parts: tuple[Part, ...]) -> None:
    assert read_parts(text) == parts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a player before and after each '>'"),
        ("you 3 >", "expected a player before and after each '>'"),
        ("you x", "expected indices after 'you', got 'x'"),
        ("you -3", "expected indices after 'you', got '-3'"),
        ("you declare 3", "expected indices after 'you', got 'declare 3'"),
        ("you ٣", "expected indices after 'you'"),
        ("stay 3", r"expected stay \*MOVES, got 'stay 3'"),
        ("stay *x", r"expected stay \*MOVES"),
        ("stay *1 *2", r"expected stay \*MOVES"),
    ],
)
def test_a_text_that_is_no_line_is_refused(text: str, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        read_parts(text)
