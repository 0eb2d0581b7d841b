"""The paper's row "D1 SSD Disparity": the median shift of small tiles, after Wadhwa et al. (2018)."""

from dataclasses import dataclass
from typing import ClassVar

from afsim.policies.calibrated import CalibratedDisparity


@dataclass(frozen=True)
class SsdDisparity(CalibratedDisparity):
    """Go where the tiles of least squared difference (:func:`afsim.patch_disparity.ssd_disparity`) say."""

    estimator: ClassVar[str] = "ssd"
