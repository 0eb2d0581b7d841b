"""Fit the calibration of a disparity estimator on recorded stacks whose best index is known."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.calibration import DisparityCalibration, ErrorModel, Provenance, cell_weights, error_cells
from afsim.checks import check_number, check_whole
from afsim.errors import AfsimError
from afsim.framing import Framing
from afsim.jit import over_lanes
from afsim.optics import PIXEL3_FOCAL_LENGTH_M, diopters_of_index, magnification
from afsim.patch_disparity import check_reach, get_estimator
from afsim.robust import huber_fit
from afsim.stackset import StackSet

FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# More likely right than wrong: most of the texture, or of the tiles, agrees on the shift.
_LEAST_CONFIDENCE: Final = 0.5
# Two numbers a cell, some dozens of cells that lean on each other: fewer stacks do not tell a field.
_LEAST_STACKS: Final = 12
# As many estimates as about three stacks give near focus: cells with fewer follow the whole field.
_PRIOR_ESTIMATES: Final = 50.0
# Less spread of the defocus, in dioptres, moves a phone's views apart by a hundredth of a pixel: no slope to tell.
_LEAST_SPREAD: Final = 0.01
# Measured between two looks at the keyboard: what is interrupted stops within seconds.
_STACKS_AT_ONCE: Final = 16
# Rows and columns of the error model: fine enough to tell near from far and sure from unsure.
_SIZES: Final = 4
_SURENESSES: Final = 5
# An error model's cell starts from the mean of all, worth as many estimates.
_PRIOR_OF_ERRORS: Final = 20.0


class Estimates(NamedTuple):
    """What an estimator says of every slice of N stacks, and what it should have said."""

    shift: FloatArray
    """(N, n) in pixels, NaN without texture."""
    confidence: FloatArray
    """(N, n) in 0 ... 1."""
    truth: FloatArray
    """(N,) index in focus."""
    region: FloatArray
    """(N, 2) place in the field, x along the shift."""


def fit_calibration(
    stacks: StackSet,
    estimator: str = "zncc",
    *,
    reach: int = 3,
    grid: tuple[int, int] = (6, 8),
    most_defocus: float = 8.0,
    progress: Callable[[int], None] = lambda stacks: None,
) -> DisparityCalibration:
    """Fit slope and offset of disparity against inverse depth, cell by cell of the field.

    Parameters
    ----------
    stacks : StackSet
        Dual-pixel stacks with known distances; those without a label are left out.
    estimator : str
        Of :data:`afsim.patch_disparity.ESTIMATORS`.
    reach : int
        Its largest shift in pixels.
    grid : (int, int)
        Rows and columns of cells over the field, the columns along the shift.
    most_defocus : float
        Slices farther than this from the truth, in indices, are left out: with a reach of 3 pixels disparity
        saturates not far beyond.
    progress : callable
        Told how many more stacks were measured, perhaps from several threads.

    Returns
    -------
    DisparityCalibration
        The same whatever the number of threads.

    Raises
    ------
    AfsimError
        Where the set has no distances, no second view, or not enough labelled stacks with texture.

    Notes
    -----
    Iteratively reweighted least squares with Huber's weights, on estimates that are inside the reach and whose
    confidence is at least one half. The fit runs forwards, from depth to disparity: regressing depth on disparity
    has the smaller error on the stacks fitted, but leans towards their mean. Cells are tied to the fit of the whole
    field by as much as 50 estimates, so that those with few patches, or none, follow it.
    """
    check_number("most_defocus", most_defocus, above=0.0)
    if not isinstance(grid, tuple | list) or len(grid) != 2:
        raise AfsimError(f"grid must be (rows, columns), got {grid!r}")
    for name, cells in zip(("rows of the grid", "columns of the grid"), grid, strict=True):
        check_whole(name, cells, least=1)
    estimates = measure(stacks, estimator, reach=reach, progress=progress)
    assert stacks.diopters is not None
    index = np.arange(stacks.n)
    usable = (np.abs(index - estimates.truth[:, None]) <= most_defocus) & (
        estimates.confidence >= _LEAST_CONFIDENCE
    )
    told = int(usable.any(axis=1).sum())
    if told < _LEAST_STACKS:
        raise AfsimError(
            f"too few patches to calibrate {estimator}: {told} of {len(stacks)} stacks have a label and a shift "
            f"that can be trusted within {most_defocus:g} indices of it, expected at least {_LEAST_STACKS}"
        )
    slopes, offsets, residual = _fit_field(estimates, usable, stacks.diopters, grid)
    nothing = ErrorModel(residual, (), (), ((0.0,), (0.0,)))
    provenance = Provenance(_set_name(stacks), stacks.digest, told, int(usable.sum()))
    fitted = DisparityCalibration(
        estimator, reach, _rows(slopes), _rows(offsets), nothing, PIXEL3_FOCAL_LENGTH_M, provenance
    )
    return replace(fitted, errors=_error_model(fitted, estimates, stacks.diopters))


def measure(
    stacks: StackSet, estimator: str, *, reach: int, progress: Callable[[int], None] = lambda stacks: None
) -> Estimates:
    """Return what an estimator says of every slice of the labelled stacks of a set.

    Raises
    ------
    AfsimError
        Where the set has no distances, no second view or no labels, or its patches are too small.
    """
    of_pair, geometry = get_estimator(estimator), stacks.geometry
    if geometry.diopters is None:
        raise AfsimError(f"disparity cannot be calibrated on {stacks!r}: its focus distances are unknown")
    if geometry.views != 2:
        raise AfsimError(f"disparity cannot be calibrated on {stacks!r}: it needs dual-pixel stacks (2 views)")
    chosen = np.flatnonzero(stacks.labelled)
    if chosen.size == 0:
        raise AfsimError(f"disparity cannot be calibrated on {stacks!r}: no stack has a label")
    framing = Framing(stacks, PIXEL3_FOCAL_LENGTH_M)
    inner = slice(framing.crop, -framing.crop or None)
    down = framing.told("dp_axis", None) == "rows"
    size = (geometry.height - 2 * framing.crop, geometry.width - 2 * framing.crop)
    check_reach(reach, *(size[::-1] if down else size))
    shift, confidence = np.empty((len(chosen), stacks.n)), np.empty((len(chosen), stacks.n))

    def measure_some(first: int, begin: int, end: int) -> None:
        for i in range(first + begin, first + end):
            views = stacks[int(chosen[i])].normalized()[..., inner, inner]
            shift[i], confidence[i] = of_pair(views.swapaxes(-1, -2) if down else views, reach=reach)
            progress(1)

    for first in range(0, len(chosen), _STACKS_AT_ONCE):
        lanes = min(_STACKS_AT_ONCE, len(chosen) - first)
        over_lanes(partial(measure_some, first), lanes, at_least=1)
    region = stacks.regions[chosen]
    return Estimates(shift, confidence, stacks.truth[chosen], region[:, ::-1] if down else region)


# ---------------------------------------------------------------------- the field
def _fit_field(
    estimates: Estimates, usable: Mask, diopters: FloatArray, grid: tuple[int, int]
) -> tuple[FloatArray, FloatArray, float]:
    """Return slopes and offsets (rows, columns), and the robust standard deviation of the disparity about them."""
    stack, slice_ = np.nonzero(usable)
    defocus = diopters[slice_] - diopters_of_index(estimates.truth, diopters)[stack]
    scaled = defocus * magnification(diopters[slice_])
    shift, one = estimates.shift[usable], np.ones(len(stack))
    if scaled.std() < _LEAST_SPREAD:
        raise AfsimError(
            "disparity cannot be calibrated: all estimates are of one defocus "
            f"(they differ by {scaled.std():.2g} dioptres, expected at least {_LEAST_SPREAD:g})"
        )
    whole = huber_fit(np.stack([scaled, one], axis=1), shift).parameters
    cells = cell_weights(estimates.region[stack], grid)
    design = np.concatenate([cells * scaled[:, None], cells], axis=1)
    count = cells.shape[1]
    ties = _PRIOR_ESTIMATES * np.repeat([float((scaled**2).mean()), 1.0], count)
    fit = huber_fit(design, shift, prior=np.repeat(whole, count), ties=ties)
    slopes, offsets = fit.parameters[:count], fit.parameters[count:]
    return slopes.reshape(grid), offsets.reshape(grid), fit.spread


# ---------------------------------------------------------------------- how far to trust it
def _error_model(fitted: DisparityCalibration, estimates: Estimates, diopters: FloatArray) -> ErrorModel:
    """Return how often estimates of any slice led within one index of the truth."""
    known = ~np.isnan(estimates.shift)
    stack, slice_ = np.nonzero(known)
    shift, confidence = estimates.shift[known], estimates.confidence[known]
    index = fitted.index(shift, slice_, estimates.region[stack], diopters)
    right = np.abs(index - estimates.truth[stack]) <= 1.0
    inside = confidence > 0.0
    sizes = _edges(np.abs(shift[inside]), _SIZES)
    model = ErrorModel(fitted.errors.residual_px, sizes, _edges(confidence[inside], _SURENESSES), ())
    shape = (len(model.shift_edges_px) + 2, len(model.confidence_edges) + 1)
    row, column = error_cells(model._replace(within_one=((0.0,),) * shape[0]), fitted.reach, shift, confidence)
    counts, hits = np.zeros(shape), np.zeros(shape)
    np.add.at(counts, (row, column), 1.0)
    np.add.at(hits, (row, column), right)
    # What reached the reach says that the truth is far off, nothing of how far: the mean of all is not its prior.
    share = np.full((shape[0], 1), right[inside].mean())
    share[-1] = hits[-1].sum() / max(counts[-1].sum(), 1.0)
    shares = (hits + _PRIOR_OF_ERRORS * share) / (counts + _PRIOR_OF_ERRORS)
    return model._replace(within_one=_rows(shares))


def _edges(values: FloatArray, parts: int) -> tuple[float, ...]:
    """Return what splits values into parts of equal size."""
    quantiles = np.quantile(values, np.arange(1, parts) / parts)
    return tuple(float(value) for value in np.unique(quantiles.round(4)))


def _rows(table: FloatArray) -> tuple[tuple[float, ...], ...]:
    """Return a table with the digits that matter: a ten-thousandth of a pixel moves nothing."""
    return tuple(tuple(float(value) for value in row) for row in table.round(5))


def _set_name(stacks: StackSet) -> str:
    config: Any = stacks.metadata.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return str(name or (stacks.path.resolve().name if stacks.path is not None else "stacks in memory"))
