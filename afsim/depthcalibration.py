"""From relative inverse depth to dioptres: an affine map for each focus distance of the lens."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.checks import check_finite
from afsim.errors import AfsimError

FloatArray = npt.NDArray[np.float64]

_ITERATIONS: Final = 50
# Dioptres: a smaller residual does not count for more (the floor of the evaluation of Garg et al.).
_LEAST_RESIDUAL: Final = 1e-3
# Of the values' variance, in no unit: where they are all the same, the slope is 0.
_LEAST_VARIANCE: Final = 1e-12
# Whole indices within one of the truth are those less than one and a half from it.
_WITHIN_ONE: Final = 1.5


@dataclass(frozen=True, eq=False)
class DepthCalibration:
    """What a value means when the lens is focused at a distance; linear in dioptres between the distances.

    Attributes
    ----------
    diopters : (n,) float64
        Focus distances that were calibrated, rising.
    slope : (n,) float64
        Dioptres for a unit of the value.
    offset : (n,) float64
        Dioptres at the value 0.
    spread : (n,) float64
        Mean absolute residual in dioptres, above 0.

    Raises
    ------
    AfsimError
        For parts that do not fit together.
    """

    diopters: FloatArray
    slope: FloatArray
    offset: FloatArray
    spread: FloatArray

    def __post_init__(self) -> None:
        shape = np.shape(self.diopters)
        if len(shape) != 1 or shape[0] < 2:
            raise AfsimError(f"depth calibration: diopters must be two or more numbers, got shape {shape}")
        for name in ("diopters", "slope", "offset", "spread"):
            check_finite(f"depth calibration: {name}", getattr(self, name), shape)
        if not (np.diff(self.diopters) > 0).all():
            raise AfsimError(f"depth calibration: diopters must rise, got {self.diopters}")
        if not (self.spread > 0).all():
            raise AfsimError(f"depth calibration: spread must be above 0, got {self.spread}")

    def depth(self, value: npt.ArrayLike, focus: npt.ArrayLike) -> FloatArray:
        """Return the inverse depth (N,) in dioptres of values (N,), the lens being focused at ``focus`` (N,)."""
        slope, offset = (self._at(focus, table) for table in (self.slope, self.offset))
        return slope * np.asarray(value, dtype=np.float64) + offset

    def within_one(self, focus: npt.ArrayLike, step: npt.ArrayLike) -> FloatArray:
        """Return the probability (N,) that the nearest index is within 1 of the truth.

        Residuals are taken to have a Laplace distribution, whose best fit least absolute deviations are.

        Parameters
        ----------
        focus : (N,) array_like
            Where the lens is focused, in dioptres.
        step : (N,) array_like
            Dioptres from one index to the next there.
        """
        return np.asarray(-np.expm1(-_WITHIN_ONE * np.asarray(step) / self._at(focus, self.spread)))

    def _at(self, focus: npt.ArrayLike, table: FloatArray) -> FloatArray:
        return np.interp(np.asarray(focus, dtype=np.float64), self.diopters, table)

    def covers(self, diopters: FloatArray) -> bool:
        """Return whether focus distances (m,) lie within those calibrated, or less than a step beyond."""
        first, last = np.diff(self.diopters)[[0, -1]]
        return bool(diopters[0] > self.diopters[0] - first and diopters[-1] < self.diopters[-1] + last)


def least_absolute_fit(values: FloatArray, truth: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return slope and offset (n,) by which the least absolute deviations are left of the truth, in each column.

    Least squares, each weighted by the inverse of its residual in the last one.

    Parameters
    ----------
    values : (N, n) float64
        What is said of N patches from each of n slices.
    truth : (N,) float64
        Their inverse depths in dioptres.
    """
    weights = np.ones_like(values)
    for _ in range(_ITERATIONS):
        weights /= weights.sum(axis=0)
        value, depth = (weights * values).sum(axis=0), weights.T @ truth
        away, rest = values - value, truth[:, None] - depth
        slope = (weights * away * rest).sum(axis=0) / ((weights * away**2).sum(axis=0) + _LEAST_VARIANCE)
        offset = depth - slope * value
        residual = truth[:, None] - slope * values - offset
        weights = 1.0 / np.maximum(np.abs(residual), _LEAST_RESIDUAL)
    return slope, offset


def calibrate_depth(
    values: FloatArray, truth: FloatArray, diopters: FloatArray, held_values: FloatArray, held_truth: FloatArray
) -> DepthCalibration:
    """Return the calibration of values (N, n) of patches with a truth (N,) in dioptres, slice by slice.

    The spread is that of other patches (M, n), (M,), which the network was not trained on.
    """
    slope, offset = least_absolute_fit(values, truth)
    residual = np.abs(held_truth[:, None] - slope * held_values - offset)
    return DepthCalibration(diopters, slope, offset, np.maximum(residual.mean(axis=0), _LEAST_RESIDUAL))
