"""Bisecting search: look at the centre, right and left of it; go to a better side, else halve the step.

The search of Odemis, with its confidence.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError
from afsim.keys import Keys
from afsim.policies.curve import Bracket, IntArray, flatness_of, nothing_seen
from afsim.policies.search import BoolArray, SearchPolicy
from afsim.policy import Features, FloatArray, Knowledge, Status
from afsim.task import Observation


class BisectMemory(NamedTuple):
    """The curve seen; the centre (N,) of the round, -1 before the first; the step (N,) in smallest steps."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    scores: FloatArray
    centre: IntArray
    factor: FloatArray


@dataclass(frozen=True)
class Bisect(SearchPolicy):
    """Compare the centre with a slice on its right and one on its left, and go to the best of them.

    Where the centre wins, the step is halved; near an end of the range, it is divided by 1.5. The search is over
    when it is below the smallest. Odemis looks again in its fine rounds; here what was seen counts, so that every
    round rises or shrinks, and there is no need for its limit of 100.

    The confidence is Odemis's: 0.8 where the lowest contrast seen is at most half of the highest, else 0.2, and 0.1
    where the search was not over.

    Attributes
    ----------
    smallest_step : int
        In indices (1; half the depth of field).
    first_factor : float
        The first step in smallest steps (16, of a search that has a hint; without one it is 128, which no range of
        indices holds).
    """

    smallest_step: int = 1
    first_factor: float = 16.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_step("smallest_step")
        if not 1.0 <= self.first_factor < np.inf:
            raise AfsimError(f"first_factor must be a number of at least 1, got {self.first_factor}")

    def begin(self, keys: Keys, knowledge: Knowledge) -> BisectMemory:
        """Start with nothing seen and no centre."""
        lanes = len(keys)
        none = np.full(lanes, -1, dtype=np.int64)
        return BisectMemory(*nothing_seen(lanes, self.spec.n), none, np.full(lanes, self.first_factor))

    def search(
        self, scores: FloatArray, here: IntArray, steps_left: FloatArray, memory: BisectMemory
    ) -> tuple[FloatArray, BoolArray, BisectMemory]:
        """Play rounds until one asks for a slice that was not seen."""
        n, lanes = self.spec.n, np.arange(len(here))
        centre, factor = np.where(memory.centre < 0, here, memory.centre), memory.factor
        while True:
            step = np.rint(factor * self.smallest_step).astype(np.int64)
            right, left = np.minimum(centre + step, n - 1), np.maximum(centre - step, 0)
            at_right, at_left = scores[lanes, right], scores[lanes, left]
            seen = ~np.isnan(at_right) & ~np.isnan(at_left)
            complete = seen & (factor >= 1.0)
            if not complete.any():
                break
            better = np.where(at_right >= at_left, right, left)
            wins = scores[lanes, centre] >= np.maximum(at_right, at_left)
            moved = np.where(complete & ~wins, better, centre)
            near_an_end = (moved - step < 0) | (moved + step > n - 1)
            shrink = np.where(wins, 2.0, np.where(near_an_end, 1.5, 1.0))
            centre, factor = moved, np.where(complete, factor / shrink, factor)
        command = np.where(np.isnan(at_right), right, left).astype(np.float64)
        return command, factor < 1.0, memory._replace(centre=centre, factor=factor)

    def trust(self, scores: FloatArray, bracket: Bracket) -> FloatArray:
        """Return Odemis's confidence (N,) in a search that is over."""
        return np.where(flatness_of(scores) <= 0.5, 0.8, 0.2)

    def decide(
        self, features: Features, observation: Observation, memory: BisectMemory
    ) -> tuple[FloatArray, BisectMemory]:
        """Search, and be as sure as one who gave up until it is over."""
        command, after = super().decide(features, observation, memory)
        searching = after.status == Status.SEARCHING
        return command, after._replace(confidence=np.where(searching, np.float32(0.1), after.confidence))
