"""From the disparity of one image to the index in focus: the spatially varying calibration of the rows D1.

By equation 5 of the paper disparity is affine in inverse depth: ``d = s m(D) (D - D_o) + b`` for a lens focused at
D dioptres, an object at D_o and the magnification m(D) = 1 / (1 - f D) of :func:`afsim.optics.magnification`. Slope
s and offset b vary over the field; :func:`afsim.calibrationfit.fit_calibration` finds them.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.checks import check_finite, check_number, check_whole
from afsim.errors import AfsimError
from afsim.optics import diopters_of_index, fractional_index, magnification, nearest_index
from afsim.patch_disparity import get_estimator
from afsim.recordfile import RecordFormat

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Rows = tuple[tuple[float, ...], ...]

_FORMAT: Final = RecordFormat("afsim-disparity-calibration", 1, "calibration of disparity", "afsim calibrate")
_SHIPPED: Final = Path(__file__).parent / "calibrations"


class Provenance(NamedTuple):
    """What a calibration was fitted on: name and SHA-256 of the set, how many stacks and estimates, the command."""

    set: str
    sha256: str
    stacks: int
    estimates: int
    command: str = ""


class ErrorModel(NamedTuple):
    """How often estimates led within one index of the truth on the stacks that were fitted.

    Estimates are sorted by the size of their shift and, within that, by their confidence; the last row is of those
    that reached the reach, whose confidence is 0.
    """

    residual_px: float
    """Robust standard deviation of the disparity about the fit."""
    shift_edges_px: tuple[float, ...]
    """(a - 1) sizes between the rows but the last, rising."""
    confidence_edges: tuple[float, ...]
    """(c - 1) confidences between the columns, rising."""
    within_one: Rows
    """(a + 1, c) shares in 0 ... 1."""


@dataclass(frozen=True)
class DisparityCalibration:
    """Slope and offset of disparity against inverse depth over the field, for one estimator.

    Attributes
    ----------
    estimator : str
        Of :data:`afsim.patch_disparity.ESTIMATORS`.
    reach : int
        Its largest shift in pixels.
    slopes : (rows, columns) tuple of tuples
        Pixels per dioptre, in cells of the field: rows from y = -1 to 1, columns from x = -1 to 1, the shift being
        along x. Bilinear between the cells' centres, constant beyond. None is 0.
    offsets : (rows, columns) tuple of tuples
        Disparity in focus, in pixels: curvature of the field, and views that are not aligned.
    errors : ErrorModel
        How far estimates can be trusted.
    focal_length_m : float
        Of the lens, in metres.
    provenance : Provenance
        What it was fitted on.

    Raises
    ------
    AfsimError
        For parts that do not fit together.
    """

    estimator: str
    reach: int
    slopes: Rows
    offsets: Rows
    errors: ErrorModel
    focal_length_m: float
    provenance: Provenance

    def __post_init__(self) -> None:
        get_estimator(self.estimator)
        check_whole("calibration: reach", self.reach, least=1)
        check_number("calibration: focal_length_m", self.focal_length_m, above=0.0)
        shape = np.shape(self.slopes)
        if len(shape) != 2 or 0 in shape:
            raise AfsimError(f"calibration: slopes must be (rows, columns), got shape {shape}")
        slopes = check_finite("calibration: slopes", self.slopes, shape)
        check_finite("calibration: offsets", self.offsets, shape)
        if not ((slopes > 0).all() or (slopes < 0).all()):
            raise AfsimError(f"calibration: slopes must have one sign and none be 0, got {slopes}")
        _check_errors(self.errors)

    # ------------------------------------------------------------------ using it
    def slope_offset(self, region: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return slope in pixels per dioptre and offset in pixels (N,) at places (N, 2) of the field, x and y."""
        weights = cell_weights(region, np.shape(self.slopes))
        slopes, offsets = (np.asarray(table, dtype=np.float64).ravel() for table in (self.slopes, self.offsets))
        # einsum rather than a matrix product: a lane's result does not depend on how many there are
        return np.einsum("nc,c->n", weights, slopes), np.einsum("nc,c->n", weights, offsets)

    def depth(
        self, shift: npt.ArrayLike, position: npt.ArrayLike, region: npt.ArrayLike, diopters: npt.ArrayLike
    ) -> FloatArray:
        """Return the inverse depth (N,) in dioptres, kept within the table; NaN where the shift is.

        Parameters
        ----------
        shift : (N,) array_like
            Disparity in pixels.
        position : (N,) array_like
            Where the lens stands, as an index that may be fractional.
        region : (N, 2) array_like
            Where in the field, x along the shift and y, in [-1, 1].
        diopters : (n,) array_like
            Focus distances of the slices.
        """
        table = np.asarray(diopters, dtype=np.float64)
        focus = diopters_of_index(position, table)
        slope, offset = self.slope_offset(region)
        scaled = slope * magnification(focus, self.focal_length_m)
        return np.asarray((focus - (np.asarray(shift) - offset) / scaled).clip(table[0], table[-1]))

    def index(
        self, shift: npt.ArrayLike, position: npt.ArrayLike, region: npt.ArrayLike, diopters: npt.ArrayLike
    ) -> IntArray:
        """Return the slice in focus (N,): the nearest in dioptres to :meth:`depth`.

        Where the shift is NaN, the slice nearest to where the lens stands.
        """
        depth, stands = self.depth(shift, position, region, diopters), diopters_of_index(position, diopters)
        return nearest_index(np.where(np.isnan(depth), stands, depth), diopters)

    def fractional(
        self, shift: npt.ArrayLike, position: npt.ArrayLike, region: npt.ArrayLike, diopters: npt.ArrayLike
    ) -> FloatArray:
        """Return the index in focus (N,) as a fraction, within the table; NaN where the shift is."""
        return fractional_index(self.depth(shift, position, region, diopters), diopters)

    def within_one(self, shift: npt.ArrayLike, confidence: npt.ArrayLike) -> FloatArray:
        """Return the probability (N,) that :meth:`index` is within 1 of the truth, by what was seen in the fit.

        0 where the shift is NaN. It is that of a start anywhere in the range, as in the paper's evaluation.
        """
        row, column = error_cells(self.errors, self.reach, shift, confidence)
        share = np.asarray(self.errors.within_one, dtype=np.float64)[row, column]
        return np.where(np.isnan(shift), 0.0, share)

    # ------------------------------------------------------------------ keeping it
    def save(self, path: str | Path) -> None:
        """Write the calibration as JSON, aside and then renamed; a file that is there is replaced.

        Raises
        ------
        StoreError
            Where ``path`` is a folder or cannot be written.
        """
        record = {
            "estimator": self.estimator,
            "reach": self.reach,
            "focal_length_m": self.focal_length_m,
            "slopes_px_per_diopter": self.slopes,
            "offsets_px": self.offsets,
            "errors": self.errors._asdict(),
            "provenance": self.provenance._asdict(),
        }
        _FORMAT.write(path, record, indent=1)

    @classmethod
    def load(cls, path: str | Path) -> "DisparityCalibration":
        """Read a calibration that :meth:`save` wrote.

        Raises
        ------
        StoreError
            Where the file is missing, is none, is damaged, or a newer version wrote it.
        """
        with _FORMAT.reading(path) as record:
            errors = record["errors"]
            return cls(
                record["estimator"],
                record["reach"],
                _rows(record["slopes_px_per_diopter"]),
                _rows(record["offsets_px"]),
                ErrorModel(
                    float(errors["residual_px"]),
                    tuple(errors["shift_edges_px"]),
                    tuple(errors["confidence_edges"]),
                    _rows(errors["within_one"]),
                ),
                record["focal_length_m"],
                Provenance(**record["provenance"]),
            )


def _check_errors(errors: ErrorModel) -> None:
    """Raise unless the parts of an error model fit together."""
    check_number("calibration: residual_px", errors.residual_px, least=0.0)
    for name, edges in (("shift_edges_px", errors.shift_edges_px), ("confidence_edges", errors.confidence_edges)):
        values = check_finite(f"calibration: {name}", edges, (len(edges),))
        if not (np.diff(values) > 0).all():
            raise AfsimError(f"calibration: {name} must rise, got {values}")
    table = (len(errors.shift_edges_px) + 2, len(errors.confidence_edges) + 1)
    shares = check_finite("calibration: within_one", errors.within_one, table)
    if not ((shares >= 0) & (shares <= 1)).all():
        raise AfsimError(f"calibration: within_one must lie in 0 ... 1, got {shares}")


def _rows(table: Any) -> Rows:
    return tuple(tuple(float(value) for value in row) for row in table)


@cache
def shipped_calibration(estimator: str, reach: int) -> DisparityCalibration:
    """Return the calibration that comes with afsim, fitted on the benchmark's training set.

    Raises
    ------
    AfsimError
        Where none is shipped; the message tells how to make one.
    """
    get_estimator(estimator)
    path = _SHIPPED / f"{estimator}-{reach}.json"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in _SHIPPED.glob("*.json")))
        raise AfsimError(
            f"no calibration of {estimator} with a reach of {reach} pixels is shipped (there are: {there}); "
            f"fit one: afsim calibrate --stacks SET --estimator {estimator} --reach {reach} --out FILE"
        )
    return DisparityCalibration.load(path)


# ---------------------------------------------------------------------- where an estimate belongs
def cell_weights(region: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return how much each cell of a (rows, columns) grid counts at places (N, 2): (N, rows * columns), sum 1.

    Bilinear between the cells' centres; beyond the outermost centres as at them.
    """
    places = np.asarray(region, dtype=np.float64)
    if places.ndim != 2 or places.shape[1] != 2:
        raise AfsimError(f"region must be (N, 2), x and y in [-1, 1], got shape {places.shape}")
    across, down = (_linear_weights(places[:, axis], shape[1 - axis]) for axis in (0, 1))
    return (down[:, :, None] * across[:, None, :]).reshape(len(places), -1)


def _linear_weights(place: FloatArray, cells: int) -> FloatArray:
    """Return hat functions (N, cells) at places in [-1, 1]."""
    at = ((place + 1.0) / 2.0 * cells - 0.5).clip(0.0, cells - 1.0)
    return np.asarray(np.maximum(1.0 - np.abs(at[:, None] - np.arange(cells)), 0.0))


def error_cells(
    errors: ErrorModel, reach: int, shift: npt.ArrayLike, confidence: npt.ArrayLike
) -> tuple[IntArray, IntArray]:
    """Return row and column of the error model that estimates (N,) belong to."""
    size = np.abs(np.nan_to_num(np.asarray(shift, dtype=np.float64)))
    row = np.searchsorted(np.asarray(errors.shift_edges_px), size, side="right")
    row = np.where(size >= reach, len(errors.within_one) - 1, row)
    return row, np.searchsorted(np.asarray(errors.confidence_edges), confidence, side="right")
