"""What the policies share that read a distance off one image: disparity, through a calibration, to an index."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from afsim.calibration import DisparityCalibration, shipped_calibration
from afsim.errors import AfsimError
from afsim.patch_disparity import REACH, check_reach, get_estimator
from afsim.policy import Features, FloatArray, FocusPolicy, Memory, Status
from afsim.task import Observation

# Indices within which a lens stands as near as whole indices come.
_AT_IT: Final = 0.5
# In focus is said where it is more likely than not to be within one index.
_LIKELY: Final = 0.5


@dataclass(frozen=True)
class CalibratedDisparity(FocusPolicy):
    """Base of a policy that goes where the disparity of what it sees says; again at every step.

    It forgets what it saw before: more steps are more looks, each from nearer. Without texture it stays, failed.
    Focused where a look inside the reach, that is likely right, finds the lens within half an index.

    Attributes
    ----------
    reach : int
        Largest shift that the estimator tries, in pixels: 3 as in the paper's rows; disparity beyond comes out as
        the reach, and the lens falls short. 16 covers the whole sweep.
    calibration : str or None
        File made by ``afsim calibrate``; by default the shipped one, of the rendered training set.

    Raises
    ------
    AfsimError
        For a reach without a calibration.
    UnsuitableError
        For one that the patches have no room for.
    """

    requires: ClassVar[frozenset[str]] = frozenset({"views2", "diopters"})
    estimator: ClassVar[str] = "zncc"
    reach: int = REACH
    calibration: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        spec = self.spec
        along = (spec.height, spec.width) if spec.dp_axis == "columns" else (spec.width, spec.height)
        check_reach(self.reach, *along)
        made = self.fitted
        if (made.estimator, made.reach) != (self.estimator, self.reach):
            raise AfsimError(
                f"{self.calibration} calibrates {made.estimator} with a reach of {made.reach} pixels, expected "
                f"{self.estimator} with {self.reach}"
            )

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``NAME:REACH``."""
        try:
            return {"reach": int(choice)}
        except ValueError as error:
            raise AfsimError(f"{choice}: expected a reach, a whole number of pixels") from error

    @cached_property
    def fitted(self) -> DisparityCalibration:
        """The calibration itself."""
        if self.calibration is None:
            return shipped_calibration(self.estimator, self.reach)
        return DisparityCalibration.load(self.calibration)

    @property
    def feature_key(self) -> Hashable:
        """Disparity by this estimator; the calibration comes after."""
        return ("disparity", self.estimator, self.reach)

    def features(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> FloatArray:
        """Return the shift in pixels and the confidence of each image, (N, 2)."""
        views = image if self.spec.dp_axis == "columns" else image.swapaxes(-1, -2)
        return np.stack(get_estimator(self.estimator)(views, reach=self.reach), axis=-1)

    def decide(self, features: Features, observation: Observation, memory: Memory) -> tuple[FloatArray, Memory]:
        """Go to the index in focus; stay where nothing is to be seen."""
        shift, sureness = np.asarray(features[..., 0], np.float64), np.asarray(features[..., 1], np.float64)
        stands, diopters = self.current(observation), np.asarray(self.spec.diopters)
        region = np.asarray(observation["region"], dtype=np.float64)
        # The calibration's x lies along the shift.
        seen = shift, stands, region if self.spec.dp_axis == "columns" else region[:, ::-1], diopters
        blind, likely = np.isnan(shift), self.fitted.within_one(shift, sureness)
        near = np.abs(self.fitted.fractional(*seen) - stands) <= _AT_IT
        focused = near & (sureness > 0.0) & (likely >= _LIKELY)
        status = np.where(blind, Status.FAILED, np.where(focused, Status.FOCUSED, Status.SEARCHING))
        command = np.where(blind, stands.round(), self.fitted.index(*seen))
        return command, Memory(status.astype(np.int8), likely.astype(np.float32))
