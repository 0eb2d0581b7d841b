"""One disparity for a whole patch: how far apart its two dual-pixel views lie, as the rows D1 of the paper need it.

Each estimator takes views (..., 2, H, W), left and right, normalised (0 black, 1 white) and linear, shifted along
the columns, and tries whole shifts up to ``reach`` pixels either way; a parabola gives the fraction. Disparities
beyond the reach come out as the reach: that is what makes the paper's rows as coarse as they are. Local disparity,
window by window, is in :mod:`afsim.disparity`.
"""

from collections.abc import Callable
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.checks import check_whole
from afsim.disparitycosts import TILE, correlations, match_tiles, peaks
from afsim.errors import AfsimError, UnsuitableError, unknown

FloatArray = npt.NDArray[np.float64]
Views = npt.NDArray[np.float32]

# Seven whole shifts, as the disparity of Wadhwa et al. (2018) has; the rows of the paper fit no larger reach.
REACH: Final = 3
# Less than any texture makes: one pixel in 128 x 128 that is off by one ten-bit number makes 7.6e-6.
_LEAST_STD: Final = 1e-6
# How often a patch of nothing but noise may pass for texture: one in a thousand.
_FALSE_ALARMS: Final = 1e-3
# The two halves of a lens never differ by more in what they let through; what differs more is noise around black.
_MOST_GAIN: Final = 2.0


class PatchDisparity(NamedTuple):
    """The disparity of each patch (...)."""

    shift: FloatArray
    """How much farther along the columns the right view lies than the left, in pixels; NaN where there is no
    texture. Of the size of the reach: that, or more."""
    confidence: FloatArray
    """How alike the views are at that shift, 0 ... 1; 0 where there is no texture or the shift is the reach."""


Estimator = Callable[..., PatchDisparity]


def zncc_disparity(views: npt.ArrayLike, *, reach: int = REACH) -> PatchDisparity:
    """Shift at which the zero-mean normalised cross-correlation (ZNCC) of the views is largest.

    "ZNCC Disparity with Calibration" of the paper's Table 1. The template is the left view without ``reach``
    columns at either border, all rows.

    Parameters
    ----------
    views : (..., 2, H, W) array_like
        Left and right, normalised and linear, shifted along the columns.
    reach : int
        Largest shift tried, in pixels either way: 3 reproduces the paper's row, 16 covers its whole sweep.

    Returns
    -------
    PatchDisparity
        ``confidence`` is the correlation there. A gain or an offset of either view changes nothing.

    Raises
    ------
    AfsimError
        Where ``views`` are not pairs, or too small for the reach.

    Notes
    -----
    Whether there is texture: where the views share nothing but what no shift changes (black, or a slope of light),
    correlations at two shifts differ by noise alone. For n independent pixels and a correlation rho that difference
    has the standard deviation ``sqrt(2 / n) (1 - rho)``, ``1 - rho`` (of the mean over the shifts) being the share
    of noise in a view's variance. Of recordings that were enlarged twofold, n is half their pixels or more. The
    largest difference of any two shifts must exceed what chance gives one patch in a thousand (Bonferroni).
    """
    pairs, shape = _checked(views, reach)
    rho = np.empty((len(pairs), 2 * reach + 1))
    correlations(pairs, reach, _LEAST_STD, rho)
    shift, largest = np.empty(len(pairs)), np.empty(len(pairs))
    peaks(rho, shift, largest)
    pixels = pairs.shape[2] * (pairs.shape[3] - 2 * reach)
    textured = largest - rho.min(axis=1) > _chance(pixels, reach) * (1.0 - rho.mean(axis=1))
    return _disparity(shift, largest, textured, reach, shape)


def ssd_disparity(views: npt.ArrayLike, *, reach: int = REACH) -> PatchDisparity:
    """Shift at which tiles of the views differ least in the sum of squares (SSD): the weighted median of all tiles.

    "SSD Disparity" of the paper's Table 1, after Wadhwa et al., "Synthetic depth-of-field with a single-camera
    mobile phone", 2018: tiles of 8 x 8 pixels of the left view, whole shifts, a parabola through the least.

    Parameters
    ----------
    views : (..., 2, H, W) array_like
        Left and right, normalised and linear, shifted along the columns.
    reach : int
        Largest shift tried, in pixels either way: 3 is that of the source, 16 covers the paper's whole sweep.

    Returns
    -------
    PatchDisparity
        ``confidence`` is the share of the tiles' weight that lies within half a pixel.

    Raises
    ------
    AfsimError
        Where ``views`` are not pairs, or too small for the reach.

    Notes
    -----
    Right views are first brought to the sum of the left. Tiles count by the source's cues, made one number: the
    inverse variance of the tile's shift, which its residual raises and its slope along the axis lowers, times
    ``1 - least / second`` where another shift, not beside the least, fits as well. The source's smoothing from
    tile to tile is left out; the median stands in for it.

    Texture is told as in :func:`zncc_disparity`, by the sum of the tiles' curves: of noise alone, sums at two
    shifts differ by ``2 / sqrt(2 n)`` of their size (standard deviation), and twice that variance where enlarged.
    """
    pairs, shape = _checked(views, reach)
    lanes, shifts = len(pairs), 2 * reach + 1
    tiles = (pairs.shape[2] // TILE) * ((pairs.shape[3] - 2 * reach) // TILE)
    curves, shift, weight = np.empty((lanes, shifts)), np.empty((lanes, tiles)), np.empty((lanes, tiles))
    match_tiles(pairs, _gains(pairs), reach, curves, shift, weight)
    median, agreeing = _weighted_median(shift, weight)
    spread = curves.max(axis=1) - curves.min(axis=1)
    textured = spread > _chance(tiles * TILE**2, reach) * curves.mean(axis=1)
    return _disparity(median, agreeing, textured, reach, shape)


ESTIMATORS: Final[dict[str, Estimator]] = {"zncc": zncc_disparity, "ssd": ssd_disparity}
"""The estimators by name."""


def get_estimator(name: str) -> Estimator:
    """Return the estimator ``name``, or raise naming those there are."""
    if name not in ESTIMATORS:
        raise unknown("disparity estimator", name, ESTIMATORS)
    return ESTIMATORS[name]


def check_reach(reach: object, height: int, width: int) -> None:
    """Raise unless patches of that size leave room for a shift of ``reach`` pixels along their columns."""
    check_whole("reach", reach, least=1)
    assert isinstance(reach, int | np.integer)
    if height < TILE or width < TILE + 2 * reach:
        raise UnsuitableError(
            f"a reach of {reach} pixels needs patches of at least {TILE} pixels across and {TILE + 2 * reach} "
            f"along the shift, got {height} and {width}"
        )


def _checked(views: npt.ArrayLike, reach: int) -> tuple[Views, tuple[int, ...]]:
    """Return the pairs as (N, 2, H, W) float32, and the shape of what there is one of for each."""
    pairs = np.asarray(views)
    if pairs.ndim < 3 or pairs.shape[-3] != 2 or pairs.dtype.kind != "f":
        raise AfsimError(
            f"views must be (..., 2, height, width) of normalised floats, got shape {pairs.shape} of {pairs.dtype}"
        )
    check_reach(reach, *pairs.shape[-2:])
    shape = pairs.shape[:-3]
    return np.ascontiguousarray(pairs, dtype=np.float32).reshape(-1, *pairs.shape[-3:]), shape


def _gains(pairs: Views) -> FloatArray:
    """Return what brings each right view to the sum of the left; 1 where the sums are of nothing."""
    left, right = (pairs[:, view].sum(axis=(-2, -1), dtype=np.float64) for view in (0, 1))
    usable = (left > 0) & (right > 0) & (left < _MOST_GAIN * right) & (right < _MOST_GAIN * left)
    return np.where(usable, left / np.where(usable, right, 1.0), 1.0)


def _weighted_median(values: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the weighted medians (N,) of values (N, T), and the share of the weight within half a pixel of them.

    NaN and 0 where all weights are 0.
    """
    order = values.argsort(axis=1, kind="stable")
    # Running sums, also for the totals: a lane's bits do not depend on how many there are.
    below = np.take_along_axis(weights, order, axis=1).cumsum(axis=1)
    total = below[:, -1]
    middle = (below >= 0.5 * total[:, None]).argmax(axis=1)
    median = np.take_along_axis(values, order, axis=1)[np.arange(len(values)), middle]
    near = np.where(np.abs(values - median[:, None]) <= 0.5, weights, 0.0).cumsum(axis=1)[:, -1]
    weighted = total > 0.0
    return np.where(weighted, median, np.nan), np.where(weighted, near / np.where(weighted, total, 1.0), 0.0)


def _chance(pixels: int, reach: int) -> float:
    """Return how far apart the values at two shifts lie by chance, relative to noise, at the most."""
    pairs = reach * (2 * reach + 1)
    deviations = -NormalDist().inv_cdf(_FALSE_ALARMS / (2 * pairs))
    return float(deviations * 2.0 / np.sqrt(pixels))


def _disparity(
    shift: FloatArray,
    likeness: FloatArray,
    textured: npt.NDArray[np.bool_],
    reach: int,
    shape: tuple[int, ...],
) -> PatchDisparity:
    known = textured & ~np.isnan(shift)
    inside = known & (np.abs(shift) < reach)
    confidence = np.where(inside, likeness, 0.0).clip(0.0, 1.0)
    return PatchDisparity(np.where(known, shift, np.nan).reshape(shape), confidence.reshape(shape))
