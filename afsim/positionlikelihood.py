"""What two sensors tell about where the focus lies, fitted together: contrast and disparity, and what was usual.

Places are in steps: dioptres over the fitted table's mean step; where distances are unknown, the range of indices
counts as the fitted range.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.calibration import DisparityCalibration, Provenance, shipped_calibration
from afsim.checks import check_finite, check_number, check_whole
from afsim.contrastlikelihood import CurveLikelihood
from afsim.errors import AfsimError
from afsim.measures import check_ratios, get_measure
from afsim.optics import magnification
from afsim.recordfile import RecordFormat

FloatArray = npt.NDArray[np.float64]

_FORMAT: Final = RecordFormat("afsim-focus-likelihood", 1, "focus likelihood", "afsim fit bayesian")
_SHIPPED: Final = Path(__file__).parent / "models" / "bayesian.json"
# Disparities whose views agree less are no reading: less likely right than wrong.
LEAST_CONFIDENCE: Final = 0.5
# How much of the prior is that every place is as likely: recordings need not be like those fitted.
_OPEN: Final = 0.05


@dataclass(frozen=True, eq=False)
class FocusLikelihood:
    """The likelihoods of a contrast measure and of a disparity, and the prior.

    Attributes
    ----------
    measure : str
        Of contrast, of family I*.
    reach : int
        Of the ZNCC disparity, in pixels; its shipped calibration makes it steps of defocus.
    step_diopters : float
        Length of a step.
    diopters : (P,) float64
        Distances of the slices that were fitted, rising.
    prior : (P,) float64
        Share of the foci nearest to each.
    contrast : CurveLikelihood
        Of the logarithm of the contrast.
    disparity : CurveLikelihood or None
        Of the disparity in steps; None where it was fitted on stacks of one view.
    confidence_edges : (C - 1,) float64
        Bounds between classes of disparities by how alike the views are, rising.
    confidence_noise : (C,) float64
        By how much the independent variance of each class is larger.
    provenance : Provenance
        What it was fitted on.

    Raises
    ------
    AfsimError
        For parts that do not fit together, or a disparity of a reach of which no calibration is shipped.
    """

    measure: str
    reach: int
    step_diopters: float
    diopters: FloatArray
    prior: FloatArray
    contrast: CurveLikelihood
    disparity: CurveLikelihood | None
    confidence_edges: FloatArray
    confidence_noise: FloatArray
    provenance: Provenance

    def __post_init__(self) -> None:
        if get_measure(self.measure).family != "I*":
            raise AfsimError(f"focus likelihood: {self.measure} is no contrast of one image; expected family I*")
        check_ratios("focus likelihood", self.measure)
        check_whole("focus likelihood: reach", self.reach, least=1)
        check_number("focus likelihood: step_diopters", self.step_diopters, above=0.0)
        count = np.size(self.diopters)
        classes = np.size(self.confidence_noise)
        shapes = {
            "diopters": (count,),
            "prior": (count,),
            "confidence_edges": (classes - 1,),
            "confidence_noise": (classes,),
        }
        for name, shape in shapes.items():
            object.__setattr__(self, name, check_finite(f"focus likelihood: {name}", getattr(self, name), shape))
        if (self.prior < 0).any() or not self.prior.sum() > 0.0:
            raise AfsimError(f"focus likelihood: prior must be shares, got {self.prior}")
        for name in ("diopters", "confidence_edges"):
            if (np.diff(getattr(self, name)) <= 0.0).any():
                raise AfsimError(f"focus likelihood: {name} must be rising, got {getattr(self, name)}")
        if count < 2:
            raise AfsimError(f"focus likelihood: diopters must be of at least 2 slices, got {count}")
        if (self.confidence_noise <= 0.0).any():
            raise AfsimError(
                f"focus likelihood: confidence_noise must be above 0, got {self.confidence_noise.min()}"
            )
        self._check_curves(2 * count - 1)

    def _check_curves(self, steps: int) -> None:
        """Raise unless all curves have so many steps, and the disparity a calibration."""
        for name, curves in (("contrast", self.contrast), ("disparity", self.disparity)):
            if curves is not None and curves.mean.shape[1] != steps:
                raise AfsimError(
                    f"focus likelihood: {name} curves must have {steps} steps, twice the slices less 1, "
                    f"got {curves.mean.shape[1]}"
                )
        if self.disparity is not None:
            shipped_calibration("zncc", self.reach)

    # ------------------------------------------------------------------ using it
    def steps_of(self, n: int, diopters: npt.ArrayLike | None) -> FloatArray:
        """Return where n slices lie (n,), in steps."""
        if diopters is not None:
            return np.asarray(diopters, dtype=np.float64) / self.step_diopters
        return np.asarray(np.linspace(self.diopters[0], self.diopters[-1], n) / self.step_diopters)

    def prior_at(self, places: npt.ArrayLike) -> FloatArray:
        """Return how usual a focus is at places (T,) in steps: probabilities, none of them 0."""
        at = np.asarray(places, dtype=np.float64) * self.step_diopters
        width = np.gradient(at)
        density = np.interp(at, self.diopters, self.prior / np.gradient(self.diopters), left=0.0, right=0.0)
        mass, even = density * width, width / width.sum()
        total = mass.sum()
        return np.asarray((1.0 - _OPEN) * (mass / total if total > 0.0 else even) + _OPEN * even)

    def noise_of(self, confidence: npt.ArrayLike) -> FloatArray:
        """Return by how much the variance of disparities of these confidences (...) is larger."""
        row = np.searchsorted(self.confidence_edges, np.asarray(confidence, dtype=np.float64), side="right")
        return np.asarray(self.confidence_noise[row])

    def defocus_of(
        self, shift: npt.ArrayLike, confidence: npt.ArrayLike, places: npt.ArrayLike, region: npt.ArrayLike
    ) -> FloatArray:
        """Return disparities (N, ...) as steps of defocus; NaN where they are no reading.

        ``places`` are in steps, ``region`` (N, 2) in the field, x along the shift.
        """
        return defocus_steps(
            shipped_calibration("zncc", self.reach), self.step_diopters, shift, confidence, places, region
        )

    # ------------------------------------------------------------------ on disk
    def save(self, path: str | Path) -> None:
        """Write it as JSON, aside and then renamed; a file that is there is replaced."""
        record = {
            "measure": self.measure,
            "reach": self.reach,
            "step_diopters": self.step_diopters,
            "diopters": self.diopters.round(6).tolist(),
            "prior": self.prior.round(6).tolist(),
            "contrast": self.contrast.record(),
            "disparity": None if self.disparity is None else self.disparity.record(),
            "confidence_edges": self.confidence_edges.tolist(),
            "confidence_noise": self.confidence_noise.round(3).tolist(),
            "provenance": self.provenance._asdict(),
        }
        _FORMAT.write(path, record)

    @classmethod
    def load(cls, path: str | Path) -> "FocusLikelihood":
        """Read what :meth:`save` wrote.

        Raises
        ------
        StoreError
            Where the file is missing, is none, is damaged, or a newer version wrote it.
        """
        with _FORMAT.reading(path) as record:
            seen = record["disparity"]
            return cls(
                record["measure"],
                record["reach"],
                record["step_diopters"],
                record["diopters"],
                record["prior"],
                CurveLikelihood.from_record(record["contrast"]),
                None if seen is None else CurveLikelihood.from_record(seen),
                record["confidence_edges"],
                record["confidence_noise"],
                Provenance(**record["provenance"]),
            )


def defocus_steps(
    calibration: DisparityCalibration,
    step_diopters: float,
    shift: npt.ArrayLike,
    confidence: npt.ArrayLike,
    places: npt.ArrayLike,
    region: npt.ArrayLike,
) -> FloatArray:
    """Return disparities (N, ...) as steps of defocus, not kept within any table."""
    pixels, sure = np.asarray(shift, dtype=np.float64), np.asarray(confidence, dtype=np.float64)
    slope, offset = (each.reshape(-1, *[1] * (pixels.ndim - 1)) for each in calibration.slope_offset(region))
    focus = np.asarray(places, dtype=np.float64) * step_diopters
    steps = (pixels - offset) / (slope * magnification(focus, calibration.focal_length_m) * step_diopters)
    return np.where(sure > LEAST_CONFIDENCE, steps, np.nan)


@cache
def shipped_likelihood() -> FocusLikelihood:
    """Return the likelihood that comes with afsim, fitted on the benchmark's training set."""
    return FocusLikelihood.load(_SHIPPED)
