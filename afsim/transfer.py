"""Optical transfer functions of a dual-pixel camera: half-disc defocus, diffraction, pixel aperture.

A transfer function multiplies the spectrum of an image, so a blur of half a pixel is as exact as one of forty:
kernels sampled on whole pixels lose the disparity of small blurs. Frequencies are in cycles per pixel; a grid of
them is given by its rows ``fy`` (..., ny) and its columns ``fx`` (..., nx), x along the split of the dual pixels.
The leading axes broadcast.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from afsim.optics import PIXEL3_DUAL_PIXEL_PITCH_M, PIXEL3_F_NUMBER

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Nodes of the quadrature beyond half its largest phase in radians; 16 leave an error below 1e-12.
_SPARE_NODES = 16


def half_disc_transfer(diameter_px: npt.ArrayLike, fy: npt.ArrayLike, fx: npt.ArrayLike) -> ComplexArray:
    """Return the transfer function of the left view of an ideal dual pixel out of focus.

    The left view sees through the half ``u_x < 0`` of a circular pupil, its blur is a half disc whose centroid
    lies ``4 / (6 pi) c = 0.2122 c`` left of the centre. The right view's function is the complex conjugate; the
    mean of both is real and that of the whole disc, ``2 J1(pi c f) / (pi c f)``.

    Parameters
    ----------
    diameter_px : array_like (...)
        Signed blur diameter c in pixels: positive where the lens is focused nearer than the object. A negative
        one mirrors the half disc, which swaps the views.
    fy, fx : array_like (..., ny) and (..., nx)
        Frequencies in cycles per pixel.

    Returns
    -------
    (..., ny, nx) complex128
        1 at frequency zero: energy is kept.

    Notes
    -----
    With ``a = pi c f_x``, ``b = pi c f_y`` and ``u_x = -sin t`` the integral over the half disc is::

        2/pi  int_0^(pi/2)  exp(i a sin t)  2 cos(t)^2 sinc(b cos t)  dt,    sinc(z) = sin(z) / z

    The integrand is smooth, so Gauss-Legendre quadrature converges exponentially; each node is a function of
    f_y times a function of f_x, so that the whole grid is one matrix product.
    """
    c = np.asarray(diameter_px, dtype=np.float64)[..., None]
    cycles_y, cycles_x = c * np.asarray(fy, dtype=np.float64), c * np.asarray(fx, dtype=np.float64)
    t, weight = _quarter_turn(np.hypot(np.abs(cycles_y).max(), np.abs(cycles_x).max()))
    rows = 4.0 / np.pi * weight * np.cos(t) ** 2 * np.sinc(cycles_y[..., None] * np.cos(t))
    phases = np.pi * cycles_x[..., None, :] * np.sin(t)[:, None]
    return np.asarray(rows @ np.cos(phases) + 1j * (rows @ np.sin(phases)))


def _quarter_turn(largest_cycles: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights for 0 ... pi/2, enough for an integrand of so many cycles across the disc."""
    nodes, weights = _legendre(_SPARE_NODES + int(np.pi * largest_cycles / 2.0))
    return np.pi / 4.0 * (nodes + 1.0), np.pi / 4.0 * weights


_legendre = cache(np.polynomial.legendre.leggauss)


def diffraction_transfer(
    fy: npt.ArrayLike,
    fx: npt.ArrayLike,
    *,
    wavelength_m: float = 530e-9,
    f_number: float = PIXEL3_F_NUMBER,
    pitch_m: float = PIXEL3_DUAL_PIXEL_PITCH_M,
) -> FloatArray:
    """Return the transfer function (..., ny, nx) of a perfect lens in focus: that of the Airy pattern.

    ``2/pi (acos v - v sqrt(1 - v^2))`` with ``v = f wavelength N / pitch``, and 0 beyond v = 1.

    Parameters
    ----------
    fy, fx : array_like (..., ny) and (..., nx)
        Frequencies in cycles per pixel.
    wavelength_m : float
        Wavelength of light; green by default.
    f_number, pitch_m : float
        Of the camera; the Pixel 3 at dual-pixel resolution by default.
    """
    rows, columns = np.asarray(fy, dtype=np.float64), np.asarray(fx, dtype=np.float64)
    radius = np.sqrt(rows[..., :, None] ** 2 + columns[..., None, :] ** 2)
    v = np.minimum(radius * (wavelength_m * f_number / pitch_m), 1.0)
    return np.asarray(2.0 / np.pi * (np.arccos(v) - v * np.sqrt(1.0 - v**2)))


def pixel_transfer(fy: npt.ArrayLike, fx: npt.ArrayLike) -> FloatArray:
    """Return the transfer function (..., ny, nx) of a square pixel that collects light over its whole pitch."""
    rows, columns = np.asarray(fy, dtype=np.float64), np.asarray(fx, dtype=np.float64)
    return np.sinc(rows)[..., :, None] * np.sinc(columns)[..., None, :]
