"""The compiled loops of a patch's disparity: correlation at each shift, and the match of its tiles.

A pair's arithmetic is its own, in one order, so a batch gives what its pairs give alone.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled
from afsim.parabola import extreme_offset

SingleArray = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

# Side of the square tiles in pixels, of Wadhwa et al. (2018).
TILE: Final = 8
# Standard error, in pixels, that no tile's shift falls below, however clean: parabolas through whole shifts lean
# towards whole pixels by about as much.
_LEAST_ERROR_PX: Final = 0.05


# ------------------------------------------------------------------------------ the whole patch
@compiled
def correlations(views: SingleArray, reach: int, least_std: float, rho: FloatArray) -> None:
    """Write the correlation (N, 2 reach + 1) of the middle of left views with right ones, shift by shift.

    ``views`` are (N, 2, H, W). NaN where either has a smaller standard deviation than ``least_std``.
    """
    height, width = views.shape[2], views.shape[3]
    shifts, across = 2 * reach + 1, width - 2 * reach
    count = height * across
    left, right = np.empty(across), np.empty(width)
    for i in range(rho.shape[0]):
        # Around each view's own mean, sums of squares keep their digits. Sums are kept by column: a row at a time
        # adds up as vectors.
        mean_l, mean_r = _mean(views[i, 0]), _mean(views[i, 1])
        products = np.zeros((shifts, across))
        sum_l, square_l = np.zeros(across), np.zeros(across)
        sum_r, square_r = np.zeros(width), np.zeros(width)
        for y in range(height):
            row_l, row_r = views[i, 0, y], views[i, 1, y]
            for x in range(across):
                left[x] = row_l[x + reach] - mean_l
                sum_l[x] += left[x]
                square_l[x] += left[x] * left[x]
            for x in range(width):
                right[x] = row_r[x] - mean_r
                sum_r[x] += right[x]
                square_r[x] += right[x] * right[x]
            for s in range(shifts):
                out, moved = products[s], right[s : s + across]
                for x in range(across):
                    out[x] += left[x] * moved[x]
        off_l = sum_l.sum() / count
        std_l = np.sqrt(max(square_l.sum() / count - off_l * off_l, 0.0))
        for s in range(shifts):
            off_r = sum_r[s : s + across].sum() / count
            std_r = np.sqrt(max(square_r[s : s + across].sum() / count - off_r * off_r, 0.0))
            if std_l < least_std or std_r < least_std:
                rho[i, s] = np.nan
            else:
                rho[i, s] = (products[s].sum() / count - off_l * off_r) / (std_l * std_r)


@compiled
def _mean(view: SingleArray) -> float:
    """Return the mean of a view (H, W)."""
    height, width = view.shape
    sums = np.zeros(width)
    for y in range(height):
        row = view[y]
        for x in range(width):
            sums[x] += row[x]
    return float(sums.sum() / (height * width))


@compiled
def peaks(values: FloatArray, shifts: FloatArray, largest: FloatArray) -> None:
    """Write where each curve (N, 2 reach + 1) is largest, in pixels, and how large; NaN where it is unknown."""
    last = values.shape[1] - 1
    for i in range(values.shape[0]):
        curve, best = values[i], 0
        for s in range(1, last + 1):
            if curve[s] > curve[best]:
                best = s
        offset = extreme_offset(curve[best - 1], curve[best], curve[best + 1]) if 0 < best < last else 0.0
        largest[i] = curve[best]
        shifts[i] = np.nan if np.isnan(curve).any() else best - last // 2 + offset


# ------------------------------------------------------------------------------ tiles
@compiled
def match_tiles(
    views: SingleArray, gains: FloatArray, reach: int, curves: FloatArray, shifts: FloatArray, weights: FloatArray
) -> None:
    """Write what the tiles of views (N, 2, H, W) cost, where they fit best, and how much each counts.

    ``gains`` (N,) bring right views to the level of the left. ``curves`` (N, 2 reach + 1) are the sums of squared
    differences over all tiles, ``shifts`` and ``weights`` (N, T) of each tile, row by row. Tiles lie as centred as
    they can.
    """
    height, width = views.shape[2], views.shape[3]
    down, across = height // TILE, (width - 2 * reach) // TILE
    top, first = (height - TILE * down) // 2, (width - TILE * across) // 2
    curve = np.empty(2 * reach + 1)
    for i in range(gains.size):
        curves[i] = 0.0
        for t in range(down * across):
            y, x = top + TILE * (t // across), first + TILE * (t % across)
            left = views[i, 0, y : y + TILE, x : x + TILE]
            right = views[i, 1, y : y + TILE, x - reach : x + TILE + reach]
            _tile_curve(left, right, gains[i], curve)
            curves[i] += curve
            shifts[i, t], weights[i, t] = _match(left, right, gains[i], reach, curve)


@compiled
def _tile_curve(left: SingleArray, right: SingleArray, gain: float, curve: FloatArray) -> None:
    """Write the sum of squared differences of a tile at each shift."""
    curve[:] = 0.0
    for y in range(TILE):
        for x in range(TILE):
            # Shifts innermost: so does the loop become one of vectors.
            value, moved = left[y, x], right[y, x : x + curve.size]
            for s in range(curve.size):
                off = value - gain * moved[s]
                curve[s] += off * off


@compiled
def _match(
    left: SingleArray, right: SingleArray, gain: float, reach: int, curve: FloatArray
) -> tuple[float, float]:
    """Return the shift of a tile in pixels, and its weight."""
    best = int(curve.argmin())
    inner = 0 < best < curve.size - 1
    offset = extreme_offset(curve[best - 1], curve[best], curve[best + 1]) if inner else 0.0
    second = np.inf
    for s in range(curve.size):
        if abs(s - best) > 1:
            second = min(second, curve[s])
    # Slopes that both views have: their noise is independent, so that it adds nothing on average.
    slopes = 0.0
    for y in range(TILE):
        for x in range(TILE - 1):
            of_right = right[y, x + best + 1] - right[y, x + best]
            slopes += (left[y, x + 1] - left[y, x]) * gain * of_right
    if slopes <= 0.0 or second <= curve[best]:
        return best - reach + offset, 0.0
    # The inverse variance of the shift by residual and slopes, less where another shift fits as well.
    variance = curve[best] / TILE**2 / (slopes * TILE / (TILE - 1))
    distinct = 1.0 - curve[best] / second
    return best - reach + offset, distinct / (variance + _LEAST_ERROR_PX**2)
