"""Optical transfer functions of a dual-pixel camera: defocus through any pupil, diffraction, pixel aperture.

A transfer function multiplies the spectrum of an image, so a blur of half a pixel is as exact as one of forty:
kernels sampled on whole pixels lose the disparity of small blurs. Frequencies are in cycles per pixel; a grid of
them is given by its rows ``fy`` (..., ny) and its columns ``fx`` (..., nx), x along the split of the dual pixels.
The leading axes broadcast.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled
from afsim.optics import PIXEL3, Optics
from afsim.pupil import Pupil

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]
Array = npt.NDArray[Any]


def defocus_transfer(
    pupil: Pupil, diameter_px: npt.ArrayLike, fy: npt.ArrayLike, fx: npt.ArrayLike
) -> ComplexArray:
    """Return the transfer functions (..., 2, ny, nx) of the left and the right view out of focus.

    At frequency zero they are the share of light that each view lets through, 1 for an open pupil. The parameters
    are those of :func:`defocus_parts`.
    """
    parts = defocus_parts(pupil, diameter_px, fy, fx)
    cosine, sine = parts[..., 0, :, :, :, :].swapaxes(-4, -3), parts[..., 1, :, :, :, :].swapaxes(-4, -3)
    real, imaginary = cosine[..., 0, :] - sine[..., 1, :], cosine[..., 1, :] + sine[..., 0, :]
    return np.asarray(real - 1j * imaginary)


def defocus_parts(
    pupil: Pupil,
    diameter_px: npt.ArrayLike,
    fy: npt.ArrayLike,
    fx: npt.ArrayLike,
    *,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Return the transfer functions of both views in parts that are even and odd in each frequency.

    Parameters
    ----------
    pupil : Pupil
        What each view sees through.
    diameter_px : array_like (...)
        Signed blur diameter c in pixels: positive where the lens is focused nearer than the object. A negative
        one mirrors the pupil through its centre.
    fy, fx : array_like (..., ny) and (..., nx)
        Frequencies in cycles per pixel.
    dtype : float64 or float32
        Precision of the result.

    Returns
    -------
    (..., 2, ny, 2, 2, nx) of dtype
        Cosine or sine along y; fy; view; cosine or sine along x; fx: means of ``cos(2 pi fy y) cos(2 pi fx x)`` and
        so on over the point-spread function.

    Notes
    -----
    The blur is the image of the pupil, ``PSF(x) = P(2 x / c) 4 / c^2``, so with W the light through each of the
    M x M cells of the pupil, u their centres and h their width::

        H(fy, fx) = sum_ij  W_ij  e^(-i pi c fy u_i) sinc(c fy h / 2)  e^(-i pi c fx u_j) sinc(c fx h / 2)

    which is exact for light that is even within each cell, and two matrix products. c = 0 gives no blur by itself.
    With cosine and sine apart all is real, half the frequencies give all, and so do half the cells, folded: each
    is half the work.
    """
    c = np.asarray(diameter_px, dtype=np.float64)[..., None]
    along_y = _cell_waves(c * np.asarray(fy, dtype=np.float64), pupil, dtype)
    along_x = along_y if fx is fy else _cell_waves(c * np.asarray(fx, dtype=np.float64), pupil, dtype)
    *batch, _, m, ny = along_y.shape
    nx = along_x.shape[-1]
    through = pupil.folded.reshape(2, 4 * m, m).astype(dtype, copy=False) @ along_x
    through = through.reshape(*batch, 2, 2, 2, m, nx)  # even or odd in x, view, even or odd in y, u_y, fx
    through = np.moveaxis(through, (-3, -2, -4, -5), (-5, -4, -3, -2)).reshape(*batch, 2, m, 4 * nx)
    return np.asarray((along_y.swapaxes(-1, -2) @ through).reshape(*batch, 2, ny, 2, 2, nx))


def _cell_waves(cycles: FloatArray, pupil: Pupil, dtype: npt.DTypeLike) -> Array:
    """Return the mean of cosine and sine over each cell u > 0, (..., 2, m, nf), at ``cycles`` a diameter."""
    M = len(pupil.left)
    width = pupil.support / M  # of a cell, in diameters
    return waves(cycles, width, M, weights=np.sinc(cycles * width), dtype=dtype)


def waves(
    f: FloatArray,
    step: float,
    count: int,
    *,
    weights: FloatArray | None = None,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Return cosine and sine of frequencies at evenly spaced positions around 0, for the half that is not negative.

    Parameters
    ----------
    f : (..., nf) float64
        Frequencies.
    step, count : float, int
        Positions ``(j - (count - 1) / 2) step``, j = count // 2 ... count - 1.
    weights : (..., nf) float64, optional
        Factor of each frequency.
    dtype : float64 or float32
        Precision of the result; the arithmetic is double.

    Returns
    -------
    (..., 2, m, nf) of dtype, m = count / 2 rounded up
        ``w cos(2 pi f x)`` and ``w sin(2 pi f x)``.
    """
    flat = np.ascontiguousarray(f.reshape(-1, f.shape[-1]))
    factors = np.ones_like(flat) if weights is None else np.ascontiguousarray(weights.reshape(flat.shape))
    result = np.empty((len(flat), 2, (count + 1) // 2, flat.shape[1]), dtype)
    _turn(flat, 0.0 if count % 2 else step / 2.0, float(step), factors, result)
    return result.reshape(*f.shape[:-1], *result.shape[1:])


@compiled
def _turn(f: FloatArray, first: float, step: float, weights: FloatArray, result: Array) -> None:
    """Write what :func:`waves` returns: from each position to the next, all frequencies turn by their angle."""
    batch, _, count, n = result.shape
    for b in range(batch):
        begin, turn = 2.0 * np.pi * first * f[b], 2.0 * np.pi * step * f[b]
        c, s, cos_turn, sin_turn = (
            weights[b] * np.cos(begin),
            weights[b] * np.sin(begin),
            np.cos(turn),
            np.sin(turn),
        )
        for j in range(count):
            cosines, sines = result[b, 0, j], result[b, 1, j]
            for i in range(n):
                cosines[i], sines[i] = c[i], s[i]
                c[i], s[i] = c[i] * cos_turn[i] - s[i] * sin_turn[i], s[i] * cos_turn[i] + c[i] * sin_turn[i]


def diffraction_transfer(
    fy: npt.ArrayLike, fx: npt.ArrayLike, *, wavelength_m: float = 530e-9, optics: Optics = PIXEL3
) -> Array:
    """Return the transfer function (..., ny, nx) of a perfect lens in focus: that of the Airy pattern.

    ``2/pi (acos v - v sqrt(1 - v^2))`` with ``v = f wavelength N / pitch``, and 0 beyond v = 1; in the precision of
    the frequencies.

    Parameters
    ----------
    fy, fx : array_like (..., ny) and (..., nx)
        Frequencies in cycles per pixel.
    wavelength_m : float
        Wavelength of light; green by default.
    optics : Optics
        The camera, of which f-number and pitch count.
    """
    limit = wavelength_m * optics.f_number / optics.pitch_m
    rows, columns = limit * np.asarray(fy), limit * np.asarray(fx)
    squared = np.minimum(rows[..., :, None] ** 2 + columns[..., None, :] ** 2, 1.0)
    v = np.sqrt(squared)
    result = np.arccos(v)
    result -= v * np.sqrt(1.0 - squared)
    result *= 2.0 / np.pi
    return np.asarray(result)


def sampling_transfer(f: npt.ArrayLike, *, aperture_px: float = 1.0, sigma_px: float = 0.0) -> FloatArray:
    """Return the transfer function along one axis of a pixel that collects light over its aperture.

    Parameters
    ----------
    f : array_like
        Frequencies in cycles per pixel.
    aperture_px : float
        Length of the aperture along this axis in pixels: 1, or 2 across the rows of native dual-pixel data.
    sigma_px : float
        Standard deviation in pixels of an additional Gaussian blur: aberrations, optical low-pass, crosstalk.
    """
    cycles = np.asarray(f, dtype=np.float64)
    return np.asarray(np.sinc(aperture_px * cycles) * np.exp(-2.0 * (np.pi * sigma_px * cycles) ** 2))
