"""Know the truth and go there: the bound that the label itself sets."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.keys import Keys
from afsim.policy import Features, FloatArray, FocusPolicy, Knowledge, Status
from afsim.task import Observation


class OracleMemory(NamedTuple):
    """The truth (N,) of each lane, NaN where there is none."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    truth: FloatArray


@dataclass(frozen=True)
class Oracle(FocusPolicy):
    """Go to the index nearest to the truth; stay where there is none."""

    requires: ClassVar[frozenset[str]] = frozenset({"truth"})

    def begin(self, keys: Keys, knowledge: Knowledge) -> OracleMemory:
        """Take the truth from the rollout."""
        assert knowledge.truth is not None
        lanes = len(keys)
        return OracleMemory(np.zeros(lanes, np.int8), np.ones(lanes, np.float32), knowledge.truth)

    def decide(
        self, features: Features, observation: Observation, memory: OracleMemory
    ) -> tuple[FloatArray, OracleMemory]:
        """Go there; done."""
        known = ~np.isnan(memory.truth)
        command = np.where(known, np.floor(memory.truth + 0.5), self.current(observation).round())
        status = np.where(known, Status.FOCUSED, Status.FAILED).astype(np.int8)
        return command, memory._replace(status=status)
