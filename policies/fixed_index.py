"""Go to one index and stay: the best constant guess is a baseline of its own."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from afsim.errors import AfsimError
from afsim.policy import Features, FloatArray, FocusPolicy, Memory, Status
from afsim.task import Observation


@dataclass(frozen=True)
class FixedIndex(FocusPolicy):
    """Go to ``index`` at the first step.

    Attributes
    ----------
    index : int or None
        Where to; the middle of the range by default.
    """

    index: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.index is not None and not 0 <= self.index < self.spec.n:
            raise AfsimError(f"fixed index must be in 0 ... {self.spec.n - 1}, got {self.index}")

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``fixed:INDEX``."""
        try:
            return {"index": int(choice)}
        except ValueError as error:
            raise AfsimError(f"fixed:{choice}: expected an index, a whole number") from error

    def decide(self, features: Features, observation: Observation, memory: Memory) -> tuple[FloatArray, Memory]:
        """Ask for the index; done."""
        index = self.spec.n // 2 if self.index is None else self.index
        focused = np.full_like(memory.status, Status.FOCUSED)
        return np.full(len(memory.status), float(index)), memory._replace(status=focused)
