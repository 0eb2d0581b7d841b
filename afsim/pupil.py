"""What the left and the right view of a dual pixel see through: images of the pupil, over the field.

Every model is an aperture P(u) (how much light passes at a point u of the unit disc, as green sees it) times a
share of that light that goes to the left view; the rest goes to the right one. So (left + right) / 2 is the green
image's pupil in every model. The point-spread function of a blur of signed diameter c is ``P(2 x / c) 4 / c^2``.

Over the field, at ``t`` = position / 1260 px, the lens barrel cuts a cat's eye out of the aperture (a second disc,
shifted by ``vignetting * t``) and the split between the views moves by ``split_shift * t_x``.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from afsim.checks import check_finite, check_number, check_whole
from afsim.errors import AfsimError, unknown

FloatArray = npt.NDArray[np.float64]

# Distance of a corner of the Pixel 3's frame of 2016 x 1512 dual pixels from its centre.
FIELD_RADIUS_PX: Final = 1260.0

# Samples a side of each cell; edges are softened over one sample besides, so that areas are right to 1e-5.
_SUBSAMPLES: Final = 4


@dataclass(frozen=True)
class Pupil:
    """Images of the pupil, even within each of M x M cells.

    Attributes
    ----------
    left, right : (M, M) float64
        Light through each cell of the square [-support, support]^2, rows along u_y and columns along u_x, at
        least 0. The sums are the shares of light let through: 1 for an open pupil that is split in the middle.
    support : float
        Half the side of the square, in radii of the blur disc: 1, or more where the light reaches farther out.
    """

    left: FloatArray
    right: FloatArray
    support: float = 1.0

    def __post_init__(self) -> None:
        check_number("pupil: support", self.support, above=0.0)
        M = len(self.left)
        for name, image in (("left", self.left), ("right", self.right)):
            if image.shape != (M, M) or M < 1:
                raise AfsimError(f"pupil: {name} must be a square of {M} x {M}, got shape {image.shape}")
            if not (image.min() >= 0 and np.isfinite(image.sum()) and image.sum() > 0):
                raise AfsimError(f"pupil: {name} must be finite, at least 0 and let some light through")

    @cached_property
    def folded(self) -> FloatArray:
        """Sum and difference of cells that mirror each other in u_x and in u_y, for the half u > 0 of either.

        (2, 2, 2, m, m), m = M / 2 rounded up: even or odd in u_x; view; even or odd in u_y; u_y; u_x.
        """
        x_folded = _fold(np.stack((self.left, self.right)))
        return np.ascontiguousarray(_fold(x_folded.swapaxes(-1, -2)).transpose(1, 2, 0, 4, 3))

    @property
    def centres(self) -> FloatArray:
        """Centres (M,) of the cells along either axis, in radii of the blur disc."""
        M = len(self.left)
        return self.support * ((2.0 * np.arange(M) + 1.0) / M - 1.0)


def _fold(image: FloatArray) -> FloatArray:
    """Return the even and the odd part (2, ..., m) of images (..., M) along the last axis; a middle counts once."""
    M = image.shape[-1]
    mirrored = image[..., ::-1]
    parts = np.stack((image + mirrored, image - mirrored))[..., M // 2 :]
    if M % 2:
        parts[0, ..., 0] /= 2.0
    return parts


# ---------------------------------------------------------------------- quantities
def transmission(pupil: Pupil) -> float:
    """Return the share of light that the green image gets, relative to an open pupil."""
    return float(pupil.left.sum() + pupil.right.sum()) / 2.0


def left_fraction(pupil: Pupil) -> float:
    """Return the left view's share of the light of both."""
    return float(pupil.left.sum()) / (2.0 * transmission(pupil))


def alpha_of(pupil: Pupil) -> float:
    """Return the distance of the views' centroids over the blur diameter (alpha of the paper's equation 5)."""
    return (_centroid_x(pupil, pupil.right) - _centroid_x(pupil, pupil.left)) / 2.0


def drift_of(pupil: Pupil) -> float:
    """Return how far green's centroid lies from the blur's centre along x, over the blur diameter."""
    return _centroid_x(pupil, pupil.left + pupil.right) / 2.0


def _centroid_x(pupil: Pupil, image: FloatArray) -> float:
    return float(image.sum(axis=0) @ pupil.centres / image.sum())


# ---------------------------------------------------------------------- models
@dataclass(frozen=True)
class PupilOptions:
    """What the models depend on besides the position in the field.

    Attributes
    ----------
    width : float
        ``soft_split``: width of the logistic split in pupil radii. 0.30 gives alpha = 0.300, in the middle of all
        published models (an assumption; ideal half discs have 0.4244).
    crosstalk : float
        Every model with a split: share of each half's light that the other view gets. 0.15 takes half discs to
        alpha = 0.297.
    vignetting : float
        Shift of the cat's eye's second disc at the corner of the frame, in pupil radii (an assumption).
    split_shift : float
        Shift of the split at the corner of the frame, in pupil radii (an assumption).
    rotation_deg : float
        ``hexagon``: its rotation (an assumption).
    order, cut, beta, smooth : float
        ``butterworth``: order of the filter, diameter over cut-off radius, level in the middle of the bright rim,
        and diameter over the width of the smoothing; Abuolaim et al. use orders 3, 6, 9, cuts 2 and 2.5, levels
        0.1 and 0.2, smoothing 7.
    cells : int
        M, cells a side of the pupil's square.
    """

    width: float = 0.30
    crosstalk: float = 0.0
    vignetting: float = 0.35
    split_shift: float = 0.20
    rotation_deg: float = 15.0
    order: float = 3.0
    cut: float = 2.5
    beta: float = 0.1
    smooth: float = 7.0
    cells: int = 64

    def __post_init__(self) -> None:
        for name in ("width", "order", "cut", "smooth"):
            check_number(f"pupil: {name}", getattr(self, name), above=0.0)
        check_number("pupil: crosstalk", self.crosstalk, least=0.0, most=0.5)
        check_number("pupil: vignetting", self.vignetting, least=0.0)
        check_number("pupil: split_shift", self.split_shift)
        check_number("pupil: rotation_deg", self.rotation_deg)
        check_number("pupil: beta", self.beta, least=0.0, most=1.0)
        check_whole("pupil: cells", self.cells, least=2)


class _Points(NamedTuple):
    """Samples of the pupil: u_y (m, 1), u_x (1, m), the u_x where it is split, distance of samples, support."""

    y: FloatArray
    x: FloatArray
    split: float
    step: float
    support: float


_Part = Callable[[_Points, PupilOptions], FloatArray]


def _inside(signed_distance: FloatArray, points: _Points) -> FloatArray:
    """Return how much of each sample lies inside a shape, by its distance (positive inside) from the border."""
    return np.clip(0.5 + signed_distance / points.step, 0.0, 1.0)


def _disc(points: _Points, options: PupilOptions) -> FloatArray:
    return _inside(1.0 - np.hypot(points.y, points.x), points)


def _gaussian(points: _Points, options: PupilOptions) -> FloatArray:
    # sigma = c / 4, half a radius: the second moment of the disc.
    return np.exp(-2.0 * points.y**2) * np.exp(-2.0 * points.x**2)


def _hexagon(points: _Points, options: PupilOptions) -> FloatArray:
    # Inscribed in the disc; its sides lie at sqrt(3) / 2.
    normals = np.deg2rad(options.rotation_deg + 30.0 + 60.0 * np.arange(6))
    reach = np.max([points.x * np.cos(a) + points.y * np.sin(a) for a in normals], axis=0)
    return _inside(np.sqrt(0.75) - reach, points)


def _translating_disc(points: _Points, options: PupilOptions) -> FloatArray:
    # Discs that move across a disc add up to the length of the chord at each u_y.
    return _disc(points, options) * _half_chord(points)


def _bright_rim(points: _Points, options: PupilOptions) -> FloatArray:
    # A high-pass Butterworth filter, rescaled over the square around the disc, and smoothed.
    def high_pass(radius: npt.ArrayLike) -> FloatArray:
        q = (np.asarray(radius) * options.cut / 2.0) ** (2.0 * options.order)
        return np.asarray(q / (1.0 + q))

    level = high_pass(np.hypot(points.y, points.x)) / high_pass(np.sqrt(2.0))
    sharp = _disc(points, options) * (options.beta + (1.0 - options.beta) * level)
    # OpenCV's rule for a kernel of 1 / smooth of the diameter, without its terms in pixels.
    radius = 1.0 / options.smooth
    return np.asarray(gaussian_filter(sharp, 0.3 * radius / points.step, truncate=1.0 / 0.3))


def _half_chord(points: _Points) -> FloatArray:
    return np.sqrt(np.maximum(1.0 - points.y**2, 0.0))


def _even(points: _Points, options: PupilOptions) -> FloatArray:
    return np.full((1, 1), 0.5)


def _hard_split(points: _Points, options: PupilOptions) -> FloatArray:
    return _inside(points.split - points.x, points)


def _logistic(points: _Points, options: PupilOptions) -> FloatArray:
    return 0.5 - 0.5 * np.tanh((points.x - points.split) / (2.0 * options.width))


def _ramp(points: _Points, options: PupilOptions) -> FloatArray:
    return np.clip(0.5 - (points.x - points.split) / (2.0 * points.support), 0.0, 1.0)


def _chord_ramp(points: _Points, options: PupilOptions) -> FloatArray:
    return np.clip(0.5 - (points.x - points.split) / (2.0 * np.maximum(_half_chord(points), 1e-9)), 0.0, 1.0)


class _Model(NamedTuple):
    """How much light passes, the left view's share of it, and the support of both."""

    aperture: _Part
    share: _Part
    support: float = 1.0


# Names, in the order of their documentation in make_pupil.
_MODELS: Final[dict[str, _Model]] = {
    "soft_split": _Model(_disc, _logistic),
    "half_disc": _Model(_disc, _hard_split),
    "linear_ramp": _Model(_disc, _ramp),
    "translating_disc": _Model(_translating_disc, _chord_ramp),
    "butterworth": _Model(_bright_rim, _ramp, support=8.0 / 7.0),
    "disc": _Model(_disc, _even),
    "gaussian": _Model(_gaussian, _even, support=2.0),
    "hexagon": _Model(_hexagon, _even),
}
PUPILS: Final = tuple(_MODELS)


def make_pupil(model: str = "soft_split", *, field: tuple[float, float] = (0.0, 0.0), **options: float) -> Pupil:
    """Return the pupil of a model at a position in the field.

    Parameters
    ----------
    model : str
        ``soft_split``
            A disc, split by a logistic function of u_x (the default).
        ``half_disc``
            A disc with a sharp split: alpha = 8 / (6 pi); with ``crosstalk`` less by the factor 1 - 2 crosstalk.
        ``linear_ramp``
            A disc, split by a linear function of u_x: alpha = 1/4.
        ``translating_disc``
            Punnappurath et al., ICCP 2020, in the continuum: alpha = 3 pi / 32. Green's blur is no even disc.
        ``butterworth``
            Abuolaim et al., ICCV 2021, in the continuum: a disc with a bright rim, split linearly.
        ``disc``, ``gaussian``, ``hexagon``
            No split: both views are the same. The Gaussian has the disc's second moment (sigma = c / 4) and is cut
            at 4 sigma, the hexagon is inscribed in the disc.
    field : (float, float)
        Position x, y from the principal point over 1260 px, the distance of a corner of the frame.
    **options : float
        Fields of :class:`PupilOptions`.

    Raises
    ------
    AfsimError
        For a model, an option or a value that there is not, or a position at which no light is left.
    """
    if model not in _MODELS:
        raise unknown("pupil model", model, _MODELS)
    known = [option.name for option in fields(PupilOptions)]
    for name in options:
        if name not in known:
            raise unknown("pupil option", name, known)
    place = check_finite("pupil: field", field, (2,))
    return _build(_MODELS[model], place, PupilOptions(**options))  # type: ignore[arg-type]


def _build(model: _Model, field: FloatArray, options: PupilOptions) -> Pupil:
    m = options.cells * _SUBSAMPLES
    step = 2.0 * model.support / m
    line: FloatArray = np.asarray((np.arange(m) + 0.5) * step - model.support, dtype=np.float64)
    x, y = options.vignetting * field
    points = _Points(line[:, None], line[None, :], options.split_shift * field[0], step, model.support)
    light = model.aperture(points, options)
    light = light / light.sum()
    # The lesser of the two, not their product, so that the barrel takes nothing from the edge that it coincides
    # with at the centre of the field.
    barrel = _inside(model.support - np.hypot(points.y - y, points.x - x), points)
    light = np.minimum(light, light.max() * barrel)
    share = options.crosstalk + (1.0 - 2.0 * options.crosstalk) * model.share(points, options)
    left, right = _cells(2.0 * light * share), _cells(2.0 * light * (1.0 - share))
    return Pupil(left, right, model.support)


def _cells(samples: FloatArray) -> FloatArray:
    """Add up the samples (m, m) in each cell."""
    M = len(samples) // _SUBSAMPLES
    return np.asarray(samples.reshape(M, _SUBSAMPLES, M, _SUBSAMPLES).sum(axis=(1, 3)))
