"""A camera module as a thin lens: lens travel, magnification, blur, disparity, depth of field, index of a depth.

Units: dioptres (1/m) for focus distance and depth, micrometres for lens travel, dual pixels for blur and disparity.
The camera is the Google Pixel 3 main camera unless said otherwise.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.checks import check_number, check_whole
from afsim.errors import AfsimError, unknown

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

# EXIF captions of the camera; a free fit of the 49 published focus distances gives 4.444 mm.
PIXEL3_FOCAL_LENGTH_M: Final = 4.44e-3

# Focus distances in millimetres of the 49 slices of the "Learning to Autofocus" recordings, far to near, as
# listed in the data set's readme.
_LTA49_MM: Final = (
    "3910.92 2289.27 1508.71 1185.83 935.91 801.09 700.37 605.39 546.23 486.87 447.99 407.40 379.91 350.41 "
    "329.95 307.54 291.72 274.13 261.53 247.35 237.08 225.41 216.88 207.10 198.18 191.60 183.96 178.29 171.69 "
    "165.57 160.99 155.61 150.59 146.81 142.35 138.98 134.99 131.23 127.69 124.99 121.77 118.73 116.40 113.63 "
    "110.99 108.47 106.54 104.23 102.01"
)


@dataclass(frozen=True)
class Optics:
    """A camera module that focuses by moving a thin lens; the Pixel 3's main camera by default.

    Attributes
    ----------
    name : str
        Of the preset, or one's own.
    focal_length_m : float
        Focal length in metres.
    f_number : float
        Focal length over the diameter of the aperture.
    pitch_m : float
        Width of one dual pixel in metres: twice the 1.4 um of the sensor (Sony IMX363), because the dual-pixel
        images hold one value for 2 x 2 pixels.
    frame_px : (int, int)
        Width (along the split of the dual pixels) and height of the frame in dual pixels.
    far_m, near_m : float
        Farthest and nearest focus distance in metres; ``far_m`` may be infinite. The paper's range by default.

    Raises
    ------
    AfsimError
        For a length, a number or a range that no lens can have.
    """

    name: str = "pixel3"
    focal_length_m: float = PIXEL3_FOCAL_LENGTH_M
    f_number: float = 1.8
    pitch_m: float = 2.8e-6
    frame_px: tuple[int, int] = (2016, 1512)
    far_m: float = 3.91
    near_m: float = 0.102

    def __post_init__(self) -> None:
        for field in ("focal_length_m", "f_number", "pitch_m"):
            check_number(f"optics {self.name!r}: {field}", getattr(self, field), above=0.0)
        if len(self.frame_px) != 2:
            raise AfsimError(f"optics {self.name!r}: frame_px must be two sizes, got {self.frame_px}")
        for size in self.frame_px:
            check_whole(f"optics {self.name!r}: frame_px", size, least=1)
        if not self.near_m > self.focal_length_m:
            raise AfsimError(
                f"optics {self.name!r}: near_m must be beyond the focal length {self.focal_length_m} m, "
                f"got {self.near_m}"
            )
        if not self.far_m > self.near_m:
            raise AfsimError(f"optics {self.name!r}: far_m must be beyond near_m {self.near_m}, got {self.far_m}")

    @property
    def aperture_m(self) -> float:
        """Diameter of the aperture in metres."""
        return self.focal_length_m / self.f_number


PIXEL3: Final = Optics()

# The Pixel 4's figures are those of the published scripts that draw its dual-pixel kernels (coded-dual-pixels);
# its frame and range were not found and are the Pixel 3's.
OPTICS: Final[dict[str, Optics]] = {
    "pixel3": PIXEL3,
    "pixel4": Optics("pixel4", focal_length_m=4.38e-3, f_number=1.73),
}


def make_optics(name: str) -> Optics:
    """Return the preset ``name``, or raise naming those there are."""
    if name not in OPTICS:
        raise unknown("optics preset", name, OPTICS)
    return OPTICS[name]


# ---------------------------------------------------------------------- tables of focus distances
def lta49_diopters() -> FloatArray:
    """Return the 49 focus distances of "Learning to Autofocus" in dioptres, (49,), increasing (far first)."""
    return 1000.0 / np.array(_LTA49_MM.split(), dtype=np.float64)


def uniform49_diopters() -> FloatArray:
    """Return 49 focus distances evenly spaced in dioptres over the paper's range, (49,), increasing."""
    return uniform_diopters(49)


def uniform_diopters(n: int, *, optics: Optics = PIXEL3) -> FloatArray:
    """Return ``n`` >= 2 focus distances (n,), increasing, evenly spaced in dioptres over the range of a camera."""
    check_whole("number of focus distances", n, least=2)
    return np.linspace(1.0 / optics.far_m, 1.0 / optics.near_m, n)


# ---------------------------------------------------------------------- lens travel and magnification
def lens_extension_um(diopters: npt.ArrayLike, focal_length_m: float = PIXEL3_FOCAL_LENGTH_M) -> FloatArray:
    """Return how far the lens stands out from its infinity position, in micrometres.

    ``x(D) = f^2 D / (1 - f D)`` for a lens of focal length f focused at D dioptres.

    Parameters
    ----------
    diopters : array_like
        Focus distances in dioptres, at least 0 and below ``1 / focal_length_m``.
    focal_length_m : float
        Focal length in metres.
    """
    D = np.asarray(diopters, dtype=np.float64)
    return 1e6 * focal_length_m**2 * D / (1.0 - focal_length_m * D)


def diopters_of_extension(extension_um: npt.ArrayLike, focal_length_m: float = PIXEL3_FOCAL_LENGTH_M) -> FloatArray:
    """Return where a lens that stands out by ``extension_um`` is focused, in dioptres: ``x / (f (f + x))``.

    The inverse of :func:`lens_extension_um`; negative where the lens stands behind its infinity position.
    """
    x = 1e-6 * np.asarray(extension_um, dtype=np.float64)
    return x / (focal_length_m * (focal_length_m + x))


def magnification(diopters: npt.ArrayLike, focal_length_m: float = PIXEL3_FOCAL_LENGTH_M) -> FloatArray:
    """Return the image scale relative to focus at infinity, ``1 / (1 - f D)``: focal breathing."""
    return 1.0 / (1.0 - focal_length_m * np.asarray(diopters, dtype=np.float64))


# ---------------------------------------------------------------------- blur, disparity, depth of field
def blur_per_diopter_px(focus_diopters: npt.ArrayLike, *, optics: Optics = PIXEL3) -> FloatArray:
    """Return how many pixels the blur diameter grows per dioptre of defocus, ``K = L f / ((1 - f D) pitch)``."""
    f = optics.focal_length_m
    return optics.aperture_m * f / ((1.0 - f * np.asarray(focus_diopters, dtype=np.float64)) * optics.pitch_m)


def blur_diameter_px(
    focus_diopters: npt.ArrayLike, object_diopters: npt.ArrayLike, *, optics: Optics = PIXEL3
) -> FloatArray:
    """Return the signed diameter of the blur disc in pixels (equation 4 of the paper, with its sign kept).

    Positive where the lens is focused nearer than the object. The inputs broadcast.
    """
    focus = np.asarray(focus_diopters, dtype=np.float64)
    defocus = focus - np.asarray(object_diopters, dtype=np.float64)
    return blur_per_diopter_px(focus, optics=optics) * defocus


def disparity_px(
    focus_diopters: npt.ArrayLike, object_diopters: npt.ArrayLike, *, alpha: float, optics: Optics = PIXEL3
) -> FloatArray:
    """Return the signed disparity x_right - x_left of the two views in pixels (equation 5 of the paper).

    Parameters
    ----------
    focus_diopters, object_diopters : array_like
        Of the lens and the object; they broadcast.
    alpha : float
        Distance of the views' centroids over the blur diameter: 0.4244 for ideal half discs, about 0.30 for a
        phone (see :func:`afsim.pupil.alpha_of`).
    optics : Optics
        The camera.
    """
    return alpha * blur_diameter_px(focus_diopters, object_diopters, optics=optics)


def depth_of_field_index(
    focus_diopters: npt.ArrayLike, *, blur_px: float = 1.0, optics: Optics = PIXEL3
) -> FloatArray:
    """Return how many indices (n,) an object may lie off each slice before its blur exceeds ``blur_px``.

    Half the depth of field, in mean steps of the table ``focus_diopters`` (n,), n >= 2. About 1.26 for the paper's
    stacks and a blur of one dual pixel: "within 1" of the paper's tables is about "blurred by less than a pixel".
    """
    check_number("blur_px", blur_px, least=0.0)
    focus = _table(focus_diopters)
    return blur_px / blur_per_diopter_px(focus, optics=optics) / mean_step(focus)


# ---------------------------------------------------------------------- ground truth
def nearest_index(object_diopters: npt.ArrayLike, focus_diopters: npt.ArrayLike) -> IndexArray:
    """Return the slice nearest to a depth in inverse depth, the paper's rule for the ground truth (section 5.1).

    Parameters
    ----------
    object_diopters : array_like (...)
        Depths in dioptres; the paper takes 1 / median depth of a patch.
    focus_diopters : array_like (n,)
        Focus distances of the slices, increasing. Of two that are equally near the smaller index is taken.
    """
    focus, depth = _table(focus_diopters), np.asarray(object_diopters, dtype=np.float64)
    if not np.isfinite(depth).all():
        raise AfsimError(f"object_diopters must be finite, got {depth}")
    off = np.abs(depth[..., None] - focus)
    return np.asarray(off.argmin(axis=-1), dtype=np.int64)


def fractional_index(
    object_diopters: npt.ArrayLike, focus_diopters: npt.ArrayLike, *, clamp: bool = False
) -> FloatArray:
    """Return where depths (...) lie in a table of focus distances (n,), as a fractional index.

    Linear in dioptres between slices. Outside the table it goes on by the table's mean step, because single steps
    of a recording are rounded to lens codes; with ``clamp`` it stays within 0 ... n - 1.
    """
    focus, depth = _table(focus_diopters), np.asarray(object_diopters, dtype=np.float64)
    inside = np.interp(depth, focus, np.arange(len(focus)))
    if clamp:
        return np.asarray(inside)
    return np.asarray(inside + (depth - depth.clip(focus[0], focus[-1])) / mean_step(focus))


def diopters_of_index(index: npt.ArrayLike, focus_diopters: npt.ArrayLike) -> FloatArray:
    """Return the depths (...) in dioptres of fractional indices: the inverse of :func:`fractional_index`.

    Depths are at least 0, infinity: indices below that of infinity give 0.
    """
    focus, at = _table(focus_diopters), np.asarray(index, dtype=np.float64)
    last = len(focus) - 1
    beyond = (at - at.clip(0, last)) * mean_step(focus)
    return np.asarray(np.maximum(np.interp(at, np.arange(last + 1), focus) + beyond, 0.0))


def mean_step(focus: FloatArray) -> float:
    """Return the mean step in dioptres between neighbours in a table of focus distances (n,), n >= 2."""
    return float((focus[-1] - focus[0]) / (len(focus) - 1))


def _table(focus_diopters: npt.ArrayLike) -> FloatArray:
    focus = np.asarray(focus_diopters, dtype=np.float64)
    if focus.ndim != 1 or len(focus) < 2 or not (np.diff(focus) > 0).all():
        raise AfsimError(
            f"focus_diopters must be a table of at least 2 increasing values, got shape {focus.shape}"
            + ("" if focus.ndim != 1 else f", {focus[:3]} ...")
        )
    return focus
