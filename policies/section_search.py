"""Interval reduction: keep the best slice between two worse ones, and look where the interval shrinks most.

On a curve with one peak, that peak lies between the seen neighbours of the best slice. Fibonacci search needs the
fewest observations that are sure to find it (Kiefer, 1953); the golden section is its limit for long intervals, and
the fallback of Micro-Manager's OughtaFocus.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from afsim.policies.curve import Bracket, IntArray, bracket_of, flatness_of
from afsim.policies.search import BoolArray, SearchPolicy
from afsim.policy import FloatArray

_GOLDEN: Final = (3.0 - 5.0**0.5) / 2.0


def _fibonacci() -> IntArray:
    """Return the Fibonacci numbers 1, 2, 3, 5, ... beyond any number of slices."""
    numbers = [1, 2]
    while len(numbers) < 60:
        numbers.append(numbers[-2] + numbers[-1])
    return np.array(numbers)


_NUMBERS: Final = _fibonacci()


@dataclass(frozen=True)
class SectionSearch(SearchPolicy):
    """Base of the searches that shrink the interval around the best slice; a child defines :meth:`section`.

    The start is the first slice of the interval, wherever it is. The best slice is never given up, also where the
    curve has more than one peak, and no slice is looked at twice. The search is over once both neighbours of the
    best slice were seen. Where the curve is still flat then, its peak may lie between slices that show none: the
    search goes on in the middle of the widest gap, and fails when no gap is wider than ``flat_gap``.

    Attributes
    ----------
    tolerance : int
        In indices: how near the neighbours of the best slice must be. 1 is the finest.
    flat_gap : int
        In indices; 5 is the 1 dioptre coarse step of a phone's controller (libcamera, IMX708 tuning).
    """

    tolerance: int = 1
    flat_gap: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("tolerance", "flat_gap"):
            self.check_step(name)

    def search(
        self, scores: FloatArray, here: IntArray, steps_left: FloatArray, memory: Any
    ) -> tuple[FloatArray, BoolArray, Any]:
        """Look inside the wider side of the best slice, or where nothing was seen yet."""
        bracket = bracket_of(scores)
        up = bracket.above - bracket.best >= bracket.best - bracket.below
        narrow, wide = sides_of(bracket)
        # No slice is seen twice, and the last move goes to the peak.
        left = steps_left.astype(np.int64) - 1
        away = np.clip(self.section(narrow, wide, left), 1, np.maximum(wide - 1, 1))
        inside = bracket.best + np.where(up, away, -away)

        resolved, flat = wide <= self.tolerance, flatness_of(scores) > self.contrast_ratio
        middle, gap = _widest_unseen(scores)
        command = np.where(resolved, middle, inside).astype(np.float64)
        return command, resolved & (~flat | (gap <= self.flat_gap)), memory

    def section(self, narrow: IntArray, wide: IntArray, left: IntArray) -> IntArray:
        """Return how far from the best slice to look (N,), into the wider side.

        ``narrow`` and ``wide`` (N,) are the distances to its seen neighbours; one is beyond each end of the range.
        ``left`` (N,) observations can still be made.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class GoldenSection(SectionSearch):
    """Divide the wider side in the golden section."""

    def section(self, narrow: IntArray, wide: IntArray, left: IntArray) -> IntArray:
        """Look 0.382 of the wider side away."""
        return _golden(wide)


@dataclass(frozen=True)
class Fibonacci(SectionSearch):
    """Divide the wider side so that what remains after the last observation is shortest, whatever they show.

    Where the steps suffice, that is the slice itself, after the fewest observations that are sure to find it.
    """

    def section(self, narrow: IntArray, wide: IntArray, left: IntArray) -> IntArray:
        """Look in the golden section where that is no worse, else where a Fibonacci number of units remains."""
        left = np.clip(left, 1, np.maximum(observations_needed(narrow, wide), 1))
        unit = np.maximum(_length(narrow, wide, left), 1.0)
        golden = _golden(wide)
        # Whichever of both slices is better, one observation less must do for what remains.
        kept, given_up = _length(narrow, golden, left - 1), _length(golden, wide - golden, left - 1)
        fibonacci = np.rint(wide - _NUMBERS[left - 1] * unit).astype(np.int64)
        return np.where(np.maximum(kept, given_up) <= unit, golden, fibonacci)


def _length(one: IntArray, other: IntArray, left: IntArray) -> FloatArray:
    """Return to what length (N,) so many observations are sure to shrink both sides of the best slice."""
    narrow, wide = np.minimum(one, other), np.maximum(one, other)
    alone = narrow / np.where(left > 0, _NUMBERS[left - 1], 1)
    return np.maximum(np.maximum((narrow + wide) / _NUMBERS[left + 1], wide / _NUMBERS[left]), alone)


def observations_needed(one: IntArray, other: IntArray) -> IntArray:
    """Return how many more observations are sure to find a single peak (N,).

    A slice that is better than its neighbours, ``narrow`` <= ``wide`` indices away, needs the smallest j for which
    narrow + wide <= F(j+3), wide <= F(j+2) and narrow <= F(j+1), with F(1) = F(2) = 1.
    """
    narrow, wide = np.minimum(one, other), np.maximum(one, other)
    both = np.searchsorted(_NUMBERS, narrow + wide) - 1
    alone = np.where(narrow > 1, np.searchsorted(_NUMBERS, narrow) + 1, 0)
    return np.maximum(np.maximum(both, np.searchsorted(_NUMBERS, wide)), alone)


def _golden(wide: IntArray) -> IntArray:
    """Return 0.382 of a distance (N,), at least one index from both ends where there is room."""
    return np.asarray(np.clip(np.rint(_GOLDEN * wide), 1, np.maximum(wide - 1, 1)), dtype=np.int64)


def sides_of(bracket: Bracket) -> tuple[IntArray, IntArray]:
    """Return the shorter and the longer distance (N,) from the best slice to its neighbours."""
    up, down = bracket.above - bracket.best, bracket.best - bracket.below
    return np.minimum(up, down), np.maximum(up, down)


def _widest_unseen(scores: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the middle of the widest gap between seen slices (N,), and its width; the first of several."""
    lanes, n = np.arange(len(scores)), scores.shape[1]
    seen, index = ~np.isnan(scores), np.arange(n)
    below = np.maximum.accumulate(np.where(seen, index, -1), axis=1)
    above = np.minimum.accumulate(np.where(seen, index, n)[:, ::-1], axis=1)[:, ::-1]
    widest = (above - below).argmax(axis=1)
    low, high = below[lanes, widest], above[lanes, widest]
    return (low + high) // 2, high - low
