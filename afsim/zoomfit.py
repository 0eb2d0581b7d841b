"""How much a recording breathes: the change of image scale with focus, by registration, over a thin lens's."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter

from afsim.errors import AfsimError, StackError
from afsim.optics import magnification
from afsim.stack import FocalStack

FloatArray = npt.NDArray[np.float64]

# Gauss-Newton steps at most, and the motion in pixels at which they end.
_ITERATIONS: Final = 15
_CONVERGED_PX: Final = 1e-4
# Border that takes no part: what enters there is not in the reference.
_BORDER_PX: Final = 8
# Slices on both sides of the focus that are registered, and how many of them there must be on each.
_REACH: Final = 12
_FEWEST_A_SIDE: Final = 4
_LEAST_CORRELATION: Final = 0.9
# Beyond this, a registration has lost its hold: real cameras breathe a few per cent.
_LARGEST_SCALE: Final = 0.2


class Zoom(NamedTuple):
    """Motion from a reference: a point x from the centre of the image has moved to ``scale x + shift``."""

    scale: float
    x: float
    """Shift of the centre in pixels, to the right."""
    y: float
    """Shift of the centre in pixels, downwards."""
    correlation: float
    """Of the reference with the image moved back."""


class Breathing(NamedTuple):
    """What registration finds in a stack; NaN where it finds no hold."""

    gain: float
    """Change of scale over that of a thin lens, ``d ln(scale) / d ln(M)``: 1 for a thin lens."""
    error: float
    """Standard error of the gain, by the scatter of the slices."""
    jitter_px: float
    """Rms sideways motion (mean of x and y) of a slice against the mean of its neighbours, over sqrt(3/2):
    the standard deviation of one slice. Contains the error of the registration."""
    sway_px: float
    """Rms sideways motion that is neither proportional to the zoom nor to its square, mean of x and y."""
    slices: int
    """How many slices were held, the reference apart."""


def fit_zoom(
    reference: npt.ArrayLike, image: npt.ArrayLike, start: Zoom | None = None, *, smooth_px: float = 2.0
) -> Zoom:
    """Register an image to a reference by scale and shift; brightness and contrast may differ.

    Parameters
    ----------
    reference, image : (H, W) array_like
        Linear light, at least 32 pixels a side.
    start : Zoom, optional
        First guess; no motion by default. It must be right within about twice ``smooth_px``.
    smooth_px : float
        Standard deviation of a Gaussian that both pass first, so that a difference of defocus counts little.

    Returns
    -------
    Zoom
        Of least squares, by Gauss-Newton steps; NaN where there is no texture to hold on to.

    Raises
    ------
    AfsimError
        Where the images differ in shape or are too small.
    """
    images = [np.asarray(values, dtype=np.float64) for values in (reference, image)]
    if images[0].shape != images[1].shape or images[0].ndim != 2 or min(images[0].shape) < 4 * _BORDER_PX:
        shapes = " and ".join(str(values.shape) for values in images)
        raise AfsimError(f"expected two (H, W) images of at least {4 * _BORDER_PX} pixels a side, got {shapes}")
    wanted, moving = (gaussian_filter(values, smooth_px, mode="nearest") for values in images)
    inner = (slice(_BORDER_PX, -_BORDER_PX),) * 2
    target = wanted[inner] - wanted[inner].mean()
    centre = (np.array(wanted.shape) - 1.0) / 2.0
    grid = np.indices(wanted.shape)[(slice(None), *inner)] - centre[:, None, None]
    spline = spline_filter(moving)
    gradients = np.gradient(moving)
    zoom = start or Zoom(1.0, 0.0, 0.0, 1.0)
    for _ in range(_ITERATIONS):
        at = zoom.scale * grid + (np.array([zoom.y, zoom.x]) + centre)[:, None, None]
        found = np.asarray(map_coordinates(spline, at, prefilter=False, mode="nearest"))
        gy, gx = (_linear(np.asarray(gradient), at) for gradient in gradients)
        step, correlation = _step(found, target, gy, gx, grid)
        zoom = Zoom(zoom.scale + step[0], zoom.x + step[1], zoom.y + step[2], correlation)
        if not abs(zoom.scale - 1.0) < _LARGEST_SCALE:
            return Zoom(np.nan, np.nan, np.nan, 0.0)
        if abs(step[0]) * max(centre) + abs(step[1]) + abs(step[2]) < _CONVERGED_PX:
            break
    return zoom


def _linear(image: FloatArray, at: FloatArray) -> FloatArray:
    return np.asarray(map_coordinates(image, at, order=1, mode="nearest"))


def _step(
    found: FloatArray, target: FloatArray, gy: FloatArray, gx: FloatArray, grid: FloatArray
) -> tuple[FloatArray, float]:
    """Solve ``found + ds (x g_x + y g_y) + dx g_x + dy g_y = a target + b``; NaN where it is singular."""
    y, x = grid
    columns = np.stack([x * gx + y * gy, gx, gy, -target, -np.ones_like(target)]).reshape(5, -1)
    norm = np.sqrt((columns**2).sum(axis=1))
    spread = found.std() * target.std()
    if not (norm > 0).all() or not spread > 0:
        return np.full(3, np.nan), 0.0
    scaled = columns / norm[:, None]
    normal = scaled @ scaled.T
    if np.linalg.cond(normal) > 1e8:
        return np.full(3, np.nan), 0.0
    solution = np.linalg.solve(normal, -scaled @ found.ravel()) / norm
    return solution[:3], float(np.mean((found - found.mean()) * target) / spread)


def breathing(stack: FocalStack, focus: int | None = None) -> Breathing:
    """Measure focal breathing and sideways motion of a stack against the thin lens.

    Parameters
    ----------
    stack : FocalStack
        With focus distances.
    focus : int, optional
        The slice in focus, which the others are registered to; the stack's label by default.

    Raises
    ------
    StackError
        Where the stack has no focus distances, or the slice is not given and it has no label.

    Notes
    -----
    Slices up to 12 from the focus are registered to it, each starting from the one before, and count where their
    correlation stays above 0.9. Least squares over them give ``ln(scale) = gain ln(M) + a ln(M)^2 + b``: blur is
    even about the focus and breathing odd, so the square takes up how the borders of a blurred image pull. At
    least 4 slices on each side are needed. On rendered planes the gain of stacks with a standard error below 0.06
    is right within 0.1 (standard deviation 0.03); with depth and jitter in them the standard deviation is 0.1.
    """
    if stack.diopters is None:
        raise StackError(f"stack {stack.name!r}: breathing needs focus distances, which are unknown")
    middle = stack.best_index if focus is None else focus
    if middle is None:
        raise StackError(f"stack {stack.name!r}: no label; give the slice in focus")
    green = stack.green().astype(np.float64)
    scale = magnification(stack.diopters)
    zooms = _track(green, scale, middle)
    k = np.array(sorted(zooms))
    lost = Breathing(np.nan, np.nan, np.nan, np.nan, len(k))
    if min((k < middle).sum(), (k > middle).sum()) < _FEWEST_A_SIDE:
        return lost
    growth = np.log(scale[k] / scale[middle])
    design = np.stack([growth, growth**2, np.ones_like(growth)], axis=1)
    (gain, *_), error, _ = _least_squares(design, np.log([zooms[i].scale for i in k]))
    shifts = [np.array([getattr(zooms[i], name) for i in k]) for name in ("x", "y")]
    sway = [_rms(_least_squares(design, shift)[2]) for shift in shifts]
    return Breathing(
        gain, error, float(np.mean([_jitter(k, shift) for shift in shifts])), float(np.mean(sway)), len(k)
    )


def _track(green: FloatArray, scale: FloatArray, middle: int) -> dict[int, Zoom]:
    """Register the slices around ``middle`` to it, outwards, until the hold is lost."""
    zooms = {}
    for direction in (1, -1):
        last = Zoom(1.0, 0.0, 0.0, 1.0)
        ends = range(middle + direction, middle + direction * (_REACH + 1), direction)
        for k in ends:
            if not 0 <= k < len(green):
                break
            guess = last._replace(scale=last.scale * scale[k] / scale[k - direction])
            last = fit_zoom(green[middle], green[k], guess)
            if not last.correlation > _LEAST_CORRELATION:
                break
            zooms[k] = last
    return zooms


def _least_squares(design: FloatArray, values: npt.ArrayLike) -> tuple[FloatArray, float, FloatArray]:
    """Return the solution, the standard error of its first part, and the residual."""
    solution = np.linalg.lstsq(design, np.asarray(values), rcond=None)[0]
    residual = np.asarray(values) - design @ solution
    variance = float(residual @ residual) / max(len(residual) - design.shape[1], 1)
    covariance = np.linalg.pinv(design.T @ design, hermitian=True)
    return solution, float(np.sqrt(variance * covariance[0, 0])), residual


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _jitter(k: npt.NDArray[np.int64], shift: FloatArray) -> float:
    """Return the rms distance from the mean of both neighbours, over sqrt(3/2), where both are there."""
    between = (np.diff(k)[:-1] == 1) & (np.diff(k)[1:] == 1)
    second = (shift[1:-1] - (shift[:-2] + shift[2:]) / 2.0)[between]
    return _rms(second) / np.sqrt(1.5) if len(second) else float("nan")
