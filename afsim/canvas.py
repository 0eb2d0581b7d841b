"""What is rendered: surfaces on a canvas, how large a canvas has to be, and the steps that a patch takes on it."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.checks import check_finite, check_number, check_whole
from afsim.errors import AfsimError
from afsim.fourier import TAPER_PX
from afsim.optics import PIXEL3, Optics, blur_diameter_px, magnification

FloatArray = npt.NDArray[np.float64]

# Beyond the half side of a patch: a spare row of native dual pixels, and the pixels' own apertures.
_SPARE_PX: Final = 3.0

# Canvases whose side has no larger prime factor have fast Fourier transforms.
_LARGEST_FACTOR: Final = 47


class Surface(NamedTuple):
    """One surface of a scene, on an N x N canvas at the image scale of the reference slice.

    Attributes
    ----------
    radiance : (N, N) float64
        Linear light; times ``alpha`` where that is given.
    diopters : float or (N, N) float64
        Depth. An array is a slanted or curved surface; it is rendered in strips whose blurs fade into each other.
    alpha : (N, N) float64 or None
        Opacity, 0 ... 1. None is opaque everywhere, which only the rearmost surface may be.
    """

    radiance: FloatArray
    diopters: float | FloatArray
    alpha: FloatArray | None = None


def canvas_size(
    focus: npt.ArrayLike,
    diopters_range: tuple[float, float],
    field_px: npt.ArrayLike,
    size: int,
    *,
    optics: Optics = PIXEL3,
    breathing: float = 1.0,
    drift_px: float = 0.0,
    reference: float | None = None,
    support: float = 1.0,
) -> int:
    """Return the odd side N of a canvas that a patch never leaves, breathing and blur included.

    Parameters
    ----------
    focus, field_px, size, optics, breathing, reference
        As in :func:`render_views`.
    diopters_range : (float, float)
        Least and largest depth of the scene's surfaces.
    drift_px : float
        Largest lateral shift of a slice along either axis, in pixels.
    support : float
        Reach of the pupil in radii of the blur disc (:attr:`afsim.pupil.Pupil.support`).

    Raises
    ------
    AfsimError
        For numbers that no camera, scene or patch can have.
    """
    slices = focus_distances("focus", focus, optics)
    if reference is not None:
        check_number("reference", reference)
        focus_distances("reference", reference, optics)
    check_finite("diopters_range", diopters_range, (2,))
    check_whole("size", size, least=1)
    for name, value in (("breathing", breathing), ("drift_px", drift_px), ("support", support)):
        check_number(name, value, least=0.0)
    place = check_finite("field_px", field_px, (2,))
    zoom = zooms_of(slices, optics, breathing, reference)
    blur = np.abs([blur_diameter_px(slices, depth, optics=optics) for depth in diopters_range]).max(axis=0)
    reach = zoom * (size / 2.0 + _SPARE_PX + drift_px + support * blur / 2.0)
    reach += np.abs(place).max() * np.abs(zoom - 1.0)
    side = 2 * (int(np.ceil(reach.max())) + TAPER_PX) + 1
    while _largest_factor(side) > _LARGEST_FACTOR:
        side += 2
    return side


def extent_of(surfaces: Sequence[Surface]) -> tuple[int, tuple[float, float]]:
    """Return the side of the canvases and the range of depths, or raise where the surfaces do not fit together."""
    if not surfaces:
        raise AfsimError("nothing to render: expected at least one surface")
    N = len(surfaces[0].radiance)
    for i, surface in enumerate(surfaces):
        for name, value in zip(surface._fields, surface, strict=True):
            shape = () if value is None else np.shape(value)
            if shape != (N, N) and (name == "radiance" or shape != ()):
                raise AfsimError(f"surface {i}: {name} must be on a canvas of {N} x {N} pixels, got shape {shape}")
            if value is not None and not np.isfinite(np.sum(value)):
                raise AfsimError(f"surface {i}: {name} must be finite")
        if surface.alpha is None:
            if i > 0:
                raise AfsimError(f"surface {i}: only the rearmost may be opaque everywhere, got alpha None")
        elif (low := np.min(surface.alpha)) < 0.0 or np.max(surface.alpha) > 1.0:
            raise AfsimError(f"surface {i}: alpha must be in 0 ... 1, got {low:g} ... {np.max(surface.alpha):g}")
    nearest = max(float(np.max(surface.diopters)) for surface in surfaces)
    return N, (min(float(np.min(surface.diopters)) for surface in surfaces), nearest)


def focus_distances(name: str, diopters: npt.ArrayLike, optics: Optics) -> FloatArray:
    """Return focus distances (n,), or raise where the lens cannot be focused there."""
    focus = np.atleast_1d(np.asarray(diopters, dtype=np.float64))
    nearest = 1.0 / optics.focal_length_m
    if focus.ndim != 1 or len(focus) == 0 or not ((focus >= 0.0) & (focus < nearest)).all():
        expected = f"one or several dioptres of at least 0 and below {nearest:.0f}"
        raise AfsimError(f"{name} must be {expected}, got {focus} of shape {focus.shape}")
    return focus


def zooms_of(focus: FloatArray, optics: Optics, breathing: float, reference: float | None) -> FloatArray:
    """Return the steps (n,) on the canvas that one pixel of each slice is."""
    at = focus[len(focus) // 2] if reference is None else reference
    scale = magnification(at, optics.focal_length_m) / magnification(focus, optics.focal_length_m)
    return np.asarray(scale**breathing)


def _largest_factor(n: int) -> int:
    factor = 2
    while factor * factor <= n:
        if n % factor:
            factor += 1
        else:
            n //= factor
    return n
