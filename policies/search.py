"""What the searches for the most contrast share: the curve seen so far, the last move to its peak, the verdict."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError
from afsim.keys import Keys
from afsim.measures import check_ratios
from afsim.policies.contrast import ContrastPolicy, check_share
from afsim.policies.curve import Bracket, IntArray, bracket_of, flatness_of, noted, nothing_seen, parabola_peak
from afsim.policy import Features, FloatArray, Knowledge, Status
from afsim.task import Observation

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SearchPolicy(ContrastPolicy):
    """Base of a policy that looks for the slice of most contrast; it defines :meth:`search`.

    What is seen is noted before each decision. A search that is over goes to the peak of what it saw, and so does
    the last move of a game. It ends FOCUSED where the best slice was seen from both sides and the curve falls to
    ``contrast_ratio`` of its maximum somewhere, else FAILED; then it stays where it is.

    Attributes
    ----------
    contrast_ratio : float
        libcamera's test of a real peak (0.75).

    Raises
    ------
    AfsimError
        For a measure whose scores have no ratios, or a ratio outside [0, 1).
    """

    contrast_ratio: float = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ratios(re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower(), self.measure)
        self.check_share("contrast_ratio")

    def check_share(self, name: str) -> None:
        """Raise for an option of this name that is outside [0, 1)."""
        check_share(name, getattr(self, name))

    def check_step(self, name: str) -> None:
        """Raise for an option of this name that is no step of at least one index."""
        if getattr(self, name) < 1:
            raise AfsimError(f"{name} must be at least 1 index, got {getattr(self, name)}")

    # ------------------------------------------------------------------ what a search defines
    def search(
        self, scores: FloatArray, here: IntArray, steps_left: FloatArray, memory: Any
    ) -> tuple[FloatArray, BoolArray, Any]:
        """Return where to look next (N,), whether the search is over (N,), and what it remembers besides.

        ``scores`` (N, n) are what was seen, ``here`` (N,) included; ``steps_left`` (N,) commands can still be
        given, the last of which goes to the peak; ``memory`` is that of the last decision. What this returns in
        its ``status``, ``confidence`` and ``scores`` does not count.
        """
        raise NotImplementedError

    def peak(self, scores: FloatArray, bracket: Bracket) -> FloatArray:
        """Return the peak (N,) of what was seen, to which the last move goes; by default a parabola's."""
        return parabola_peak(scores, bracket)

    def trust(self, scores: FloatArray, bracket: Bracket) -> FloatArray:
        """Return the confidence (N,) in the peak: how far the curve falls, 0 while a side of the best is open."""
        return np.where(is_closed(bracket, self.spec.n), 1.0 - flatness_of(scores), 0.0)

    # ------------------------------------------------------------------ what is the same for all
    def begin(self, keys: Keys, knowledge: Knowledge) -> Any:
        """Start with nothing seen."""
        return nothing_seen(len(keys), self.spec.n)

    def decide(self, features: Features, observation: Observation, memory: Any) -> tuple[FloatArray, Any]:
        """Note what was seen, then look further, or end at the peak."""
        here = np.rint(self.current(observation)).astype(np.int64)
        scores = noted(memory.scores, here, features)
        bracket = bracket_of(scores)
        steps_left = np.asarray(observation["steps_left"][:, 0], dtype=np.float64)
        command, over, after = self.search(scores, here, steps_left, memory)

        command = np.where(over | (steps_left <= 1), np.rint(self.peak(scores, bracket)), command)
        real = is_closed(bracket, self.spec.n) & (flatness_of(scores) <= self.contrast_ratio)
        verdict = np.where(real, Status.FOCUSED, Status.FAILED)
        status = np.where(over, verdict, Status.SEARCHING)

        ended = memory.status != Status.SEARCHING
        return np.where(ended, here, command), after._replace(
            status=np.where(ended, memory.status, status).astype(np.int8),
            confidence=np.where(ended, memory.confidence, self.trust(scores, bracket)).astype(np.float32),
            scores=scores,
        )


def is_closed(bracket: Bracket, n: int) -> BoolArray:
    """Tell whether both sides of the best slice were seen (N,); an end of the range needs no side beyond it."""
    below = (bracket.below >= 0) | (bracket.best == 0)
    above = (bracket.above < n) | (bracket.best == n - 1)
    return np.asarray(below & above)
