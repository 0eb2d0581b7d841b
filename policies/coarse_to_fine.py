"""Coarse-to-fine sweep: large steps from an end of the range until the contrast has fallen, then small ones.

The family of libcamera's IPU3 controller and of Micro-Manager's JAF. IPU3 begins its fine pass at 0.95 of the best
position and stops it 5 % later, wherever the best is; here it spans the interval of the peak.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.keys import Keys
from afsim.policies.curve import IntArray, bracket_of, nothing_seen
from afsim.policies.search import BoolArray, SearchPolicy
from afsim.policy import FloatArray, Knowledge


class CoarseToFineMemory(NamedTuple):
    """The curve seen; the direction of the sweep (N,), +1 or -1, and 0 before it begins; where it is to end (N,).

    ``until`` is -1 during the coarse pass, else the last index of the fine pass.
    """

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    scores: FloatArray
    direction: npt.NDArray[np.int8]
    until: IntArray


@dataclass(frozen=True)
class CoarseToFine(SearchPolicy):
    """Sweep in coarse steps from the nearer end until past the peak, then in fine steps across the peak.

    Both passes go in the same direction, so that the lens comes to every slice from the same side.

    Attributes
    ----------
    coarse_step, fine_step : int
        In indices of about 0.2 dioptres; 5 and 1 are 1 and 0.25 dioptres (libcamera, IMX708 tuning; IPU3's coarse
        step of 30 of 1023 codes would be 1.4 of 49 indices).
    coarse_ratio : float
        The coarse pass ends at a contrast below this share of the best before it (0.9, IPU3).
    fine_ratio : float
        The same for the fine pass (0.98, JAF).
    """

    coarse_step: int = 5
    fine_step: int = 1
    coarse_ratio: float = 0.9
    fine_ratio: float = 0.98

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("coarse_step", "fine_step"):
            self.check_step(name)
        for name in ("coarse_ratio", "fine_ratio"):
            self.check_share(name)

    def begin(self, keys: Keys, knowledge: Knowledge) -> CoarseToFineMemory:
        """Start with nothing seen and no direction."""
        lanes = len(keys)
        none = np.full(lanes, -1, dtype=np.int64)
        return CoarseToFineMemory(*nothing_seen(lanes, self.spec.n), np.zeros(lanes, np.int8), none)

    def search(
        self, scores: FloatArray, here: IntArray, steps_left: FloatArray, memory: CoarseToFineMemory
    ) -> tuple[FloatArray, BoolArray, CoarseToFineMemory]:
        """Go on with the pass, or begin the next one."""
        n, lanes = self.spec.n, np.arange(len(here))
        fresh = memory.direction == 0
        direction = np.where(fresh, np.where(here <= (n - 1) / 2, 1, -1), memory.direction).astype(np.int64)
        origin, end = np.where(direction > 0, 0, n - 1), np.where(direction > 0, n - 1, 0)
        to_origin = fresh & (here != origin)

        bracket = bracket_of(scores)
        best, height = bracket.best, scores[lanes, bracket.best]
        fine = memory.until >= 0
        ratio = np.where(fine, self.fine_ratio, self.coarse_ratio)
        fell = ((here - best) * direction > 0) & (scores[lanes, here] < ratio * height)
        passed = ~to_origin & (fell | (here == np.where(fine, memory.until, end)))

        # The fine pass goes from the seen neighbour before the best to the one after it.
        before = np.where(direction > 0, bracket.below, bracket.above)
        after = np.where(direction > 0, bracket.above, bracket.below)
        before = np.where((before < 0) | (before >= n), origin, before)
        until = np.where(fine, memory.until, np.where(passed, np.clip(after, 0, n - 1), -1))
        entering = passed & ~fine
        base = np.where(entering, before, here)
        step = np.where(entering | fine, self.fine_step, self.coarse_step)
        target = self._unseen(scores, base, direction * step, np.where(until >= 0, until, end))

        # A fine pass that has nothing left to see is over as well.
        over = (passed & fine) | ((entering | fine) & ~np.isnan(scores[lanes, target]))
        command = np.where(to_origin, origin, target).astype(np.float64)
        return command, over, memory._replace(direction=direction.astype(np.int8), until=until)

    def _unseen(self, scores: FloatArray, base: IntArray, stride: IntArray, end: IntArray) -> IntArray:
        """Return the first index (N,) from ``base`` in strides that was not seen, at most ``end``."""
        lanes = np.arange(len(base))
        target = base
        for _ in range(self.spec.n):
            beyond = (end - target) * np.sign(stride) <= np.abs(stride)
            ahead = np.where(beyond, end, target + stride)
            onwards = ((target == base) | ~np.isnan(scores[lanes, target])) & (ahead != target)
            if not onwards.any():
                break
            target = np.where(onwards, ahead, target)
        return np.asarray(target)
