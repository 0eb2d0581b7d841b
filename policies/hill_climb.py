"""Contrast hill-climb: step towards more contrast, turn back at a drop, close in on the peak.

The family of contrast-detection autofocus in cameras without phase pixels.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError
from afsim.keys import Keys
from afsim.measures import get_measure
from afsim.policies.contrast import ContrastPolicy
from afsim.policy import Features, FloatArray, Knowledge, Status
from afsim.task import Observation

IntArray = npt.NDArray[np.int64]


class HillMemory(NamedTuple):
    """``scores`` (N, n): the contrast of every slice seen, NaN where none was."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    scores: FloatArray


class Bracket(NamedTuple):
    """The best slice seen (N,) and its nearest seen neighbours; -1 and n stand for none."""

    best: IntArray
    below: IntArray
    above: IntArray


@dataclass(frozen=True)
class HillClimb(ContrastPolicy):
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
    contrast_ratio : float
        libcamera's test of a real peak (0.75).
    """

    first_step: int = 5
    drop: float = 0.02
    contrast_ratio: float = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        if get_measure(self.measure).family == "D*":
            raise AfsimError(
                f"hill_climb compares contrasts by their ratio, which {self.measure} has not: its scores are "
                "negative costs; use sweep"
            )
        if self.first_step < 1:
            raise AfsimError(f"first_step must be at least 1 index, got {self.first_step}")
        for name in ("drop", "contrast_ratio"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise AfsimError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    def begin(self, keys: Keys, knowledge: Knowledge) -> HillMemory:
        """Start with nothing seen."""
        lanes = len(keys)
        unseen = np.full((lanes, self.spec.n), np.nan)
        return HillMemory(np.zeros(lanes, np.int8), np.zeros(lanes, np.float32), unseen)

    def decide(
        self, features: Features, observation: Observation, memory: HillMemory
    ) -> tuple[FloatArray, HillMemory]:
        """Note what was seen, then climb, close in, or end at the peak."""
        here = np.rint(self.current(observation)).astype(np.int64)
        scores = memory.scores.copy()
        # A contrast that is no number is none; NaN is kept for what was not seen.
        scores[np.arange(len(here)), here] = np.where(np.isfinite(features.astype(np.float64)), features, 0.0)
        bracket = bracket_of(scores)
        closed = (bracket.below >= 0) | (bracket.best == 0)
        closed &= (bracket.above < self.spec.n) | (bracket.best == self.spec.n - 1)

        search = np.where(closed, self._close_in(scores, bracket), self._climb(scores, bracket, here))
        resolved = closed & (widest_gap(bracket, self.spec.n) <= 1)

        height = np.nanmax(scores, axis=1)
        flatness = np.where(height > 0, np.nanmin(scores, axis=1) / np.where(height > 0, height, 1.0), 1.0)
        steep = flatness <= self.contrast_ratio
        both_ends_seen = ~np.isnan(scores[:, 0]) & ~np.isnan(scores[:, -1])
        settled = resolved & (steep | both_ends_seen)
        search = np.where(resolved, self._widen(scores, here), search)

        last = np.asarray(observation["steps_left"][:, 0], dtype=np.float64) <= 1
        command = np.where(settled | last, np.rint(parabola_peak(scores, bracket)), search)
        verdict = np.where(steep, Status.FOCUSED, Status.FAILED)
        status = np.where(settled, verdict, Status.SEARCHING).astype(np.int8)
        confidence = np.where(closed, 1.0 - flatness, 0.0).astype(np.float32)

        ended = memory.status != Status.SEARCHING
        return (
            np.where(ended, here, command),
            HillMemory(
                np.where(ended, memory.status, status),
                np.where(ended, memory.confidence, confidence),
                scores,
            ),
        )

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


def bracket_of(scores: FloatArray) -> Bracket:
    """Return the best slice of each lane and its nearest seen neighbours; ties go to the smallest index."""
    n = scores.shape[1]
    best = np.nanargmax(scores, axis=1)
    index = np.arange(n)
    seen = ~np.isnan(scores)
    below = np.where(seen & (index < best[:, None]), index, -1).max(axis=1)
    above = np.where(seen & (index > best[:, None]), index, n).min(axis=1)
    return Bracket(best, below, above)


def widest_gap(bracket: Bracket, n: int) -> IntArray:
    """Return the larger distance (N,) from the best slice to its neighbours; a missing neighbour is no gap."""
    down = np.where(bracket.below >= 0, bracket.best - bracket.below, 0)
    up = np.where(bracket.above < n, bracket.above - bracket.best, 0)
    return np.maximum(down, up)


def parabola_peak(scores: FloatArray, bracket: Bracket) -> FloatArray:
    """Return the peak (N,) of the parabola through the best slice and both neighbours, else the best slice.

    The neighbours need not be equally far. The peak of three points whose middle one is highest lies between them.
    """
    n = scores.shape[1]
    lanes = np.arange(len(scores))
    both = (bracket.below >= 0) & (bracket.above < n)
    low, high = np.where(both, bracket.below, 0), np.where(both, bracket.above, 0)
    middle = scores[lanes, bracket.best]
    left, right = (bracket.best - low).astype(np.float64), (high - bracket.best).astype(np.float64)
    fall_left, fall_right = middle - scores[lanes, low], middle - scores[lanes, high]
    bend = left * fall_right + right * fall_left
    sound = both & (bend > 0)
    offset = (left**2 * fall_right - right**2 * fall_left) / np.where(sound, 2.0 * bend, 1.0)
    return np.asarray(bracket.best - np.where(sound, offset, 0.0), dtype=np.float64)
