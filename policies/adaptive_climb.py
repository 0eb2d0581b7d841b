"""Adaptive-step hill climb: one step after the other, shorter at every turn.

The family of OpenCV's autofocus sample for gphoto2 cameras. It hunts around the peak until its steps are shorter
than the smallest that the lens can take.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError
from afsim.keys import Keys
from afsim.policies.curve import IntArray, bracket_of, nothing_seen
from afsim.policies.search import BoolArray, SearchPolicy
from afsim.policy import FloatArray, Knowledge


class AdaptiveClimbMemory(NamedTuple):
    """The curve seen, and per lane (N,): how the climb goes on.

    ``direction``: +1 or -1, 0 before the first move. ``step``: its length in indices. ``last``, ``highest``: the
    contrast before the last move, and the highest so far. ``stale``: moves since the last new maximum. ``short``:
    moves in a row that were meant to be shorter than one index.
    """

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    scores: FloatArray
    direction: npt.NDArray[np.int8]
    step: FloatArray
    last: FloatArray
    highest: FloatArray
    stale: IntArray
    short: IntArray


@dataclass(frozen=True)
class AdaptiveClimb(SearchPolicy):
    """Step towards more contrast; turn back at an end (step / 2) and at a fall (step x ``shrink``).

    After more than ``patience`` moves without a new maximum it returns to the maximum, and the step shrinks too.
    After ``short_moves`` moves in a row whose step was below one index it is over. It looks again at what it saw.

    Attributes
    ----------
    first_step : int
        In indices; 5 is the 1 dioptre coarse step of a phone's controller (libcamera, IMX708 tuning).
    drop : float
        Fall that counts as one, as a share of the highest contrast (5e-4; the sample's, of its own scores).
    shrink : float
        Factor of the step at a fall (0.75).
    patience, short_moves : int
        3 and 5.
    """

    first_step: int = 5
    drop: float = 5e-4
    shrink: float = 0.75
    patience: int = 3
    short_moves: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_step("first_step")
        for name in ("drop", "shrink"):
            self.check_share(name)
        for name in ("patience", "short_moves"):
            if getattr(self, name) < 1:
                raise AfsimError(f"{name} must be at least 1 move, got {getattr(self, name)}")

    def begin(self, keys: Keys, knowledge: Knowledge) -> AdaptiveClimbMemory:
        """Start with nothing seen and no direction."""
        lanes = len(keys)
        nothing, none = np.full(lanes, -np.inf), np.zeros(lanes, np.int64)
        return AdaptiveClimbMemory(
            *nothing_seen(lanes, self.spec.n),
            direction=np.zeros(lanes, np.int8),
            step=np.full(lanes, float(self.first_step)),
            last=nothing,
            highest=nothing,
            stale=none,
            short=none,
        )

    def search(
        self, scores: FloatArray, here: IntArray, steps_left: FloatArray, memory: AdaptiveClimbMemory
    ) -> tuple[FloatArray, BoolArray, AdaptiveClimbMemory]:
        """Go on, turn, or return to the maximum."""
        n, now = self.spec.n, scores[np.arange(len(here)), here]
        direction = np.where(memory.direction == 0, np.where(here <= (n - 1) / 2, 1, -1), memory.direction)
        stale = np.where(now > memory.highest, 0, memory.stale + 1)
        highest = np.maximum(memory.highest, now)

        stuck = np.where(direction > 0, here == n - 1, here == 0)
        fell = ~stuck & (now < memory.last - self.drop * highest)
        returns = ~stuck & ~fell & (stale > self.patience)
        step = memory.step * np.where(stuck, 0.5, np.where(fell | returns, self.shrink, 1.0))
        direction = np.where(stuck | fell, -direction, direction)

        onwards = np.clip(here + direction * np.maximum(np.rint(step), 1.0), 0, n - 1)
        command = np.where(returns, bracket_of(scores).best, onwards).astype(np.float64)
        after = memory._replace(
            direction=direction.astype(np.int8),
            step=step,
            last=now,
            highest=highest,
            stale=np.where(returns, 0, stale),
            short=np.where(step < 1.0, memory.short + 1, 0),
        )
        return command, memory.short >= self.short_moves, after
