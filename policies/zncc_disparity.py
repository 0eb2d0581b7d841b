"""The paper's row "D1 ZNCC Disparity with Calibration": one shift for the whole patch."""

from dataclasses import dataclass
from typing import ClassVar

from afsim.policies.calibrated import CalibratedDisparity


@dataclass(frozen=True)
class ZnccDisparity(CalibratedDisparity):
    """Go where the shift of the largest correlation (:func:`afsim.patch_disparity.zncc_disparity`) says."""

    estimator: ClassVar[str] = "zncc"
