"""Images as real Fourier series: cosines and sines apart along each axis.

A series is evaluated at any points by two matrix products, without resampling, and with cosines and sines apart all
arithmetic is real and half the frequencies are enough.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled

FloatArray = npt.NDArray[np.float64]
Array = npt.NDArray[Any]

# Border of an image that fades to its mean, so that the series meets no edge where it repeats.
TAPER_PX: Final = 12

# Frequencies in cycles per pixel between which a series fades to nothing. Ended sharply at 0.5, where lens and
# pixel let half of the contrast pass, it would make edges ring all over the image.
_ROLL_OFF: Final = (0.4, 0.5)


def fade_border(canvas: FloatArray) -> FloatArray:
    """Return canvases (..., N, N) whose outermost :data:`TAPER_PX` pixels fade to the canvas's mean."""
    side = np.arange(canvas.shape[-1])
    edge = np.minimum(side, side[::-1]) + 0.5
    fade = np.sin(np.pi / 2.0 * np.minimum(edge / TAPER_PX, 1.0)) ** 2
    mean = canvas.mean(axis=(-2, -1), keepdims=True)
    return np.asarray(mean + (canvas - mean) * np.outer(fade, fade))


def fourier_series(images: FloatArray) -> FloatArray:
    """Return the Fourier series (..., 2, h, 2, h) of images (..., N, N) about their middle pixel; N odd.

    Parameters
    ----------
    images : (..., N, N) float64
        Fade their borders first (:func:`fade_border`): the series repeats them.

    Returns
    -------
    (..., 2, h, 2, h) float64
        Cosine or sine along y, fy = 0 ... (h - 1) / N, h = N // 2 + 1; cosine or sine along x, fx: the factors of
        ``cos(2 pi fy y) cos(2 pi fx x)`` and so on. They fade from 0.4 to 0.5 cycles per pixel.
    """
    h = images.shape[-1] // 2 + 1
    spectrum = np.fft.rfft2(np.fft.ifftshift(images, axes=(-2, -1)), norm="forward")
    spectrum[..., 1:] *= 2.0  # for the columns below zero
    above, below = spectrum[..., 1:h, :], spectrum[..., :-h:-1, :]
    series = np.zeros((*images.shape[:-2], 2, h, 2, h))
    for part, rows in enumerate((above + below, 1j * (above - below))):
        series[..., part, 1:, 0, :], series[..., part, 1:, 1, :] = rows.real, -rows.imag
    series[..., 0, 0, 0, :], series[..., 0, 0, 1, :] = spectrum[..., 0, :].real, -spectrum[..., 0, :].imag
    begin, end = _ROLL_OFF
    beyond = np.clip((np.arange(h) / images.shape[-1] - begin) / (end - begin), 0.0, 1.0)
    passes = np.cos(np.pi / 2.0 * beyond) ** 2
    series *= passes[:, None, None] * passes
    return series


@compiled
def blur_series(series: Array, parts: Array, sharp: Array, turn_y: Array, turn_x: Array, result: Array) -> None:
    """Convolve the Fourier series of a surface's strips with point-spread functions, add them up, and move them.

    The shift theorem, ``cos(a - b) = cos a cos b + sin a sin b`` along each axis, averaged over the point spread.

    Parameters
    ----------
    series : (S, C, 2, h, 2, h)
        Of S strips and C channels (:func:`fourier_series`).
    parts : (S, 2, h, 2, 2, h)
        Transfer functions of both views for each strip (:func:`afsim.transfer.defocus_parts`).
    sharp : (h, h)
        A transfer function that is real and even in both frequencies, for all strips and views.
    turn_y, turn_x : (2, h)
        Cosine and sine of ``2 pi f x`` for the point x of the image around which the result is a series.
    result : (2, h, C, 2, 2, h)
        Overwritten: cosine or sine along y; fy; channel; view; cosine or sine along x; fx.
    """
    strips, channels, _, h, _, _ = series.shape
    for i in range(h):
        for c in range(channels):
            for v in range(2):
                # Rows as arrays of their own, or the compiler does not use vector instructions.
                rcc, rcs, rsc, rss = (
                    result[0, i, c, v, 0],
                    result[0, i, c, v, 1],
                    result[1, i, c, v, 0],
                    result[1, i, c, v, 1],
                )
                rcc[:], rcs[:], rsc[:], rss[:] = 0.0, 0.0, 0.0, 0.0
                for s in range(strips):
                    cc, cs = series[s, c, 0, i, 0], series[s, c, 0, i, 1]
                    sc, ss = series[s, c, 1, i, 0], series[s, c, 1, i, 1]
                    CC, CS, SC, SS = (
                        parts[s, 0, i, v, 0],
                        parts[s, 0, i, v, 1],
                        parts[s, 1, i, v, 0],
                        parts[s, 1, i, v, 1],
                    )
                    for j in range(h):
                        rcc[j] += cc[j] * CC[j] - cs[j] * CS[j] - sc[j] * SC[j] + ss[j] * SS[j]
                    for j in range(h):
                        rcs[j] += cc[j] * CS[j] + cs[j] * CC[j] - sc[j] * SS[j] - ss[j] * SC[j]
                    for j in range(h):
                        rsc[j] += cc[j] * SC[j] - cs[j] * SS[j] + sc[j] * CC[j] - ss[j] * CS[j]
                    for j in range(h):
                        rss[j] += cc[j] * SS[j] + cs[j] * SC[j] + sc[j] * CS[j] + ss[j] * CC[j]
                w, cy, sy, cx, sx = sharp[i], turn_y[0, i], turn_y[1, i], turn_x[0], turn_x[1]
                for j in range(h):
                    even, odd = cy * rcc[j] + sy * rsc[j], cy * rcs[j] + sy * rss[j]
                    rsc[j], rss[j] = cy * rsc[j] - sy * rcc[j], cy * rss[j] - sy * rcs[j]
                    rcc[j], rcs[j] = w[j] * (even * cx[j] + odd * sx[j]), w[j] * (odd * cx[j] - even * sx[j])
                for j in range(h):
                    even, odd = rsc[j], rss[j]
                    rsc[j], rss[j] = w[j] * (even * cx[j] + odd * sx[j]), w[j] * (odd * cx[j] - even * sx[j])


def evaluate(series: Array, to_rows: Array, rows: int, to_columns: Array, columns: int) -> Array:
    """Return a series at evenly spaced points around its middle.

    Parameters
    ----------
    series : (2, h, ..., 2, h)
        Cosine or sine along y; fy; any axes; cosine or sine along x; fx.
    to_rows, to_columns : (2, rows / 2 rounded up, h) and (2, columns / 2 rounded up, h)
        Cosine and sine at the points that are not negative (:func:`afsim.transfer.waves`).
    rows, columns : int
        How many points there are along either axis.

    Returns
    -------
    (..., rows, columns)
    """
    h, axes = series.shape[1], series.shape[2:-2]
    lines = _unfold(to_rows @ series.reshape(2, h, -1), rows, axis=0).reshape(-1, 2, h)
    points = _unfold(lines.swapaxes(0, 1) @ to_columns.swapaxes(1, 2), columns, axis=1)
    return np.moveaxis(points.reshape(rows, *axes, columns), 0, -2)


def _unfold(halves: Array, count: int, *, axis: int) -> Array:
    """Return the values at all ``count`` points from the even and the odd part (2, ...) at those not negative."""
    even, odd = np.moveaxis(halves, axis + 1, 1)
    shape = list(halves.shape[1:])
    shape[axis] = count
    result = np.empty(shape, halves.dtype)
    points, mirrored = np.moveaxis(result, axis, 0), slice(count % 2, None)
    np.add(even, odd, out=points[count // 2 :])
    np.subtract(even[mirrored], odd[mirrored], out=points[: count // 2][::-1])
    return result
