"""What a dual-pixel camera sees of a scene at all focus distances of a stack, free of noise.

A scene is a pile of surfaces, back to front. Each is blurred in linear radiance, with the blur of its own depth,
through each view's half of the pupil, and hides what lies behind it by its blurred opacity. Focal breathing is a
zoom about the principal point.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from afsim.blas import single_threaded_blas
from afsim.canvas import Surface, canvas_size, extent_of, focus_distances, zooms_of
from afsim.checks import check_finite, check_number
from afsim.errors import AfsimError, unknown
from afsim.fourier import blur_series, evaluate, fade_border, fourier_series
from afsim.optics import PIXEL3, Optics, blur_diameter_px, blur_per_diopter_px
from afsim.pupil import Pupil
from afsim.transfer import defocus_parts, diffraction_transfer, sampling_transfer, waves

FloatArray = npt.NDArray[np.float64]
Array = npt.NDArray[Any]
Precision = Literal["double", "single"]

# Blur diameters of neighbouring strips of a slanted surface differ by no more: 1.5 indices of the paper's stacks.
_STRIP_PX: Final = 1.2

# Slices that are prepared together: more would not stay in a core's cache.
_GROUP: Final = 8


def render_views(
    surfaces: Sequence[Surface],
    focus: npt.ArrayLike,
    field_px: npt.ArrayLike,
    *,
    size: int = 128,
    pupil: Pupil,
    optics: Optics = PIXEL3,
    breathing: float = 1.0,
    shifts_px: npt.ArrayLike | None = None,
    sigma_px: float = 0.0,
    native: bool = True,
    precision: Precision = "double",
    reference: float | None = None,
) -> Array:
    """Return what both views see of a scene at each focus distance, free of noise, neither clipped nor exposed.

    One call keeps to one core; render several scenes at once to use them all. The result depends on neither.

    Parameters
    ----------
    surfaces : sequence of Surface
        Back to front, at least one, all on canvases of one size: at least that of :func:`canvas_size`, odd, the
        pixel in the middle at ``field_px``. The border fades to its mean here, and detail fades from 0.4 to 0.5
        cycles per pixel (:func:`afsim.fourier.fourier_series`): draw points of light at least a pixel wide.
        Neighbours in the pile that lie at the same depth everywhere are one surface.
    focus : (n,) array_like
        Focus distances of the slices in dioptres.
    field_px : (2,) array_like
        Centre of the patch from the principal point, x and y in pixels.
    size : int
        Height and width of the patch in pixels; even where ``native``.
    pupil : Pupil
        What each view sees through, at this place of the field. The light it lets through scales the result.
    optics : Optics
        The camera.
    breathing : float
        Exponent of the zoom, (M / M_ref) ** breathing: 1 is the thin lens, 0 no breathing.
    shifts_px : (n, 2) array_like, optional
        Lateral shift of each slice, x and y in pixels: content moves to larger x and y.
    sigma_px : float
        Standard deviation of an additional Gaussian blur (:func:`afsim.transfer.sampling_transfer`).
    native : bool
        Whether to sample as the Pixel 3's dual-pixel data are: rows of twice the height, ``size // 2 + 2`` of them,
        of which the first and the last lie outside the patch, so that the bilinear upsampling that follows the
        noise (weights 3/4 and 1/4) gives exactly ``size`` rows. Otherwise ``size`` rows of square pixels.
    precision : {"double", "single"}
        Of the arithmetic and the result. Machines round differently: "double" gives the same on all once rounded
        to single and digitised, "single" (twice as fast) does not.
    reference : float, optional
        Dioptres of the focus distance at whose image scale the canvas is drawn; the middle slice's by default.

    Returns
    -------
    (n, 2, rows, size) float64 or float32
        Left and right view, in the units of the radiance.

    Raises
    ------
    AfsimError
        For surfaces that do not fit together or are too small for what the patch sees, and for numbers that no
        camera, scene or patch can have.

    Notes
    -----
    Slice k sees at pixel p (from the principal point) the point ``z p`` of the canvas, ``z = M_ref / M_k``; a
    frequency f there is the frequency ``z f`` on the sensor, at which the transfer functions are taken. The Fourier
    series of the canvas, multiplied by them, is evaluated at the pixels themselves, as two matrix products: zoom,
    shift and sampling interpolate without loss.

    Where a surface hides another, the light from behind passes with the view's mean transparency at that pixel.
    That is exact where either surface is in focus or the hidden one has no texture near the edge.
    """
    if precision not in get_args(Precision):
        raise unknown("precision", precision, get_args(Precision))
    check_number("sigma_px", sigma_px, least=0.0)
    slices = focus_distances("focus", focus, optics)
    shape = (len(slices), 2)
    shifts = (
        np.zeros(shape) if shifts_px is None else check_finite("shifts_px, one (x, y) a slice,", shifts_px, shape)
    )
    if native and size % 2:
        raise AfsimError(f"size must be even for native rows of twice the height, got {size}")
    N, diopters_range = extent_of(surfaces)
    needed = canvas_size(
        slices,
        diopters_range,
        field_px,
        size,
        optics=optics,
        breathing=breathing,
        drift_px=float(np.abs(shifts).max()),
        reference=reference,
        support=pupil.support,
    )
    if needed > N or N % 2 == 0:
        raise AfsimError(f"the canvas has a side of {N} pixels; needed: odd and at least {needed}")
    dtype = np.dtype(np.float32 if precision == "single" else np.float64)
    zooms = zooms_of(slices, optics, breathing, reference)
    f = zooms[:, None] * np.arange(N // 2 + 1) / N
    middle = np.asarray(field_px, dtype=np.float64) * (1.0 - 1.0 / zooms[:, None]) - shifts
    pixels = _Pixels(size // 2 + 2, size, 2) if native else _Pixels(size, size, 1)
    layers = [_layer(surface, optics, dtype) for surface in _merged(surfaces)]
    views = np.empty((len(slices), 2, pixels.rows, size), dtype)
    with single_threaded_blas():
        for first in range(0, len(slices), _GROUP):
            group = slice(first, first + _GROUP)
            seen = _slices(f[group], middle[group], pixels, sigma_px, optics, dtype)
            for k, one in enumerate(zip(*seen, strict=True), start=first):
                views[k] = _slice(layers, float(slices[k]), pupil, optics, _Slices(*one), pixels)
    return views


# ---------------------------------------------------------------------- the scene's Fourier series
class _Layer(NamedTuple):
    """A surface as the Fourier series of S strips of one depth each, of C channels.

    ``series`` is (S, C, 2, h, 2, h), see :func:`afsim.fourier.fourier_series`. The first channel is the radiance;
    then come opacity and cover (the strips' weights), where the surface has them.
    """

    diopters: FloatArray
    series: Array
    has_alpha: bool
    has_cover: bool


def _merged(surfaces: Sequence[Surface]) -> list[Surface]:
    """Lay neighbours of the same depth over each other while they are sharp, where that is exact."""
    pile: list[Surface] = []
    for surface in surfaces:
        if pile and surface.alpha is not None and np.array_equal(pile[-1].diopters, surface.diopters):
            behind, clear = pile.pop(), 1.0 - surface.alpha
            alpha = None if behind.alpha is None else behind.alpha * clear + surface.alpha
            surface = Surface(behind.radiance * clear + surface.radiance, surface.diopters, alpha)
        pile.append(surface)
    return pile


def _layer(surface: Surface, optics: Optics, dtype: np.dtype[Any]) -> _Layer:
    channels = [surface.radiance] if surface.alpha is None else [surface.radiance, surface.alpha]
    depth = np.asarray(surface.diopters, dtype=np.float64)
    low, high = float(depth.min()), float(depth.max())
    blur = (high - low) * float(blur_per_diopter_px(1.0 / optics.near_m, optics=optics))
    strips = 1 + int(np.ceil(blur / _STRIP_PX))
    if strips == 1:
        images = np.stack(channels)[None]
    else:
        place = (depth - low) / (high - low) * (strips - 1)
        weights = [np.maximum(1.0 - np.abs(place - s), 0.0) for s in range(strips)]
        images = np.stack([np.stack([*(w * channel for channel in channels), w]) for w in weights])
    series = fourier_series(fade_border(images)).astype(dtype)
    return _Layer(np.linspace(low, high, strips), series, surface.alpha is not None, strips > 1)


# ---------------------------------------------------------------------- slices
class _Pixels(NamedTuple):
    """How many rows and columns a patch is sampled in, and how high a row is."""

    rows: int
    columns: int
    height: int


class _Slices(NamedTuple):
    """How n slices see a Fourier series whose frequencies are (n, h) in pixels of their sensors.

    ``sharp`` (n, h, h) is the transfer function of lens and pixel in focus; ``turn_y`` and ``turn_x`` (n, 2, h)
    move the series to the middle of the patch; ``to_rows`` and ``to_columns`` evaluate it at the pixels.
    """

    frequencies: FloatArray
    sharp: Array
    turn_y: Array
    turn_x: Array
    to_rows: Array
    to_columns: Array


def _slices(
    f: FloatArray, middle: FloatArray, pixels: _Pixels, sigma_px: float, optics: Optics, dtype: np.dtype[Any]
) -> _Slices:
    """Prepare slices whose patches lie around ``middle`` (n, 2), x and y from the canvas's middle in pixels."""
    rounded = f.astype(dtype)
    sharp = diffraction_transfer(rounded, rounded, optics=optics)
    sharp *= sampling_transfer(f, aperture_px=pixels.height, sigma_px=sigma_px).astype(dtype)[:, :, None]
    sharp *= sampling_transfer(f, sigma_px=sigma_px).astype(dtype)[:, None, :]
    angles = 2.0 * np.pi * f * middle.T[:, :, None]
    turn_x, turn_y = np.stack((np.cos(angles), np.sin(angles)), axis=2).astype(dtype)
    to_rows = waves(f, pixels.height, pixels.rows, dtype=dtype)
    to_columns = waves(f, 1.0, pixels.columns, dtype=dtype)
    return _Slices(f, sharp, turn_y, turn_x, to_rows, to_columns)


def _slice(
    layers: list[_Layer], focus: float, pupil: Pupil, optics: Optics, seen: _Slices, pixels: _Pixels
) -> Array:
    """Return both views (2, rows, columns) of one slice, ``seen`` without its leading axis."""
    f, h, dtype = seen.frequencies, len(seen.sharp), seen.sharp.dtype
    light = np.array([[[pupil.left.sum()]], [[pupil.right.sum()]]], dtype)
    image = np.zeros(1, dtype)
    for layer in layers:
        blur = blur_diameter_px(focus, layer.diopters, optics=optics)
        series = np.empty((2, h, layer.series.shape[1], 2, 2, h), dtype)
        parts = defocus_parts(pupil, blur, f, f, dtype=dtype)
        blur_series(layer.series, parts, seen.sharp, seen.turn_y, seen.turn_x, series)
        channels = evaluate(series, seen.to_rows, pixels.rows, seen.to_columns, pixels.columns)
        if layer.has_alpha or layer.has_cover:
            # Opacity is a share of the light that each view gets. Strips that cover a slanted surface while sharp
            # leave gaps and overlaps once blurred.
            channels[1:] /= light
        if layer.has_cover:
            channels = channels[:-1] / channels[-1]
        image = image * (1.0 - channels[1]) + channels[0] if layer.has_alpha else channels[0]
    return image
