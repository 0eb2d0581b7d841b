"""Contrast measures of the intensities alone, wherever in the image they are.

All take images (..., H, W), normalised (0 black, 1 white) and linear, and return (...) float64, higher where
sharper. Sums are taken in double precision.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.checks import check_number, check_whole
from afsim.jit import compiled, over_lanes
from afsim.measure_images import FloatArray, Image, Score, as_images, each_image

IntArray = npt.NDArray[np.int64]

# Of the histogram that finds which pixels to sort for a percentile.
_BINS: Final = 4096

# A thread is worth its start from here on: a few milliseconds of work.
_IMAGES_PER_THREAD: Final = 16


def intensity_variance(image: Image) -> Score:
    """Variance of the intensities, in white^2; counts gain squared, no offset.

    "Intensity Variance" [18] of the paper's Table 1; Krotkov, 1988.
    """
    return np.asarray(_moments(image)[..., 1])


def intensity_coefficient_of_variation(image: Image) -> Score:
    """Return standard deviation / mean, 0 where the mean is not positive; no gain counts.

    "Intensity Coefficient of Variation" of the paper's Table 1, the authors' own.
    """
    mean, variance = np.moveaxis(_moments(image), -1, 0)
    return np.asarray(np.divide(np.sqrt(variance), mean, out=np.zeros_like(mean), where=mean > 0.0))


def eigenvalue_trace(image: Image) -> Score:
    """Trace of Z Z^T / (n - 1), Z the image less its mean and n its number of pixels; counts gain squared.

    "Eigenvalue Trace" [43] of the paper's Table 1; after Wee and Paramesran, 2007. All eigenvalues and no
    normalisation by energy: the paper's figures equal those of the variance to three digits. The trace is
    n / (n - 1) times the variance, so no eigenvalue is computed.
    """
    variance = intensity_variance(image)
    pixels = image.shape[-2] * image.shape[-1]
    return np.asarray(variance * (pixels / max(pixels - 1, 1)))


def histogram_entropy(image: Image, *, bins: int = 256) -> Score:
    """Return - sum p log2 p of the histogram, in bits, 0 ... log2 ``bins``.

    "Histogram Entropy" [18] of the paper's Table 1; Krotkov, 1988. Intensities go to the nearest of ``bins`` levels
    from black (0) to white (``bins`` - 1), those beyond to the first or last.

    Parameters
    ----------
    image : (..., H, W) float32
    bins : int
        256 as in Pertuz's survey (2013); the paper gives none.
    """
    check_whole("bins", bins, least=2)

    def entropy(one: Image) -> float:
        level = np.clip(np.rint(one * np.float32(bins - 1)), 0, bins - 1).astype(np.int64)
        count = np.bincount(level.ravel())
        share = count[count > 0] / level.size
        return abs(float((share * np.log2(share)).sum()))  # abs: one level alone would give -0

    return each_image(entropy, image)


def percentile_range(image: Image, *, percent: float) -> Score:
    """Return the percentile 100 - ``percent`` less the percentile ``percent``, in white; linear in gain.

    "Percentile Range" [32] of the paper's Table 1; after the histogram range of Santos et al., 1997. Between two
    pixels of the sorted image it interpolates linearly.

    Parameters
    ----------
    image : (..., H, W) float32
    percent : float
        Of the pixels left out at either end, 0 ... 50; 3, 1 and 0.3 in the paper.
    """
    check_number("percent", percent, least=0.0, most=50.0)
    images = as_images(image)
    n, h, w = images.shape
    flat, out = images.reshape(n, h * w), np.empty(n)
    low, high = (share / 100.0 * (h * w - 1) for share in (percent, 100.0 - percent))
    over_lanes(lambda start, stop: _rank_ranges(flat, low, high, start, stop, out), n, at_least=_IMAGES_PER_THREAD)
    return out.reshape(np.shape(image)[:-2])


# ---------------------------------------------------------------------- compiled
def _moments(image: Image) -> FloatArray:
    """Return mean and variance (..., 2) of the intensities."""
    images = as_images(image)
    out = np.empty((len(images), 2))
    over_lanes(lambda start, stop: _write_moments(images, start, stop, out), len(out), at_least=_IMAGES_PER_THREAD)
    return out.reshape(*np.shape(image)[:-2], 2)


@compiled
def _write_moments(images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Write mean and variance of each image. Sums are kept by column, which lets the loops be loops of vectors."""
    _, h, w = images.shape
    columns = np.empty(w)
    for i in range(start, stop):
        columns[:] = 0.0
        for v in range(h):
            row = images[i, v]
            for u in range(w):
                columns[u] += np.float64(row[u])
        mean = columns.sum() / (h * w)
        columns[:] = 0.0
        for v in range(h):
            row = images[i, v]
            for u in range(w):
                far = np.float64(row[u]) - mean
                columns[u] += far * far
        out[i, 0], out[i, 1] = mean, columns.sum() / (h * w)


@compiled
def _rank_ranges(flat: Image, low: float, high: float, start: int, stop: int, out: FloatArray) -> None:
    """Write the pixel of rank ``high`` less that of rank ``low``, both interpolated, of each image (n, pixels)."""
    counts = np.empty(_BINS, np.int64)
    for i in range(start, stop):
        pixels = flat[i]
        darkest, brightest = np.float64(pixels.min()), np.float64(pixels.max())
        if darkest == brightest:
            out[i] = 0.0
            continue
        scale = (_BINS - 1) / (brightest - darkest)
        counts[:] = 0
        for p in range(pixels.size):
            counts[_bin(pixels[p], darkest, scale)] += 1
        out[i] = _of_rank(pixels, counts, darkest, scale, high) - _of_rank(pixels, counts, darkest, scale, low)


@compiled
def _bin(pixel: np.float32, darkest: float, scale: float) -> int:
    """Return the bin of a pixel: a brighter one's is never lower."""
    return min(max(int((np.float64(pixel) - darkest) * scale), 0), _BINS - 1)


@compiled
def _of_rank(pixels: Image, counts: IntArray, darkest: float, scale: float, rank: float) -> float:
    """Return the value of ``rank``, 0 the darkest pixel's, between two pixels linearly: sort those of its bins."""
    below = int(np.floor(rank))
    above = min(below + 1, pixels.size - 1)
    first, before = 0, 0
    while before + counts[first] <= below:
        before += counts[first]
        first += 1
    last, until = first, before + counts[first]
    while until <= above:
        last += 1
        until += counts[last]
    chosen = np.empty(until - before, np.float32)
    k = 0
    for p in range(pixels.size):
        if first <= _bin(pixels[p], darkest, scale) <= last:
            chosen[k] = pixels[p]
            k += 1
    chosen.sort()
    low, high = np.float64(chosen[below - before]), np.float64(chosen[above - before])
    return low + (rank - below) * (high - low)
