"""How much each slice of a stack is zoomed about the principal point, by a grid search over the pixels.

Far from the principal point a zoom shows mainly as a shift, and one number for both is well determined; near it the
zoom of a small patch is hard to tell from what defocus does. The search says how sure it is.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from afsim.jit import compiled
from afsim.parabola import extreme_offset
from afsim.robust import huber_fit

FloatArray = npt.NDArray[np.float64]
SingleArray = npt.NDArray[np.float32]

# What is compared passes a Gaussian first, so that a difference of defocus counts little; its pull on the border.
_SMOOTH_PX: Final = 4.0
_BORDER_PX: Final = 8
# The grid about the calibrated zoom, which is itself within 3 per cent of 1 for phone lenses (a Pixel 3's about its
# middle slice is 0.97 ... 1.03): together they span 0.94 ... 1.06.
STEP: Final = 0.0005
_REACH: Final = 0.03
# Points that are compared along the longer side, at most: more change a large frame's result little.
_MOST_POINTS: Final = 64
# Least share of the points that both images must have.
_LEAST_OVERLAP: Final = 0.4
# Below the first correlation a slice is matched to a nearer one, below the second it has no match. The first leaves
# defocus little weight, the second is that of :mod:`afsim.zoomfit`.
_DIRECT_CORRELATION: Final = 0.98
_LEAST_CORRELATION: Final = 0.9
# What rounding leaves of a logarithm of the zoom.
_ROUNDING: Final = 1e-9
# Correlation of neighbouring residuals that is believed, at most.
_MOST_SHARED: Final = 0.98
_FEWEST_SLICES: Final = 8


class Gain(NamedTuple):
    """What a search finds in a stack; NaN where it finds no hold at all."""

    gain: float
    """Change of scale over that of a thin lens, ``d ln(scale) / d ln(M)``."""
    error: float
    """Standard error of the gain, by the scatter of the slices about it and how alike neighbours scatter."""
    slices: int
    """How many slices were matched, the reference apart."""


def search_zooms(
    green: npt.NDArray[np.generic], centre: npt.ArrayLike, calibrated: FloatArray, reference: int
) -> FloatArray:
    """Search for the zoom of every slice against the reference.

    Parameters
    ----------
    green : (n, H, W)
        Linear light in any unit; gain and offset may differ between slices.
    centre : (2,)
        The principal point, x and y in pixels; it may lie outside.
    calibrated : (n,) float64
        The logarithm of the zoom that is expected.
    reference : int
        The slice that the others are matched to.

    Returns
    -------
    (n,) float64
        The logarithm of the zoom: content at ``r`` from the principal point in the reference is at ``exp(z) r`` in
        the slice. NaN where no match was found.

    Notes
    -----
    Least mean squared difference over a grid of zooms, after the best gain and offset, refined by the parabola
    through the best three. Slices are taken outwards from the reference and matched to it directly as long as
    defocus allows (a correlation of 0.98), then to the last slice before, whose zoom multiplies.
    """
    low = np.stack(
        [gaussian_filter(np.asarray(image, dtype=np.float32), _SMOOTH_PX, mode="nearest") for image in green]
    )
    x, y = np.asarray(centre, dtype=np.float64).tolist()
    zooms = np.full(len(low), np.nan)
    zooms[reference] = 0.0
    for direction in (1, -1):
        anchor = reference
        k = reference + direction
        while 0 <= k < len(low):
            expected = calibrated[k] - calibrated[anchor]
            found, correlation = _match(low[anchor], low[k], x, y, expected)
            if correlation < _DIRECT_CORRELATION and anchor != k - direction:
                anchor = k - direction
                continue
            if not correlation >= _LEAST_CORRELATION:
                break
            zooms[k] = zooms[anchor] + found
            k += direction
    return zooms


def fit_gain(zooms: FloatArray, growth: FloatArray) -> Gain:
    """Smooth the zooms of a stack: all are one gain times the thin lens's, by robust least squares.

    Parameters
    ----------
    zooms : (n,) float64
        From :func:`search_zooms`.
    growth : (n,) float64
        Logarithm of the thin lens's scale over that at the reference: nearly linear in dioptres.
    """
    held = np.isfinite(zooms) & (growth != 0.0)
    count = int(held.sum())
    if count < _FEWEST_SLICES:
        return Gain(np.nan, np.nan, count)
    x, y = growth[held], zooms[held]
    fit = huber_fit(x[:, None], y, least_spread=_ROUNDING)
    gain, residual, weights = float(fit.parameters[0]), fit.residuals, fit.weights
    variance = float((weights * residual) @ residual) / (count - 1)
    # Zooms that multiply share their errors, and a slice's are like its neighbours': fewer count than there are.
    shared = float(
        np.clip(residual[1:] @ residual[:-1] / max(float(residual @ residual), 1e-18), 0.0, _MOST_SHARED)
    )
    inflation = (1.0 + shared) / (1.0 - shared)
    return Gain(gain, float(np.sqrt(inflation * variance / ((weights * x) @ x))), count)


def _match(anchor: SingleArray, image: SingleArray, x: float, y: float, expected: float) -> tuple[float, float]:
    """Return the logarithm of the zoom of an image against another, and their correlation there; 0 for no match."""
    half = round(_REACH / STEP)
    zooms = np.asarray(np.exp(expected) + STEP * np.arange(-half, half + 1), dtype=np.float64)
    losses = np.empty(len(zooms))
    _losses(anchor, image, x, y, zooms, _BORDER_PX, _pitch(anchor.shape), _LEAST_OVERLAP, losses)
    best = int(np.argmin(losses))
    if not 0 < best < len(zooms) - 1 or not np.isfinite(losses[best - 1 : best + 2]).all():
        return 0.0, 0.0
    left, middle, right = losses[best - 1 : best + 2].tolist()
    between = extreme_offset(left, middle, right)
    return float(np.log(zooms[best] + STEP * between)), float(np.sqrt(1.0 - middle))


def _pitch(shape: tuple[int, ...]) -> int:
    return max(round(_SMOOTH_PX), max(shape) // _MOST_POINTS)


@compiled
def _losses(
    anchor: SingleArray,
    image: SingleArray,
    x: float,
    y: float,
    zooms: FloatArray,
    border: int,
    pitch: int,
    least: float,
    losses: FloatArray,
) -> None:
    """Write the mean squared difference of each zoom (m,), over the anchor's variance: 1 - correlation^2.

    Over the points that both images have; infinite where those are too few, without texture, or correlate below 0.
    """
    height, width = anchor.shape
    for j in range(zooms.size):
        zoom = zooms[j]
        points = held = 0
        a = b = aa = bb = ab = 0.0
        for v in range(border, height - border, pitch):
            to_y = y + zoom * (v - y)
            inside = border <= to_y < height - 1 - border
            top = int(to_y) if inside else 0
            down = to_y - top
            for u in range(border, width - border, pitch):
                points += 1
                to_x = x + zoom * (u - x)
                if inside and border <= to_x < width - 1 - border:
                    left = int(to_x)
                    right = to_x - left
                    above = image[top, left] * (1.0 - right) + image[top, left + 1] * right
                    below = image[top + 1, left] * (1.0 - right) + image[top + 1, left + 1] * right
                    there, here = above * (1.0 - down) + below * down, float(anchor[v, u])
                    held += 1
                    a += here
                    b += there
                    aa += here * here
                    bb += there * there
                    ab += here * there
        losses[j] = np.inf
        if held > least * points:
            spread = (aa - a * a / held) * (bb - b * b / held)
            shared = ab - a * b / held
            if spread > 0.0 and shared > 0.0:
                losses[j] = max(1.0 - shared * shared / spread, 0.0)
