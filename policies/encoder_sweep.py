"""Sweep once, and use the recorded curve to tell where the lens is: backlash without a position sensor.

After the fast autofocus of the OpenFlexure microscope.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.keys import Keys
from afsim.policies.curve import IntArray, bracket_of, flatness_of, noted, nothing_seen, vertex_of
from afsim.policies.search import BoolArray, SearchPolicy
from afsim.policy import Features, FloatArray, Knowledge, Status
from afsim.task import Observation

# Heights below this share of the peak are as good as none; a logarithm has a pole at 0.
_LEAST: Final = 1e-6


class EncoderMemory(NamedTuple):
    """Of N sweeps: the recorded curve, and how it goes on."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    scores: FloatArray
    """(N, n) contrast along the sweep, NaN where it did not look."""
    start: IntArray
    """(N,) where the episode began; -1 before."""
    first: FloatArray
    """(N,) contrast there."""
    heading: IntArray
    """(N,) the direction of the sweep: 1 nearer, -1 farther."""
    returned: BoolArray
    """(N,) whether the sweep is over and the lens is back, short of the peak."""


class _Peak(NamedTuple):
    """The top of a recorded curve (N,): a parabola in the logarithm of the contrast."""

    place: FloatArray
    height: FloatArray


@dataclass(frozen=True)
class EncoderSweep(SearchPolicy):
    """Sweep one way, return short of the peak, read off the curve where the lens is, and go the rest of the way.

    The sweep begins at the nearer end of the range and goes on until the contrast has fallen to ``contrast_ratio``
    of its maximum and the flank is twice ``short`` long, or to the other end. All of the curve is recorded in one
    direction, hence with one error. On the way back the lens hangs behind its command by the backlash, so it is
    stopped ``short`` of the peak, on the flank that it comes down: what it sees there tells, by the curve, how far
    it still is, and the last move, in the same direction, loses nothing more. Backlash of up to ``short`` is taken
    out, where the range leaves room for the flank.

    Ends FOCUSED, or FAILED at its start where the curve is flat or its peak is worse than the start by ``worse``.
    A game too short for all of that goes to the best slice seen with its last move.

    Attributes
    ----------
    step : int
        In indices; 5 is the 1 dioptre coarse step of a phone's controller (libcamera, IMX708 tuning).
    short : int
        By how many indices to stop short of the peak (assumed: a step).
    worse : float
        By what share the peak may be below the contrast at the start (0.15, NINA): noise moves both.

    Raises
    ------
    AfsimError
        For an option out of range.
    """

    step: int = 5
    short: int = 5
    worse: float = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("step", "short"):
            self.check_step(name)
        self.check_share("worse")

    def begin(self, keys: Keys, knowledge: Knowledge) -> EncoderMemory:
        """Start with nothing seen."""
        lanes = len(keys)
        return EncoderMemory(
            *nothing_seen(lanes, self.spec.n),
            start=np.full(lanes, -1),
            first=np.zeros(lanes),
            heading=np.zeros(lanes, np.int64),
            returned=np.zeros(lanes, np.bool_),
        )

    def decide(
        self, features: Features, observation: Observation, memory: EncoderMemory
    ) -> tuple[FloatArray, EncoderMemory]:
        """Record what was seen along the sweep, then sweep on, return, or correct."""
        here = np.rint(self.current(observation)).astype(np.int64)
        memory = self._noted(here, features, memory)
        swept, returned = np.asarray((~np.isnan(memory.scores)).any(axis=1)), memory.returned
        scores = np.where(swept[:, None], memory.scores, 0.0)
        peak = _peak(scores)
        steps_left = np.asarray(observation["steps_left"][:, 0], dtype=np.float64)

        over = swept & ~returned & self._finished(here, scores, memory, steps_left)
        flat = flatness_of(scores) > self.contrast_ratio
        failed = over & (flat | (peak.height < (1.0 - self.worse) * memory.first))
        status = np.where(failed, Status.FAILED, np.where(returned, Status.FOCUSED, Status.SEARCHING))

        n = self.spec.n
        onward = np.where(swept, here + memory.heading * self.step, np.where(memory.heading > 0, 0, n - 1))
        back = np.rint(peak.place) + memory.heading * self.short
        now = np.where(np.isfinite(features.astype(np.float64)), features, 0.0)
        correction = np.rint(_place_on(scores, now, memory.heading, peak) - peak.place)
        command = np.where(returned, here - correction, np.where(over, back, onward))
        last = (steps_left <= 1) & ~returned
        best = np.where(swept & (scores.max(axis=1) > memory.first), np.rint(peak.place), memory.start)
        command = np.where(failed, memory.start, np.where(last, best, command)).clip(0, n - 1)

        ended = memory.status != Status.SEARCHING
        trusted = np.where(swept & (over | returned), 1.0 - flatness_of(scores), 0.0)
        return np.where(ended, here, command).astype(np.float64), memory._replace(
            status=np.where(ended, memory.status, status).astype(np.int8),
            confidence=np.where(ended, memory.confidence, trusted).astype(np.float32),
            returned=returned | over,
        )

    def _noted(self, here: IntArray, features: Features, memory: EncoderMemory) -> EncoderMemory:
        """Return the memory with what was seen (N,): at the start, along the sweep, or after it (not recorded)."""
        n, begins = self.spec.n, memory.start < 0
        start = np.where(begins, here, memory.start)
        heading = np.where(begins, np.where(here <= (n - 1) / 2, 1, -1), memory.heading)
        seen = noted(memory.scores, here, features)
        lanes = np.arange(len(here))
        # A start at the end of the range is the beginning of the sweep already.
        sweeps = (~begins | (here == np.where(heading > 0, 0, n - 1))) & ~memory.returned
        return memory._replace(
            start=start,
            heading=heading,
            first=np.where(begins, seen[lanes, here], memory.first),
            scores=np.where(sweeps[:, None], seen, memory.scores),
        )

    def _finished(
        self, here: IntArray, scores: FloatArray, memory: EncoderMemory, steps_left: FloatArray
    ) -> BoolArray:
        """Tell which sweeps (N,) have seen the peak, or all there is, or just leave time to return and correct."""
        lanes = np.arange(len(here))
        top = np.nanmax(scores, axis=1)
        fallen = scores[lanes, here] < self.contrast_ratio * top
        # A start that was sharper than all of the sweep so far: the peak is still to come.
        fallen &= top >= (1.0 - self.worse) * memory.first
        at_end = here == np.where(memory.heading > 0, self.spec.n - 1, 0)
        past = (here - bracket_of(scores).best) * memory.heading
        # The flank has to reach as far as backlash may leave the lens.
        return np.asarray(at_end | (fallen & (past >= 2 * self.short)) | ((past > 0) & (steps_left <= 2)))


def _peak(scores: FloatArray) -> _Peak:
    """Return the top of each curve (N,), through its best slice and both neighbours in the logarithm."""
    bracket, n = bracket_of(scores), scores.shape[1]
    lanes, best = np.arange(len(scores)), bracket.best
    top = scores[lanes, best]
    both = (bracket.below >= 0) & (bracket.above < n) & (top > 0)
    low, high = np.where(both, bracket.below, best), np.where(both, bracket.above, best)
    scale = np.where(top > 0, top, 1.0)
    fall_low, fall_high = (-np.log(np.maximum(scores[lanes, side] / scale, _LEAST)) for side in (low, high))
    vertex = vertex_of((low - best, high - best), (fall_low, fall_high), both)
    return _Peak(best + vertex.offset, top * np.exp(vertex.rise))


def _place_on(scores: FloatArray, now: FloatArray, heading: IntArray, peak: _Peak) -> FloatArray:
    """Return where on the curve's far flank (N,) the contrast is what is seen now.

    Between samples the square root of the logarithm's fall from the top is interpolated: it is straight along a
    bell, and close to any smooth peak. The flank reaches from the top as far as it falls; beyond is its end.
    """
    height = np.where(peak.height > 0, peak.height, 1.0)

    def fall(values: FloatArray) -> FloatArray:
        return np.asarray(np.sqrt(-np.log((values / height).clip(_LEAST, 1.0))))

    wanted = fall(now)
    place, depth = peak.place.copy(), np.zeros_like(wanted)
    found = wanted <= 0
    n = scores.shape[1]
    for away in range(n):
        column = np.where(heading > 0, away, n - 1 - away)
        value = scores[np.arange(len(now)), column]
        on_flank = ~np.isnan(value) & ((column - peak.place) * heading > 0) & ~found
        deeper = fall(np.where(np.isnan(value), height, value))
        falls = on_flank & (deeper > depth)
        reached = falls & (deeper >= wanted)
        share = (wanted - depth) / np.where(falls, deeper - depth, 1.0)
        place = np.where(falls, place + (column - place) * np.where(reached, share, 1.0), place)
        depth = np.where(falls, deeper, depth)
        found |= reached | (on_flank & ~falls)
    return place
