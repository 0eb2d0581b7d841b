"""What the policies that maximise a focus measure share: the measure, taken of each slice."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError, UnsuitableError
from afsim.measures import get_measure
from afsim.policy import FloatArray, FocusPolicy


@dataclass(frozen=True)
class ContrastPolicy(FocusPolicy):
    """Base of a policy whose features are the contrast of what it sees, or how alike both views are.

    Attributes
    ----------
    measure : str
        A focus measure; by default the one with the paper's best mean absolute error. Stereo measures need stacks
        with both views.

    Raises
    ------
    AfsimError
        For a measure that does not exist.
    UnsuitableError
        For one that needs views which the stacks do not have.
    """

    measure: str = "mean_local_norm_dist_sq"

    def __post_init__(self) -> None:
        super().__post_init__()
        if get_measure(self.measure).family == "D*" and self.spec.views != 2:
            raise UnsuitableError(
                f"{self.measure} needs dual-pixel stacks (2 views), but these have {self.spec.views} view"
            )

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``NAME:MEASURE``."""
        return {"measure": choice}

    @property
    def feature_key(self) -> Hashable:
        """Contrast by this measure."""
        return ("contrast", self.measure)

    def features(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> FloatArray:
        """Measure each slice (N,): its green image, or both views, their disparity along the columns."""
        measure = get_measure(self.measure)
        if measure.family == "I*":
            return measure(image.mean(axis=1))
        return measure(image if self.spec.dp_axis == "columns" else image.swapaxes(-1, -2))


def check_share(name: str, value: float) -> None:
    """Raise for an option ``name`` that is outside [0, 1)."""
    if not 0.0 <= value < 1.0:
        raise AfsimError(f"{name} must be in [0, 1), got {value}")
