"""Go to a random index at every step: chance."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.keys import Keys, Purpose, derive, integers
from afsim.policy import Features, FloatArray, FocusPolicy, Knowledge
from afsim.task import Observation


class RandomMemory(NamedTuple):
    """The stream of each lane."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    keys: Keys


@dataclass(frozen=True)
class RandomIndex(FocusPolicy):
    """Draw every command uniformly from 0 ... n-1, from the lane's own stream."""

    def begin(self, keys: Keys, knowledge: Knowledge) -> RandomMemory:
        """Give each lane its stream."""
        lanes = len(keys)
        return RandomMemory(np.zeros(lanes, np.int8), np.zeros(lanes, np.float32), keys.copy())

    def decide(
        self, features: Features, observation: Observation, memory: RandomMemory
    ) -> tuple[FloatArray, RandomMemory]:
        """Draw, and step the stream."""
        command = integers(memory.keys, 0, Purpose.POLICY, self.spec.n).astype(np.float64)
        return command, memory._replace(keys=derive(memory.keys, 1, Purpose.POLICY))
