"""Walk across the peak in equal steps and go to the top of a fitted curve: the V-curve of astronomers.

After KStars Ekos (Linear 1 Pass) and NINA, whose rules for refusing a result this follows.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.curvefit import MODELS, CurveFit, fit_curve
from afsim.errors import unknown
from afsim.keys import Keys
from afsim.policies.curve import IntArray, bracket_of, flatness_of, noted, nothing_seen, parabola_peak
from afsim.policies.search import BoolArray, SearchPolicy
from afsim.policy import Features, FloatArray, Knowledge, Status
from afsim.task import Observation

# A curve of three unknowns, and two samples that can contradict it (assumed).
_LEAST_SAMPLES: Final = 5


class CurveFitMemory(NamedTuple):
    """Of N walks: what was seen, and how it goes on."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    scores: FloatArray
    """(N, n) contrast of every slice seen, NaN where none was."""
    start: IntArray
    """(N,) where the episode began; -1 before."""
    heading: IntArray
    """(N,) the direction of the walk: 1 nearer, -1 farther."""
    latest: IntArray
    """(N, 2) the last two slices of the walk, the newest first; -1 for none."""
    arriving: BoolArray
    """(N,) whether the walk is over and the lens on its way to the fitted peak."""


@dataclass(frozen=True)
class CurveFitting(SearchPolicy):
    """Start ``outward`` steps off, walk back in equal steps, fit at each, end the walk when the peak is passed.

    Outward is towards the nearer end of the range. A curve is refitted at each sample, without outliers. The walk
    ends when the fitted peak lies behind and neither of the last two samples is among the best two. Where it falls
    from its first sample it turns and goes on outward, and so it does at the end of the range, until both ends are
    seen. A slice that was seen is not looked at again.

    A fit is accepted of five samples or more that fall to ``contrast_ratio``, with R squared of ``r_squared``
    or more and its peak between the samples. The lens then goes to the peak and looks: FOCUSED, unless the
    contrast is worse than at the start by ``worse``. Without an accepted fit, or with a worse result, the lens goes
    back to its start, FAILED. A game that ends before goes to the peak of an accepted fit, else of a parabola
    through the best three, else to the best slice seen.

    Attributes
    ----------
    model : {"hyperbola", "parabola", "gaussian"}
        Shape of the curve (:mod:`afsim.curvefit`); Ekos's default.
    step : int
        In indices; 5 is the 1 dioptre coarse step of a phone's controller (libcamera, IMX708 tuning).
    outward : int
        Steps to go outward first (assumed: two bracket the start).
    r_squared : float
        Least R squared (0.7, NINA).
    worse : float
        By what share the result may be worse than the start (0.15, NINA): noise moves both.

    Raises
    ------
    AfsimError
        For an option out of range.
    """

    model: str = "hyperbola"
    step: int = 5
    outward: int = 2
    r_squared: float = 0.7
    worse: float = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model not in MODELS:
            raise unknown("curve model", self.model, MODELS)
        for name in ("step", "outward"):
            self.check_step(name)
        for name in ("r_squared", "worse"):
            self.check_share(name)

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``NAME:MODEL``."""
        return {"model": choice}

    def begin(self, keys: Keys, knowledge: Knowledge) -> CurveFitMemory:
        """Start with nothing seen."""
        lanes = len(keys)
        return CurveFitMemory(
            *nothing_seen(lanes, self.spec.n),
            start=np.full(lanes, -1),
            heading=np.zeros(lanes, np.int64),
            latest=np.full((lanes, 2), -1),
            arriving=np.zeros(lanes, np.bool_),
        )

    def decide(
        self, features: Features, observation: Observation, memory: CurveFitMemory
    ) -> tuple[FloatArray, CurveFitMemory]:
        """Note what was seen, fit, then walk on, go to the peak, or end."""
        here = np.rint(self.current(observation)).astype(np.int64)
        scores = noted(memory.scores, here, features)
        memory = self._walked(here, memory._replace(scores=scores))
        fit = self._fit(memory)
        accepted = self._accepts(fit, scores)
        peak = np.where(accepted, np.rint(fit.peak), np.rint(parabola_peak(scores, bracket_of(scores))))

        heading, exhausted = self._turned(memory)
        over = ~memory.arriving & (exhausted | (accepted & self._passed(fit, here, memory)))
        arrived = memory.arriving | (over & accepted & (peak == here))
        lanes = np.arange(len(here))
        good = accepted & (scores[lanes, here] >= (1.0 - self.worse) * scores[lanes, memory.start])
        failed = (over & ~accepted) | (arrived & ~good)
        status = np.where(failed, Status.FAILED, np.where(arrived, Status.FOCUSED, Status.SEARCHING))

        last = np.asarray(observation["steps_left"][:, 0], dtype=np.float64) <= 1
        command = np.where(over | last, peak, self._next(here, heading, memory))
        command = np.where(arrived, here, command)
        command = np.where(failed, memory.start, command)
        ended = memory.status != Status.SEARCHING
        return np.where(ended, here, command), memory._replace(
            status=np.where(ended, memory.status, status).astype(np.int8),
            confidence=np.where(ended, memory.confidence, np.where(accepted, fit.r_squared, 0.0)).astype(
                np.float32
            ),
            heading=heading,
            arriving=memory.arriving | over,
        )

    def _fit(self, memory: CurveFitMemory) -> CurveFit:
        """Fit the curves (N,) of the walks that go on; those that are over need none."""
        going = memory.status == Status.SEARCHING
        fitted = fit_curve(memory.scores[going], self.model)
        empty = CurveFit(*(np.zeros((len(going), *field.shape[1:]), field.dtype) for field in fitted))
        for whole, part in zip(empty, fitted, strict=True):
            whole[going] = part
        return empty

    def _accepts(self, fit: CurveFit, scores: FloatArray) -> BoolArray:
        """Tell which fits (N,) are to be believed."""
        index = np.arange(self.spec.n)
        lowest = np.where(fit.kept, index, self.spec.n).min(axis=1)
        highest = np.where(fit.kept, index, -1).max(axis=1)
        inside = (fit.peak >= lowest) & (fit.peak <= highest)
        enough = fit.kept.sum(axis=1) >= _LEAST_SAMPLES
        steep = flatness_of(scores) <= self.contrast_ratio
        return np.asarray(fit.sound & inside & enough & steep & (fit.r_squared >= self.r_squared))

    def _passed(self, fit: CurveFit, here: IntArray, memory: CurveFitMemory) -> BoolArray:
        """Tell whether the fitted peak lies behind (N,), and the last two samples are not among the best two."""
        behind = (here - fit.peak) * memory.heading > 0
        return np.asarray(behind & _falls(memory))

    def _walked(self, here: IntArray, memory: CurveFitMemory) -> CurveFitMemory:
        """Return the memory with where the lens is: the first look is of the walk only at an end of the range."""
        n, first = self.spec.n, memory.start < 0
        walks = ~first | (here == 0) | (here == n - 1)
        return memory._replace(
            start=np.where(first, here, memory.start),
            heading=np.where(first, _inwards(here, n), memory.heading),
            latest=np.stack([np.where(walks, here, -1), memory.latest[:, 0]], axis=1),
        )

    def _turned(self, memory: CurveFitMemory) -> tuple[IntArray, BoolArray]:
        """Return the heading (N,), turned where the walk has to, and whether all is seen (N,)."""
        n = self.spec.n
        lowest, highest = _extent(memory.scores)
        best = bracket_of(memory.scores).best
        front = np.where(memory.heading > 0, highest == n - 1, lowest == 0)
        back = np.where(memory.heading > 0, lowest == 0, highest == n - 1)
        # The curve falls from the outermost slice seen: its peak lies beyond that.
        from_back = best == np.where(memory.heading > 0, lowest, highest)
        turns = (front | (from_back & _falls(memory))) & ~back
        return np.where(turns, -memory.heading, memory.heading), front & back

    def _next(self, here: IntArray, heading: IntArray, memory: CurveFitMemory) -> IntArray:
        """Return the next slice (N,): outward first, then back to the start, then beyond what was seen."""
        n, start, step = self.spec.n, memory.start, heading * self.step
        lowest, highest = _extent(memory.scores)
        ahead = np.where(heading > 0, highest, lowest)
        target = (here + step).clip(0, n - 1)
        fresh = np.isnan(memory.scores[np.arange(len(here)), target]) & ((start - target) * heading > 0)
        target = np.where((ahead == start) & fresh, target, ahead + step)
        outwards = memory.latest[:, 0] < 0
        return np.asarray(np.where(outwards, start - step * self.outward, target).clip(0, n - 1))


def _inwards(start: IntArray, n: int) -> IntArray:
    """Return the first heading (N,) of a walk: from the nearer end of the range."""
    return np.where(start <= (n - 1) / 2, 1, -1)


def _extent(scores: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the lowest and the highest slice seen (N,)."""
    seen = ~np.isnan(scores)
    return seen.argmax(axis=1), scores.shape[1] - 1 - seen[:, ::-1].argmax(axis=1)


def _falls(memory: CurveFitMemory) -> BoolArray:
    """Tell where neither of the last two slices of the walk (N,) is among the best two that were seen."""
    scores, latest = memory.scores, memory.latest
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    second = np.partition(ranked, -2, axis=1)[:, -2]
    lanes = np.arange(len(scores))
    both = (latest >= 0).all(axis=1)
    heights = ranked[lanes[:, None], latest.clip(0, None)]
    return np.asarray(both & (heights < second[:, None]).all(axis=1))
