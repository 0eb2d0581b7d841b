"""Brent's method: parabolic steps where they shrink, the golden section where they do not (Brent, 1973, chapter 5).

The search of Micro-Manager's OughtaFocus.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.keys import Keys
from afsim.policies.curve import IntArray, bracket_of, nothing_seen, vertex_of
from afsim.policies.search import BoolArray
from afsim.policies.section_search import GoldenSection, sides_of
from afsim.policy import FloatArray, Knowledge


class BrentMemory(NamedTuple):
    """The curve seen, and the lengths (N,) of the last step and of the one before, in indices."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    scores: FloatArray
    step: FloatArray
    step_before: FloatArray


@dataclass(frozen=True)
class Brent(GoldenSection):
    """Go to the peak of the parabola through the three best slices, if the steps shrink; else the golden section.

    A parabolic step counts if it stays between the neighbours of the best slice and is shorter than half the step
    before the last. It is no shorter than ``tolerance``, and leads to no slice that was seen.
    """

    def begin(self, keys: Keys, knowledge: Knowledge) -> BrentMemory:
        """Start with nothing seen, and no step taken."""
        lanes = len(keys)
        return BrentMemory(*nothing_seen(lanes, self.spec.n), np.zeros(lanes), np.zeros(lanes))

    def search(
        self, scores: FloatArray, here: IntArray, steps_left: FloatArray, memory: BrentMemory
    ) -> tuple[FloatArray, BoolArray, BrentMemory]:
        """Take a parabolic step, or what the golden section says."""
        golden, over, memory = super().search(scores, here, steps_left, memory)
        bracket = bracket_of(scores)
        best, (_, wide) = bracket.best, sides_of(bracket)
        step = best_parabola(scores)
        takes = (best + step > bracket.below) & (best + step < bracket.above) & (wide > self.tolerance)
        takes &= np.abs(step) < memory.step_before / 2.0
        # What is too short for the tolerance goes that far into the wider side.
        wider = np.where(bracket.above - best >= best - bracket.below, self.tolerance, -self.tolerance)
        whole = np.rint(np.where(takes, step, 0.0))
        whole = np.where(np.abs(whole) < self.tolerance, wider, whole)
        target = np.clip(best + whole, 0, self.spec.n - 1).astype(np.int64)
        takes &= np.isnan(scores[np.arange(len(best)), target])

        command = np.where(takes, target, golden)
        # After a golden step, the next parabolic one may be up to half of the side that was divided.
        before = np.where(takes, memory.step, wide)
        return command, over, memory._replace(step=np.abs(command - best), step_before=before)


def best_parabola(scores: FloatArray) -> FloatArray:
    """Return how far (N,) the peak of the parabola through the three best slices is from the best.

    Infinite while fewer than three were seen, or where the three do not bend downwards.
    """
    lanes, n = scores.shape
    if n < 3:
        return np.full(lanes, np.inf)
    height = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-height, axis=1, kind="stable")[:, :3]
    first, second, third = height[np.arange(lanes)[:, None], order].T
    known = np.isfinite(third)
    away = order[:, 1] - order[:, 0], order[:, 2] - order[:, 0]
    falls = np.where(known, first - second, 0.0), np.where(known, first - third, 0.0)
    vertex = vertex_of(away, falls, known)
    return np.where(vertex.sound, vertex.offset, np.inf)
