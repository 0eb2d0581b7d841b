"""Stay where you are: what doing nothing costs."""

from dataclasses import dataclass

from afsim.policy import Features, FloatArray, FocusPolicy, Memory
from afsim.task import Observation


@dataclass(frozen=True)
class Stay(FocusPolicy):
    """Never move."""

    def decide(self, features: Features, observation: Observation, memory: Memory) -> tuple[FloatArray, Memory]:
        """Ask for the command in force."""
        return self.current(observation).round(), memory
