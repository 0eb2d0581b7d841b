"""Contrast hill-climb: step towards more contrast, turn back at a drop, close in on the peak.

The family of contrast-detection autofocus in cameras without phase pixels.
"""

from dataclasses import dataclass

import numpy as np

from afsim.policies.curve import (
    Bracket,
    CurveMemory,
    IntArray,
    bracket_of,
    flatness_of,
    parabola_peak,
    widest_gap,
)
from afsim.policies.search import BoolArray, SearchPolicy, is_closed
from afsim.policy import FloatArray


@dataclass(frozen=True)
class HillClimb(SearchPolicy):
    """Climb by ``first_step`` until the peak is bracketed, then halve the gaps; the last move goes to the peak.

    The peak is that of a parabola through the best slice and its neighbours. The search ends FOCUSED once the
    curve seen falls to ``contrast_ratio`` of its maximum somewhere. A flat curve may be a peak of noise: the search
    widens by ``first_step``, and ends FAILED if it is still flat when both ends of the range are seen.

    Attributes
    ----------
    first_step : int
        In indices; 5 is the 1 dioptre coarse step of a phone's controller (libcamera, IMX708 tuning).
    drop : float
        Relative fall that counts as one; less is noise, and the climb goes on (0.02, Micro-Manager's JAF).

    Raises
    ------
    AfsimError
        For a step below 1 index, a fall that is no share, or what :class:`SearchPolicy` refuses.
    """

    first_step: int = 5
    drop: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_step("first_step")
        self.check_share("drop")

    def search(
        self, scores: FloatArray, here: IntArray, steps_left: FloatArray, memory: CurveMemory
    ) -> tuple[FloatArray, BoolArray, CurveMemory]:
        """Climb, close in, or widen a search whose curve is still flat."""
        bracket = bracket_of(scores)
        closed = is_closed(bracket, self.spec.n)
        command = np.where(closed, self._close_in(scores, bracket), self._climb(scores, bracket, here))
        resolved = closed & (widest_gap(bracket, self.spec.n) <= 1)
        steep = flatness_of(scores) <= self.contrast_ratio
        both_ends_seen = ~np.isnan(scores[:, 0]) & ~np.isnan(scores[:, -1])
        command = np.where(resolved, self._widen(scores, here), command)
        return command, resolved & (steep | both_ends_seen), memory

    def _climb(self, scores: FloatArray, bracket: Bracket, here: IntArray) -> FloatArray:
        """Return where to look while a side of the best slice is still open (N,)."""
        n, best = self.spec.n, bracket.best
        lanes = np.arange(len(here))
        room_above = best < (n - 1) / 2
        upwards = np.where(
            bracket.below < 0, (bracket.above >= n) & room_above & (best < n - 1), bracket.above >= n
        )
        upwards |= best == 0
        target = best + np.where(upwards, self.first_step, -self.first_step)
        # A fall within the noise is no reason to turn: go on beyond it, where nothing was seen yet.
        away = np.sign(here - best)
        level = scores[lanes, here] >= (1.0 - self.drop) * scores[lanes, best]
        seen = ~np.isnan(scores)
        beyond = np.where(
            away > 0, (seen & (np.arange(n) > here[:, None])).any(1), (seen & (np.arange(n) < here[:, None])).any(1)
        )
        inside = (here > 0) & (here < n - 1)
        go_on = (away != 0) & level & ~beyond & inside
        target = np.where(go_on, here + away * self.first_step, target)
        return np.clip(target, 0, n - 1).astype(np.float64)

    def _close_in(self, scores: FloatArray, bracket: Bracket) -> FloatArray:
        """Return where to look inside the bracket (N,): the parabola's peak, or the middle of the wider gap."""
        n, lanes = self.spec.n, np.arange(len(bracket.best))
        peak = np.rint(parabola_peak(scores, bracket)).astype(np.int64)
        new = np.isnan(scores[lanes, peak])
        up = np.where(bracket.above < n, bracket.above - bracket.best, 0)
        down = np.where(bracket.below >= 0, bracket.best - bracket.below, 0)
        middle = np.where(up >= down, bracket.best + (up + 1) // 2, bracket.best - (down + 1) // 2)
        return np.where(new, peak, middle).astype(np.float64)

    def _widen(self, scores: FloatArray, here: IntArray) -> FloatArray:
        """Return where to look while the peak may be one of noise (N,): beyond the nearer end of what was seen."""
        n, seen = self.spec.n, ~np.isnan(scores)
        lowest, highest = seen.argmax(axis=1), n - 1 - seen[:, ::-1].argmax(axis=1)
        upwards = (highest < n - 1) & ((lowest == 0) | (highest - here <= here - lowest))
        target = np.where(upwards, highest + self.first_step, lowest - self.first_step)
        return np.asarray(np.clip(target, 0, n - 1), dtype=np.float64)
