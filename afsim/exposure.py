"""From what the views see to raw data: exposure, flicker, views that differ, noise, clipping, ten bits, upsampling.

Stored is what the recordings of "Learning to Autofocus" store. Native dual pixels are twice as high as wide; their
ten bits, times 16, are upsampled bilinearly along that axis, so stored values are multiples of 4 and noise is
correlated from row to row, with 5/8 of the native variance.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.draws import Light, ViewMismatch
from afsim.grain import UPSAMPLED_VARIANCE
from afsim.stack import Levels, RawImage

FloatArray = npt.NDArray[np.float64]

NATIVE_LEVELS: Final = Levels(64, 1023)  # ten-bit raw of the Pixel 3's dual-pixel data
LEVELS: Final = Levels(16 * NATIVE_LEVELS.black, 16 * NATIVE_LEVELS.white)  # of the stored data

_TAPS: Final = 4  # on each side, of the kernel that shifts views by a fraction of a pixel


def expose(
    views: FloatArray,
    light: Light,
    frame_gains: FloatArray,
    mismatch: ViewMismatch,
    rng: np.random.Generator,
    *,
    size: int,
) -> RawImage:
    """Return stored raw data of what both views see.

    Parameters
    ----------
    views : (n, 2, rows, columns) float64
        Left and right view on native dual pixels, linear, mean 1, with one spare row at either side.
    light : Light
        Level to expose to, and noise of one view; ``shot`` and ``read`` 0 for none.
    frame_gains : (n,) float64
        Gain of each frame.
    mismatch : ViewMismatch
        How the views differ besides disparity.
    rng : Generator
        Where the noise is drawn from: Poisson shot noise and Gaussian read noise, independent in the views.
    size : int
        Patch across which ``mismatch`` shades the views.

    Returns
    -------
    (n, 2, 2 (rows - 2), columns) uint16
        Of :data:`LEVELS`.
    """
    signal = offset_views(views, mismatch.offset_px)
    signal *= light.level * frame_gains[:, None, None, None]
    signal *= view_gains(mismatch, signal.shape[2], signal.shape[3], size)
    # Machines round what led up to here differently in double precision, which single precision hides.
    signal = signal.astype(np.float32).astype(np.float64)
    return upsample(digitise(add_noise(signal, light.shot, light.read, rng)))


def stored_noise(light: Light) -> tuple[float, float]:
    """Return noise (S, O) of one view on the stored grid, quantisation included: variance = S x + O at each pixel.

    It is 5/8 of the native variance: the upsampling averages neighbouring rows, whose noise it correlates.
    """
    step = 1.0 / (NATIVE_LEVELS.white - NATIVE_LEVELS.black)
    return UPSAMPLED_VARIANCE * light.shot, UPSAMPLED_VARIANCE * (light.read + step**2 / 12.0)


# ---------------------------------------------------------------------- views that differ
def offset_views(views: FloatArray, offset_px: float) -> FloatArray:
    """Return the views (n, 2, rows, columns) apart by ``offset_px`` more: half to the left, half to the right.

    Sampled anew on the polynomial through nine neighbours, for offsets up to a pixel or so; the outermost columns
    repeat beyond the border.
    """
    if offset_px == 0.0:
        return np.array(views)
    columns = views.shape[3]
    wide = np.pad(views, [(0, 0), (0, 0), (0, 0), (_TAPS, _TAPS)], mode="edge")
    shifted = np.zeros_like(views)
    for view, shift in enumerate((-offset_px / 2.0, offset_px / 2.0)):
        taps = range(-_TAPS, _TAPS + 1)
        for tap in taps:
            weight = math.prod((-shift - other) / (tap - other) for other in taps if other != tap)
            shifted[:, view] += weight * wide[:, view, :, _TAPS + tap : _TAPS + tap + columns]
    return shifted


def view_gains(mismatch: ViewMismatch, rows: int, columns: int, size: int) -> FloatArray:
    """Return the gain of each view at each native pixel, (2, rows, columns); green, their mean, keeps its own.

    The views' ratio changes by ``shading_x`` from the left border of a patch of ``size`` to its right one, and by
    ``shading_y`` from top to bottom.
    """
    x = (np.arange(columns) - (columns - 1) / 2.0) / size
    y = 2.0 * (np.arange(rows) - (rows - 1) / 2.0) / size
    half = (mismatch.gain + mismatch.shading_x * x[None, :] + mismatch.shading_y * y[:, None]) / 2.0
    return np.stack((1.0 + half, 1.0 - half))


# ---------------------------------------------------------------------- noise and bits
def add_noise(signal: FloatArray, shot: float, read: float, rng: np.random.Generator) -> FloatArray:
    """Return ``Poisson(x / S) S + N(0, O)`` of the signal x (white = 1): variance ``S x + O`` (physics.md 3.1)."""
    noisy = np.array(signal)
    if shot > 0.0:
        noisy = np.asarray(shot * rng.poisson(np.maximum(signal, 0.0) / shot))
    if read > 0.0:
        noisy += np.sqrt(read) * rng.standard_normal(signal.shape)
    return noisy


def digitise(signal: FloatArray) -> npt.NDArray[np.int64]:
    """Return ten-bit numbers of a signal (black 0, white 1), clipped at both ends."""
    black, white = NATIVE_LEVELS
    return np.asarray(np.rint(black + (white - black) * signal).clip(0, white), dtype=np.int64)


def upsample(native: npt.NDArray[np.int64]) -> RawImage:
    """Double the rows (..., rows, columns) bilinearly, with weights 3/4 and 1/4, times 16; the spare rows go."""
    inner = 3 * native[..., 1:-1, :]
    rows = np.stack((inner + native[..., :-2, :], inner + native[..., 2:, :]), axis=-2)
    return (4 * rows).reshape(*native.shape[:-2], -1, native.shape[-1]).astype(np.uint16)
