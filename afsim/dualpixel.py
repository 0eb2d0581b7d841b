"""Find out how the two dual-pixel views of a recording are shifted against each other: along which axis, which way.

The sensor's pixels are split along its long side, but files are stored upright or rotated, and "left" and "right"
may be swapped: neither is written down, both show in a defocused picture.

Conventions, as stored in the metadata of imported stacks:

``dp_axis``
    ``"columns"``: the views are shifted across columns (horizontally, x); ``"rows"``: across rows (vertically, y).
``dp_sign``
    ``+1``: where the lens is focused nearer than the object (slices above the best one), the second view (right)
    lies at larger x or y than the first (left); ``-1``: at smaller. With ``+1`` the disparity x_right - x_left has
    the sign of the blur diameter of equation 4, :func:`afsim.optics.blur_diameter_px`.
``upsampled``
    ``"rows"`` or ``"columns"``: the axis along which the recording was enlarged twofold, because a dual pixel is
    twice as long there; its noise is correlated along it.
"""

from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from afsim.stack import Image

Axis = Literal["rows", "columns"]
AXES: Final[dict[Axis, int]] = {"rows": 0, "columns": 1}

# Disparity over the 49 slices of a Pixel 3 is 10 to 17 pixels, so that no end of a sweep is farther off than this.
_REACH_PX: Final = 20
# Detail finer than this is noise in a defocused picture; variations coarser than the reach are shading.
_FINE_PX: Final = 2.0
# Views that do not gain this when shifted show no disparity: views of noise gain 0.04 (512 x 512 pixels) to 0.15
# (128 x 128) by chance, defocused views of a phone's dual-pixel sensor 0.5 to 0.9.
_MIN_GAIN: Final = 0.3
# How far the shift must change between the ends of the sweep for its sign to be told.
_MIN_TRAVEL_PX: Final = 2
# The middle of the frame is enough, and its views are the cleanest: vignetting distorts those near the edge.
_LARGEST_PX: Final = 1024


class Orientation(NamedTuple):
    """Axis and sign of the disparity; None where the pictures do not tell."""

    axis: Axis | None
    sign: Literal[1, -1] | None


class Shift(NamedTuple):
    """How views fit best along one axis: the second view's shift in pixels, and the fit's gain in 0 ... 1."""

    pixels: int
    gain: float


def detect_orientation(far: Image, near: Image, axis: Axis | None = None) -> Orientation:
    """Detect axis and sign of the disparity from the two ends of a focal sweep.

    Nothing in a scene is farther than the far slice or nearer than the near slice, so between them every region's
    disparity moves the same way by the same amount, and at least at one end it is large.

    Parameters
    ----------
    far, near : (2, H, W) float
        Left and right view of the first and the last slice, 0 = black.
    axis : {"rows", "columns"} or None
        The axis where it is known; None detects it.
    """
    ends = [tuple(flatten(_middle(view)) for view in end) for end in (far, near)]
    shifts = {name: [best_shift(left, right, name) for left, right in ends] for name in AXES}
    gains = {name: max(shift.gain for shift in pair) for name, pair in shifts.items()}
    if axis is None:
        best, other = sorted(AXES, key=lambda name: -gains[name])
        if gains[best] < max(_MIN_GAIN, 2.0 * gains[other]):
            return Orientation(None, None)
        axis = best
    travel = shifts[axis][1].pixels - shifts[axis][0].pixels
    if gains[axis] < _MIN_GAIN or abs(travel) < _MIN_TRAVEL_PX:
        return Orientation(axis, None)
    return Orientation(axis, 1 if travel > 0 else -1)


def _middle(view: Image) -> Image:
    top, left = (max(0, (size - _LARGEST_PX) // 2) for size in view.shape)
    return view[top : top + _LARGEST_PX, left : left + _LARGEST_PX]


def flatten(view: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return a view (H, W) without shading and fine noise: relative to its blurred self, so exposure cancels."""
    image = np.asarray(view, dtype=np.float64)
    shading = gaussian_filter(image, _REACH_PX)
    floor = max(1e-3 * float(image.max(initial=0.0)), 1e-9)
    return np.asarray((gaussian_filter(image, _FINE_PX) - shading) / np.maximum(shading, floor))


def best_shift(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64], axis: Axis) -> Shift:
    """Find the shift of ``right`` against ``left`` (H, W) along one axis that makes their squared difference least.

    The gain is 1 minus the least difference over that at no shift. A frame not larger than the reach tells nothing.
    """
    left, right = (np.moveaxis(view, AXES[axis], 1) for view in (left, right))
    width = left.shape[1]
    reach = min(_REACH_PX, width // 4)
    middle = left[:, reach : width - reach]
    shifts = np.arange(-reach, reach + 1)
    costs = [float(np.mean((right[:, reach + s : width - reach + s] - middle) ** 2)) for s in shifts.tolist()]
    least = int(np.argmin(costs))
    unshifted = costs[reach]
    return Shift(int(shifts[least]), 1.0 - costs[least] / unshifted if unshifted > 0 else 0.0)
