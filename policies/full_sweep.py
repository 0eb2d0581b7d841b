"""See every slice and take the sharpest: the focal-stack rows (I*) of the paper's Table 1."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.keys import Keys
from afsim.policies.contrast import ContrastPolicy
from afsim.policy import Features, FloatArray, Knowledge, Status
from afsim.task import Observation


class SweepMemory(NamedTuple):
    """The scores (N, n) of all slices."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    scores: FloatArray


@dataclass(frozen=True)
class FullSweep(ContrastPolicy):
    """Go to the slice of the highest contrast; ties to the smallest index."""

    requires: ClassVar[frozenset[str]] = frozenset({"stack"})

    def begin(self, keys: Keys, knowledge: Knowledge) -> SweepMemory:
        """Take the scores from the rollout."""
        assert knowledge.stack is not None
        lanes = len(keys)
        scores = np.asarray(knowledge.stack, dtype=np.float64)
        return SweepMemory(np.zeros(lanes, np.int8), np.zeros(lanes, np.float32), scores)

    def decide(
        self, features: Features, observation: Observation, memory: SweepMemory
    ) -> tuple[FloatArray, SweepMemory]:
        """Go to the highest score; done. The confidence is how far it stands out, as a share of the largest."""
        high, low = memory.scores.max(axis=1), memory.scores.min(axis=1)
        largest = np.maximum(np.abs(high), np.abs(low))
        confidence = np.minimum((high - low) / np.where(largest > 0, largest, 1.0), 1.0)
        command = memory.scores.argmax(axis=1).astype(np.float64)
        status = np.full(len(command), Status.FOCUSED, dtype=np.int8)
        return command, memory._replace(status=status, confidence=confidence.astype(np.float32))
