"""Who plays in a study: every policy but the yardsticks, and those that cannot play are named."""

import pytest

from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.experiments.seats import YARDSTICKS, policy_names, seated, spread_evenly, strategies
from afsim.policies import POLICIES
from afsim.stackset import StackSet
from afsim.task import FocusTask, TaskSpec
from tests.conftest import make_stack


def spec_of(stacks: StackSet) -> TaskSpec:
    return FocusTask(Camera(stacks), reward="none").spec


@pytest.fixture(scope="module")
def wide() -> StackSet:
    """One stack with both views, large enough for every estimator of disparity."""
    return StackSet.from_stacks([make_stack(size=64)])


def test_all_policies_play_but_the_yardsticks(wide: StackSet) -> None:
    assert set(strategies()) == set(POLICIES) - set(YARDSTICKS)
    names, notes = seated("", spec_of(wide))
    assert set(names) | {note.split(" ")[0] for note in notes} == set(strategies())
    assert {"hill_climb", "sweep", "zncc_disparity"} <= set(names)


def test_all_stands_for_the_strategies_that_are_not_named_besides() -> None:
    assert policy_names("all") == strategies()
    names = policy_names("stay,hill_climb, all,oracle")
    assert names[:2] == ["stay", "hill_climb"]
    assert names[-1] == "oracle"
    assert sorted(names) == sorted([*strategies(), "stay", "oracle"])


def test_those_that_lack_views_or_distances_are_left_out_with_a_note(unlabelled_stacks: StackSet) -> None:
    names, notes = seated("", spec_of(unlabelled_stacks))
    assert "hill_climb" in names
    assert "zncc_disparity" not in names
    assert any(note.startswith("zncc_disparity is left out: ") and "2 views" in note for note in notes)
    assert seated("stay, zncc_disparity", spec_of(unlabelled_stacks))[0] == ["stay"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("magic", "unknown policy 'magic'"),
        ("stay,hill_climb:magic", "unknown focus measure 'magic'"),
        ("stay,stay", "named twice"),
        ("zncc_disparity", "none of the policies can play"),
    ],
)
def test_what_is_wrong_in_itself_is_refused(unlabelled_stacks: StackSet, text: str, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        seated(text, spec_of(unlabelled_stacks))


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [24]), (2, [0, 48]), (7, [0, 8, 16, 24, 32, 40, 48]), (49, list(range(49))), (99, list(range(49)))],
)
def test_starts_are_spread_from_end_to_end(count: int, expected: list[int]) -> None:
    assert spread_evenly(49, count) == expected


def test_no_start_is_refused() -> None:
    with pytest.raises(AfsimError, match="at least 1, got 0"):
        spread_evenly(49, 0)
