"""What the policies that maximise contrast share: a measure, taken of each green image."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from afsim.measures import get_measure
from afsim.policy import FloatArray, FocusPolicy


@dataclass(frozen=True)
class ContrastPolicy(FocusPolicy):
    """Base of a policy whose features are the contrast of what it sees.

    Attributes
    ----------
    measure : str
        A contrast measure; by default the one with the paper's best mean absolute error.
    """

    measure: str = "mean_local_norm_dist_sq"

    def __post_init__(self) -> None:
        super().__post_init__()
        get_measure(self.measure)

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``NAME:MEASURE``."""
        return {"measure": choice}

    @property
    def feature_key(self) -> Hashable:
        """Contrast by this measure."""
        return ("contrast", self.measure)

    def features(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> FloatArray:
        """Measure the contrast (N,) of the green images."""
        return get_measure(self.measure)(image.mean(axis=1))
