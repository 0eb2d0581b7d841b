"""Where episodes end and why: basins, traps, cycles and searches without an end, on constructed episodes."""

import numpy as np
import numpy.typing as npt

from afsim.basins import Fate, basin_widths, by_start, ends_of, periods, traps
from afsim.policy import Status
from afsim.rollout import Episodes

S, F, X = Status.SEARCHING, Status.FOCUSED, Status.FAILED


def make_episodes(
    commands: list[list[float]], status: list[Status], *, stack: list[int] | None = None, length: int | None = None
) -> Episodes:
    """Make episodes of an exact lens that go where ``commands`` say, the first of each its start."""
    places = np.array(commands, dtype=np.float64)
    count, steps = len(places), places.shape[1] - 1
    every = np.zeros((count, steps + 1), dtype=np.int8)
    every[:, -1] = status
    numbers = np.full(count, steps if length is None else length, dtype=np.int64)
    moves = (np.diff(places, axis=1) != 0).sum(axis=1)
    travel = np.abs(np.diff(places, axis=1)).sum(axis=1)
    return Episodes(
        stack=np.array(stack or [0] * count, dtype=np.int64),
        start=places[:, 0].astype(np.int64),
        commands=places,
        positions=places.copy(),
        times=np.zeros_like(places),
        status=every,
        confidence=np.zeros(count, dtype=np.float32),
        length=numbers,
        observations=numbers,
        moves=moves,
        reversals=np.zeros(count, dtype=np.int64),
        travel_index=travel,
        travel_um=travel,
        reachable=np.ones(count, dtype=np.bool_),
        clamped=np.zeros(count, dtype=np.bool_),
    )


def fates(commands: list[list[float]], status: list[Status], truth: float) -> list[Fate]:
    ends = ends_of(make_episodes(commands, status), np.array([truth]))
    return [Fate(int(fate)) for fate in ends.fate]


def test_a_fate_is_told_by_the_error_and_by_what_the_policy_says() -> None:
    ended = [[0.0, 5.0]] * 2 + [[0.0, 6.0]] + [[0.0, 9.0]] * 3
    said = [F, S, F, F, X, S]
    assert fates(ended, said, 4.5) == [
        Fate.IN_FOCUS,
        Fate.IN_FOCUS,
        Fate.NEAR,
        Fate.WRONG,
        Fate.FAILED,
        Fate.NEVER_ENDING,
    ]


def test_the_borders_are_those_of_success_and_of_focused_but_wrong() -> None:
    assert fates([[0.0, 5.0], [0.0, 6.0], [0.0, 7.0]], [F, F, F], 5.0) == [Fate.IN_FOCUS, Fate.IN_FOCUS, Fate.NEAR]
    assert fates([[0.0, 5.0], [0.0, 6.0], [0.0, 7.0]], [F, F, F], 4.9) == [Fate.IN_FOCUS, Fate.NEAR, Fate.WRONG]


def test_errors_are_signed_and_exact_and_places_rounded_half_up() -> None:
    episodes = make_episodes([[0.0, 4.5], [9.0, 2.0]], [F, F])
    ends = ends_of(episodes, np.array([5.25]))
    assert ends.error.tolist() == [-0.75, -3.25]
    assert ends.place.tolist() == [5, 2]


def test_worse_is_more_than_an_index_farther_from_the_truth_than_the_start() -> None:
    ends = ends_of(make_episodes([[5.0, 6.0], [5.0, 6.5], [5.0, 3.0], [8.0, 2.0]], [F] * 4), np.array([5.0]))
    assert ends.worse.tolist() == [False, True, True, False]


def test_a_cycle_has_the_period_of_what_repeats() -> None:
    commands = [
        [0, 3, 9, 3, 9, 3, 9],  # two alternate
        [0, 2, 5, 8, 2, 5, 8],  # not three in a row twice, since the last move does not count
        [2, 5, 8, 2, 5, 8, 1],  # three, whatever the last move
        [0, 4, 4, 4, 4, 4, 4],  # stands still
        [0, 1, 2, 3, 4, 5, 6],
    ]
    found = periods(make_episodes([list(map(float, line)) for line in commands], [S] * 5))
    assert found.tolist() == [2, 0, 3, 0, 0]


def test_what_has_ended_is_no_cycle() -> None:
    hunting = [[9.0, 3.0, 9.0, 3.0, 9.0]] * 2
    assert periods(make_episodes(hunting, [F, X])).tolist() == [0, 0]
    assert periods(make_episodes(hunting, [S, S], length=3)).tolist() == [0, 0]
    assert fates(hunting, [S, F], 5.0) == [Fate.CYCLE, Fate.WRONG]


def test_one_step_is_no_cycle() -> None:
    assert periods(make_episodes([[3.0, 4.0]], [S])).tolist() == [0]


def two_stacks() -> tuple[Episodes, npt.NDArray[np.float64]]:
    """Two stacks with starts 0 ... 4, focus at 1 and 3; given in no order."""
    ends = {0: [1, 1, 1, 4, 4], 1: [0, 3, 3, 3, 0]}
    pairs = [(stack, start) for start in (3, 0, 4, 1, 2) for stack in (1, 0)]
    commands = [[float(start), float(ends[stack][start])] for stack, start in pairs]
    status = [F if stack == 0 else S for stack, _ in pairs]
    return make_episodes(commands, status, stack=[stack for stack, _ in pairs]), np.array([1.0, 3.0])


def test_a_table_has_a_line_a_stack_and_rising_starts() -> None:
    episodes, _ = two_stacks()
    assert by_start(episodes.start, episodes).tolist() == [[0, 1, 2, 3, 4]] * 2
    assert by_start(episodes.positions[:, -1], episodes).tolist() == [[1, 1, 1, 4, 4], [0, 3, 3, 3, 0]]


def test_a_trap_is_an_index_out_of_focus_and_the_starts_that_it_attracts() -> None:
    episodes, truth = two_stacks()
    first, second = traps(episodes, ends_of(episodes, truth))
    assert (first.stack, first.place, first.starts.tolist(), first.error) == (0, 4, [3, 4], 3.0)
    assert (first.wrong, first.never_ending) == (2, 0)
    assert (second.stack, second.place, second.starts.tolist(), second.error) == (1, 0, [0, 4], -3.0)
    assert (second.wrong, second.never_ending) == (0, 2)


def test_the_most_attractive_trap_of_a_stack_comes_first() -> None:
    episodes = make_episodes([[0.0, 9.0], [1.0, 7.0], [2.0, 9.0], [3.0, 3.0]], [F] * 4)
    assert [trap.place for trap in traps(episodes, ends_of(episodes, np.array([3.0])))] == [9, 7]


def test_a_basin_is_what_surrounds_the_truth_without_a_gap() -> None:
    episodes, truth = two_stacks()
    assert basin_widths(episodes, ends_of(episodes, truth), truth).tolist() == [3, 3]
    gap = make_episodes([[0.0, 3.0], [1.0, 9.0], [2.0, 3.0], [3.0, 3.0]], [F] * 4)
    assert basin_widths(gap, ends_of(gap, np.array([3.0])), np.array([3.0])).tolist() == [2]
    missed = make_episodes([[0.0, 3.0], [3.0, 9.0]], [F] * 2)
    assert basin_widths(missed, ends_of(missed, np.array([3.0])), np.array([3.0])).tolist() == [0]


def test_without_a_truth_an_episode_has_no_error_and_no_trap() -> None:
    episodes = make_episodes([[0.0, 9.0]], [F])
    ends = ends_of(episodes, np.array([np.nan]))
    assert np.isnan(ends.error).all()
    assert ends.fate.tolist() == [Fate.NEAR]
    assert list(traps(episodes, ends)) == []
