"""What a dual-pixel camera sees of a plane that faces it, at all focus distances of a stack, free of noise."""

from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.optics import blur_diameter_px, magnification
from afsim.transfer import diffraction_transfer, half_disc_transfer, pixel_transfer

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Border of a crop that fades to its mean, so that the Fourier series meets no edge where it repeats.
TAPER_PX: Final = 12


def planar_views(
    radiance: FloatArray, focus: FloatArray, depth: float, field_px: FloatArray, size: int
) -> FloatArray:
    """Return what both views see of a plane facing the camera, free of noise.

    Parameters
    ----------
    radiance : (N, N) float64
        Linear light on the plane, N odd, sampled at the scale of the middle slice and taken as periodic:
        choose N by :func:`crop_size` and fade the border by :func:`fade_border`.
    focus : (n,) float64
        Focus distances of the slices in dioptres.
    depth : float
        Distance of the plane in dioptres.
    field_px : (2,) float64
        Centre of the patch from the principal point, x and y in pixels.
    size : int
        Height and width of the patch.

    Returns
    -------
    (n, 2, size, size) float64
        Left and right view, in the units of ``radiance``.

    Raises
    ------
    ValueError
        Where ``radiance`` is not square with an odd side.

    Notes
    -----
    A slice whose magnification is M sees at pixel p (from the principal point) the point ``z p`` of the plane,
    ``z = M_ref / M``. The crop's Fourier series is evaluated there, so the zoom interpolates without loss. A
    frequency f on the plane is the frequency ``z f`` on the sensor, at which the transfer functions are taken.
    """
    N = len(radiance)
    if N % 2 == 0 or radiance.shape != (N, N):
        raise ValueError(f"radiance must be square with an odd side, got shape {radiance.shape}")
    frequencies, mirrored = np.arange(N // 2 + 1) / N, np.abs(np.arange(N) - N // 2)
    spectrum = np.fft.fftshift(np.fft.rfft2(radiance, norm="forward"), axes=0)
    # The half spectrum of a real image stands for both halves, save for the column of frequency zero.
    spectrum[:, 1:] *= 2.0
    zooms = magnification(focus[len(focus) // 2]) / magnification(focus)
    corner = field_px - (size - 1) / 2.0
    views = np.empty((len(focus), 2, size, size))
    for k, (zoom, blur) in enumerate(zip(zooms, blur_diameter_px(focus, depth), strict=True)):
        x, y = zoom * corner - field_px + N // 2
        # Half discs, Airy pattern and pixel are symmetric in y: half the rows give the others.
        left = _transfer(blur, zoom * frequencies, zoom * frequencies)[mirrored]
        views[k] = _evaluate(np.stack((left, left.conj())) * spectrum, zoom, y, x, size)
    return views


def _transfer(blur: float, fy: FloatArray, fx: FloatArray) -> ComplexArray:
    return half_disc_transfer(blur, fy, fx) * (diffraction_transfer(fy, fx) * pixel_transfer(fy, fx))


def _evaluate(spectra: ComplexArray, zoom: float, y: float, x: float, size: int) -> FloatArray:
    """Return the real Fourier series of ``spectra`` (..., N, N // 2 + 1), rows centred, on a grid of points.

    The grid (size, size) has the step ``zoom`` and its first point at (y, x): a chirp z-transform along each axis.
    Matrix products would do as well, but BLAS becomes several times slower where its threads outnumber the cores.
    """
    from scipy.signal import CZT  # here, because it takes long to load and a cached set never needs it

    N, turn = spectra.shape[-2], 2j * np.pi / spectra.shape[-2]
    step = np.exp(turn * zoom)
    rows = CZT(N, size, step, np.exp(-turn * y))(spectra, axis=-2)
    rows *= np.exp(-turn * (N // 2) * (y + zoom * np.arange(size)))[:, None]
    return np.asarray(CZT(N // 2 + 1, size, step, np.exp(-turn * x))(rows).real)


def crop_size(focus: FloatArray, depth: float, field_px: FloatArray, size: int) -> int:
    """Return the odd side of a crop that a patch never leaves, breathing and blur included.

    The parameters are those of :func:`planar_views`.
    """
    zoom = magnification(focus[len(focus) // 2]) / magnification(focus)
    farthest = np.abs(field_px).max() * np.abs(zoom - 1.0) + size / 2.0 * zoom
    reach = np.max(farthest + np.abs(blur_diameter_px(focus, depth)) / 2.0)
    return 2 * (int(np.ceil(reach)) + TAPER_PX) + 1


def fade_border(radiance: FloatArray) -> FloatArray:
    """Return a square crop whose outermost :data:`TAPER_PX` pixels fade to its mean."""
    side = np.arange(len(radiance))
    edge = np.minimum(side, side[::-1]) + 0.5
    fade = np.sin(np.pi / 2.0 * np.minimum(edge / TAPER_PX, 1.0)) ** 2
    return np.asarray(radiance.mean() + (radiance - radiance.mean()) * np.outer(fade, fade))
