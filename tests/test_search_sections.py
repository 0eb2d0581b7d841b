"""Interval reduction against the least that any search needs, found by trying all of them."""

from functools import cache

import numpy as np
import pytest

from afsim.policies import make
from afsim.policies.brent import best_parabola
from afsim.policies.section_search import SectionSearch, observations_needed
from afsim.task import TaskSpec
from tests.searching import PEAKS, STARTS, bells, follow

LONGEST = 49


@cache
def least(one: int, other: int) -> int:
    """Return the fewest further observations that find any single peak, of all searches, by trying them."""
    narrow, wide = min(one, other), max(one, other)
    if wide <= 1:
        return 0
    wide_side = (1 + max(least(narrow, away), least(away, wide - away)) for away in range(1, wide))
    narrow_side = (1 + max(least(wide, away), least(away, narrow - away)) for away in range(1, narrow))
    return min([*wide_side, *narrow_side])


@cache
def least_width(one: int, other: int, left: int) -> int:
    """Return the least of the widest gaps that ``left`` observations may leave, of all searches."""
    narrow, wide = min(one, other), max(one, other)
    if wide <= 1 or left == 0:
        return wide
    splits = [(narrow, wide, away) for away in range(1, wide)] + [(wide, narrow, away) for away in range(1, narrow)]
    return min(
        max(least_width(kept, away, left - 1), least_width(away, split - away, left - 1))
        for kept, split, away in splits
    )


class Worst:
    """The most observations that a search needs for a single peak."""

    def __init__(self, name: str) -> None:
        policy = make(name, TaskSpec(LONGEST, 1, 8, 8, 5))
        assert isinstance(policy, SectionSearch)
        sides = np.arange(1, LONGEST + 1)
        many = np.full((LONGEST, LONGEST), LONGEST)
        self.away = policy.section(np.minimum.outer(sides, sides), np.maximum.outer(sides, sides), many)
        self.known: dict[tuple[int, int], int] = {}

    def __call__(self, one: int, other: int) -> int:
        narrow, wide = min(one, other), max(one, other)
        if wide <= 1:
            return 0
        if (narrow, wide) not in self.known:
            away = int(self.away[narrow - 1, wide - 1])
            assert 1 <= away < wide
            self.known[narrow, wide] = 1 + max(self(narrow, away), self(away, wide - away))
        return self.known[narrow, wide]


PAIRS = [(narrow, wide) for wide in range(1, LONGEST + 1) for narrow in range(1, wide + 1)]


def test_the_observations_needed_are_the_fewest_of_all_searches() -> None:
    narrow, wide = np.array(PAIRS).T
    np.testing.assert_array_equal(observations_needed(narrow, wide), [least(*pair) for pair in PAIRS])
    np.testing.assert_array_equal(observations_needed(wide, narrow), observations_needed(narrow, wide))


def test_fibonacci_never_needs_more() -> None:
    worst = Worst("fibonacci")
    assert [worst(*pair) for pair in PAIRS] == [least(*pair) for pair in PAIRS]


@pytest.mark.parametrize("left", [1, 2, 3, 5])
def test_fibonacci_leaves_the_shortest_interval_when_steps_are_few(left: int) -> None:
    policy = make("fibonacci", TaskSpec(LONGEST, 1, 8, 8, 5))
    assert isinstance(policy, SectionSearch)
    sides = np.arange(1, LONGEST + 1)
    narrow, wide = np.minimum.outer(sides, sides), np.maximum.outer(sides, sides)
    away = [policy.section(narrow, wide, np.full_like(wide, k)).clip(1, np.maximum(wide - 1, 1)) for k in range(9)]

    @cache
    def width(one: int, other: int, k: int) -> int:
        narrow, wide = min(one, other), max(one, other)
        if wide <= 1 or k == 0:
            return wide
        step = int(away[k][narrow - 1, wide - 1])
        return max(width(narrow, step, k - 1), width(step, wide - step, k - 1))

    starts = [(start + 1, LONGEST - start) for start in range(LONGEST)]
    assert [width(*sides, left) for sides in starts] == [least_width(*sides, left) for sides in starts]


@pytest.mark.parametrize("name", ["fibonacci", "one_sided:fibonacci"])
def test_fibonacci_plans_with_the_steps_that_are_left_whatever_the_budget(name: str) -> None:
    curves, starts = bells(PEAKS, 6.0), STARTS
    specs = [TaskSpec(curves.shape[1], 1, 8, 8, budget) for budget in (4, 40)]
    short, long = (follow(make(name, spec), curves, starts, 4) for spec in specs)
    np.testing.assert_array_equal(short.commands, long.commands)
    assert (short.commands != follow(make(name, specs[0]), curves, starts, 40).commands[:5]).any()


def test_the_golden_section_needs_at_most_one_more() -> None:
    worst = Worst("golden_section")
    surplus = {worst(*pair) - least(*pair) for pair in PAIRS}
    assert surplus <= {0, 1}


@pytest.mark.parametrize("name", ["fibonacci", "golden_section"])
@pytest.mark.parametrize("start", range(LONGEST))
def test_a_stack_of_49_takes_7_or_8_beyond_the_start(name: str, start: int) -> None:
    assert Worst(name)(start + 1, LONGEST - start) == least(start + 1, LONGEST - start) in {7, 8}


@pytest.mark.parametrize("seen", [(3, 10, 12), (0, 1, 2), (20, 30, 48), (12, 10, 3)])
@pytest.mark.parametrize("apex", [9.0, 9.6, 25.0])
def test_the_parabola_of_the_three_best_is_exact(seen: tuple[int, int, int], apex: float) -> None:
    scores = np.full((1, LONGEST), np.nan)
    scores[0, list(seen)] = 3000.0 - (np.array(seen) - apex) ** 2
    assert np.nanargmax(scores) + best_parabola(scores)[0] == pytest.approx(apex)


@pytest.mark.parametrize(
    "values", [{4: 1.0}, {4: 1.0, 9: 2.0}, {4: 1.0, 9: 1.0, 14: 1.0}, {4: 4.0, 9: 1.0, 14: 3.0}]
)
def test_there_is_no_parabola_without_three_that_bend_down(values: dict[int, float]) -> None:
    scores = np.full((1, LONGEST), np.nan)
    scores[0, list(values)] = list(values.values())
    assert np.isinf(best_parabola(scores)[0])
