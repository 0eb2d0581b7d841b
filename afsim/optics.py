"""Thin-lens relations between focus distance, lens travel and magnification.

Units: dioptres (1/m) for focus distance, micrometres for lens travel. The camera is the Google Pixel 3 main
camera unless said otherwise: focal length 4.44 mm (EXIF captions of that camera; a free fit of the 49 published
focus distances gives 4.444 mm).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

PIXEL3_FOCAL_LENGTH_M: Final = 4.44e-3
PIXEL3_F_NUMBER: Final = 1.8
PIXEL3_DUAL_PIXEL_PITCH_M: Final = 2.8e-6

# Focus distances in millimetres of the 49 slices of the "Learning to Autofocus" recordings, far to near, as
# listed in the data set's readme.
_LTA49_MM: Final = (
    "3910.92 2289.27 1508.71 1185.83 935.91 801.09 700.37 605.39 546.23 486.87 447.99 407.40 379.91 350.41 "
    "329.95 307.54 291.72 274.13 261.53 247.35 237.08 225.41 216.88 207.10 198.18 191.60 183.96 178.29 171.69 "
    "165.57 160.99 155.61 150.59 146.81 142.35 138.98 134.99 131.23 127.69 124.99 121.77 118.73 116.40 113.63 "
    "110.99 108.47 106.54 104.23 102.01"
)


def lta49_diopters() -> FloatArray:
    """Return the 49 focus distances of "Learning to Autofocus" in dioptres, (49,), increasing (far first)."""
    return 1000.0 / np.array(_LTA49_MM.split(), dtype=np.float64)


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


def magnification(diopters: npt.ArrayLike, focal_length_m: float = PIXEL3_FOCAL_LENGTH_M) -> FloatArray:
    """Return the image scale relative to focus at infinity, ``1 / (1 - f D)``: focal breathing."""
    return 1.0 / (1.0 - focal_length_m * np.asarray(diopters, dtype=np.float64))


def blur_diameter_px(
    focus_diopters: npt.ArrayLike,
    object_diopters: npt.ArrayLike,
    *,
    focal_length_m: float = PIXEL3_FOCAL_LENGTH_M,
    f_number: float = PIXEL3_F_NUMBER,
    pitch_m: float = PIXEL3_DUAL_PIXEL_PITCH_M,
) -> FloatArray:
    """Return the signed diameter of the blur disc in pixels (equation 4 of the paper, with its sign kept).

    Positive where the lens is focused nearer than the object. The inputs broadcast.
    """
    focus = np.asarray(focus_diopters, dtype=np.float64)
    aperture_m = focal_length_m / f_number
    gain = aperture_m * focal_length_m / ((1.0 - focal_length_m * focus) * pitch_m)
    return gain * (focus - np.asarray(object_diopters, dtype=np.float64))
