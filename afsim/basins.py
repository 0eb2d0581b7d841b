"""Where a policy ends, from where: basins, traps, cycles and searches that never end. Pure functions of Episodes.

A start is in the *basin* of a stack where its episode ends within an index of the exact truth. Starts that end
elsewhere are in a *trap*: the index that they end at, which attracts them. A *cycle* is a sequence of commands that
repeats: the policy hunts.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.metrics import IN_FOCUS, WRONG
from afsim.policy import Status
from afsim.rollout import Episodes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Fate(IntEnum):
    """How an episode went, worst last; the first that holds, from the last."""

    IN_FOCUS = 0
    NEAR = 1
    """Out of focus, by no more than ``WRONG``."""
    FAILED = 2
    """Out of focus, and the policy says so."""
    NEVER_ENDING = 3
    """Out of focus, and still searching when the budget is used."""
    CYCLE = 4
    """Never ending, and its commands repeat."""
    WRONG = 5
    """Focused, as it says, but more than ``WRONG`` indices from the truth."""


class Ends(NamedTuple):
    """How E episodes ended."""

    error: FloatArray
    """(E,) signed exact error in indices; negative is too far."""
    place: IntArray
    """(E,) the index where the lens is, rounded half up; outside the recording where the lens is."""
    status: npt.NDArray[np.int8]
    """(E,) the last one."""
    steps: IntArray
    """(E,) predictions until the policy's search was over, all of the budget where it never was."""
    period: IntArray
    """(E,) of the commands that repeat; 0 where none do."""
    worse: BoolArray
    """(E,) whether it ended more than an index farther from the truth than it started."""
    fate: npt.NDArray[np.int8]
    """(E,) of :class:`Fate`."""


def ends_of(episodes: Episodes, truth: FloatArray) -> Ends:
    """Return how episodes ended.

    Parameters
    ----------
    episodes : Episodes
        What a policy did.
    truth : (N,) float64
        Exact truth of each stack; an episode without has a NaN error, and no fate but NEAR.
    """
    of_each = truth[episodes.stack]
    final, status = episodes.positions[:, -1], episodes.status[:, -1]
    error = final - of_each
    size = np.abs(error)
    period = periods(episodes)
    searching = status == Status.SEARCHING
    fate = np.full(len(size), Fate.NEAR, dtype=np.int8)
    far = size > WRONG
    fate[size <= IN_FOCUS] = Fate.IN_FOCUS
    fate[far & (status == Status.FAILED)] = Fate.FAILED
    fate[far & searching] = Fate.NEVER_ENDING
    fate[far & searching & (period > 0)] = Fate.CYCLE
    fate[far & (status == Status.FOCUSED)] = Fate.WRONG
    return Ends(
        error=error,
        place=np.floor(final + 0.5).astype(np.int64),
        status=status,
        steps=episodes.length,
        period=period,
        worse=size > np.abs(episodes.positions[:, 0] - of_each) + IN_FOCUS,
        fate=fate,
    )


def periods(episodes: Episodes) -> IntArray:
    """Return the period (E,) of commands that repeat at the end of a search that never ended; 0 where none do.

    The smallest number of commands, 2 or more and not all alike, that came twice in a row, last. The very last move
    does not count: policies that know their budget spend it on going back to their best.
    """
    commands, count = episodes.commands[:, :-1], episodes.commands.shape[1] - 1
    never = (episodes.status[:, -1] == Status.SEARCHING) & (episodes.length == count)
    found = np.zeros(len(commands), dtype=np.int64)
    for p in range(count // 2, 1, -1):
        last, before = commands[:, count - p :], commands[:, count - 2 * p : count - p]
        repeats = (last == before).all(axis=1) & (np.ptp(last, axis=1) > 0)
        found[never & repeats] = p
    return found


def by_start(values: npt.NDArray[np.generic], episodes: Episodes) -> npt.NDArray[np.generic]:
    """Return values (E,) of all pairs of stacks and starts as a table (N, S), starts rising."""
    order = np.lexsort((episodes.start, episodes.stack))
    return np.asarray(values)[order].reshape(len(np.unique(episodes.stack)), -1)


class Trap(NamedTuple):
    """An index of a stack that attracts starts, though the stack is not in focus there."""

    stack: int
    place: int
    """The index."""
    starts: IntArray
    """Those that end there, rising."""
    error: float
    """Mean exact error there, signed."""
    wrong: int
    """How many of its episodes say that they are in focus."""
    never_ending: int


def traps(episodes: Episodes, ends: Ends) -> Iterator[Trap]:
    """Yield the traps of each stack, the most attractive first."""
    outside = np.abs(ends.error) > IN_FOCUS
    for stack in np.unique(episodes.stack):
        own = outside & (episodes.stack == stack)
        places, counts = np.unique(ends.place[own], return_counts=True)
        for place in places[np.argsort(-counts, kind="stable")]:
            at = own & (ends.place == place)
            yield Trap(
                int(stack),
                int(place),
                np.sort(episodes.start[at]),
                float(ends.error[at].mean()),
                int((ends.status[at] == Status.FOCUSED).sum()),
                int((ends.status[at] == Status.SEARCHING).sum()),
            )


def basin_widths(episodes: Episodes, ends: Ends, truth: FloatArray) -> IntArray:
    """Return the width (N,) of the basin around each truth: starts in a row that end in focus.

    They include the start nearest to the truth; 0 where not even that one ends in focus.
    """
    inside = by_start(np.abs(ends.error) <= IN_FOCUS, episodes).astype(np.bool_)
    stacks, starts = np.unique(episodes.stack), np.unique(episodes.start)
    widths = np.zeros(len(stacks), dtype=np.int64)
    for i, stack in enumerate(stacks):
        nearest = int(np.abs(starts - truth[stack]).argmin())
        if inside[i, nearest]:
            outside = np.flatnonzero(~inside[i])
            below, above = outside[outside < nearest], outside[outside > nearest]
            low = below[-1] if below.size else -1
            high = above[0] if above.size else len(starts)
            widths[i] = high - low - 1
    return widths
