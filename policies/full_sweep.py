"""See every slice and take the sharpest: the focal-stack rows (I*) of the paper's Table 1."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.keys import Keys
from afsim.measures import get_measure
from afsim.policy import Features, FloatArray, FocusPolicy, Knowledge, Status
from afsim.task import Observation


class SweepMemory(NamedTuple):
    """The scores (N, n) of all slices."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    scores: FloatArray


@dataclass(frozen=True)
class FullSweep(FocusPolicy):
    """Go to the slice of the highest contrast; ties to the smallest index.

    Attributes
    ----------
    measure : str
        A contrast measure; by default the one with the paper's best mean absolute error.
    """

    measure: str = "mean_local_norm_dist_sq"
    requires: ClassVar[frozenset[str]] = frozenset({"stack"})

    def __post_init__(self) -> None:
        super().__post_init__()
        get_measure(self.measure)

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``sweep:MEASURE``."""
        return {"measure": choice}

    @property
    def feature_key(self) -> Hashable:
        """Contrast by this measure."""
        return ("contrast", self.measure)

    def features(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> FloatArray:
        """Measure the contrast (N,) of the green images."""
        return get_measure(self.measure)(image.mean(axis=1))

    def begin(self, keys: Keys, knowledge: Knowledge) -> SweepMemory:
        """Take the scores from the rollout."""
        assert knowledge.stack is not None
        lanes = len(keys)
        scores = np.asarray(knowledge.stack, dtype=np.float64)
        return SweepMemory(np.zeros(lanes, np.int8), np.zeros(lanes, np.float32), scores)

    def decide(
        self, features: Features, observation: Observation, memory: SweepMemory
    ) -> tuple[FloatArray, SweepMemory]:
        """Go to the highest score; done. The confidence is the share of the peak above the lowest score."""
        high, low = memory.scores.max(axis=1), memory.scores.min(axis=1)
        confidence = (high - low) / np.where(high > 0, high, 1.0)
        command = memory.scores.argmax(axis=1).astype(np.float64)
        status = np.full(len(command), Status.FOCUSED, dtype=np.int8)
        return command, memory._replace(status=status, confidence=confidence.astype(np.float32))
