"""Contrast measures of the intensities alone, wherever in the image they are.

All take images (..., H, W), normalised (0 black, 1 white) and linear, and return (...) float64, higher where
sharper. Differences from the mean are taken in single precision, sums in double.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.checks import check_number, check_whole
from afsim.jit import compiled, over_lanes
from afsim.measure_images import (
    IMAGES_PER_THREAD,
    ROWS_AT_ONCE,
    FloatArray,
    Image,
    Score,
    as_images,
    carry,
    mean_of,
)

IntArray = npt.NDArray[np.int64]
BinArray = npt.NDArray[np.int32]

# Of an image: below it, a mean is rounding around black. C(0, 0)^2 of its cosine transform is then 1e-6.
_LEAST_SUM: Final = 2.5e-4

# Of the histogram that finds which pixels to sort for a percentile.
_BINS: Final = 4096


def intensity_variance(image: Image) -> Score:
    """Variance of the intensities, in white^2; counts gain squared, no offset.

    "Intensity Variance" [18] of the paper's Table 1; Krotkov, 1988.
    """
    return np.asarray(_moments(image)[..., 1])


def intensity_coefficient_of_variation(image: Image) -> Score:
    """Return standard deviation / mean, 0 where the mean is not positive; no gain counts.

    "Intensity Coefficient of Variation" of the paper's Table 1, the authors' own. A sum of pixels below 2.5e-4 of
    white counts as that, as for :func:`afsim.measure_frequency.dct_energy_ratio`.
    """
    mean, variance = np.moveaxis(_moments(image), -1, 0)
    least = _LEAST_SUM / math.prod(np.shape(image)[-2:])
    return np.asarray(np.where(mean > 0.0, np.sqrt(variance) / np.maximum(mean, least), 0.0))


def eigenvalue_trace(image: Image) -> Score:
    """Trace of Z Z^T / (n - 1), Z the image less its mean and n its number of pixels; counts gain squared.

    "Eigenvalue Trace" [43] of the paper's Table 1; after Wee and Paramesran, 2007. All eigenvalues and no
    normalisation by energy: the paper's figures equal those of the variance to three digits. The trace is
    n / (n - 1) times the variance, so no eigenvalue is computed.
    """
    variance = intensity_variance(image)
    pixels = math.prod(np.shape(image)[-2:])
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

    images = as_images(image)
    out = np.empty(len(images))
    over_lanes(lambda start, stop: _entropies(images, bins, start, stop, out), len(out), at_least=IMAGES_PER_THREAD)
    return out.reshape(np.shape(image)[:-2])


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
    over_lanes(lambda start, stop: _rank_ranges(flat, low, high, start, stop, out), n, at_least=IMAGES_PER_THREAD)
    return out.reshape(np.shape(image)[:-2])


# ---------------------------------------------------------------------- compiled
def _moments(image: Image) -> FloatArray:
    """Return mean and variance (..., 2) of the intensities."""
    images = as_images(image)
    out = np.empty((len(images), 2))
    over_lanes(lambda start, stop: _write_moments(images, start, stop, out), len(out), at_least=IMAGES_PER_THREAD)
    return out.reshape(*np.shape(image)[:-2], 2)


@compiled
def _write_moments(images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Write mean and variance of each image."""
    _, h, w = images.shape
    columns, part = np.empty(w), np.zeros(w, np.float32)
    for i in range(start, stop):
        one = images[i]
        mean = mean_of(one, part, columns)
        columns[:] = 0.0
        near = np.float32(mean)
        for v in range(h):
            row = one[v]
            for u in range(w):
                part[u] += (row[u] - near) * (row[u] - near)
            if (v + 1) % ROWS_AT_ONCE == 0 or v + 1 == h:
                carry(part, columns)
        out[i, 0], out[i, 1] = mean, max(columns.sum() / (h * w) - (mean - near) * (mean - near), 0.0)


@compiled
def _entropies(images: Image, bins: int, start: int, stop: int, out: FloatArray) -> None:
    """Write the entropy in bits of each image's histogram."""
    _, h, w = images.shape
    brightest, none = np.float32(bins - 1), np.float32(0.0)
    # Two histograms in turns: neighbours often have one level, and a count waits for the one before.
    counts, levels = np.empty((2, bins), np.int64), np.empty(w, np.int32)
    for i in range(start, stop):
        counts[:] = 0
        for v in range(h):
            row = images[i, v]
            for u in range(w):
                level = np.rint(row[u] * brightest)
                level = level if level > none else none
                levels[u] = np.int32(level if level < brightest else brightest)
            for u in range(w):
                counts[u & 1, levels[u]] += 1
        entropy = 0.0
        for k in range(bins):
            count = counts[0, k] + counts[1, k]
            if count > 0:
                share = count / (h * w)
                entropy -= share * np.log2(share)
        out[i] = abs(entropy)  # one level alone would give -0


@compiled
def _rank_ranges(flat: Image, low: float, high: float, start: int, stop: int, out: FloatArray) -> None:
    """Write the pixel of rank ``high`` less that of rank ``low``, both interpolated, of each image (n, pixels)."""
    counts, bins = np.empty((2, _BINS), np.int64), np.empty(flat.shape[1], np.int32)
    for i in range(start, stop):
        pixels = flat[i]
        darkest, brightest = _extremes(pixels)
        if darkest == brightest:
            out[i] = 0.0
            continue
        _to_bins(pixels, darkest, np.float32((_BINS - 1) / (np.float64(brightest) - darkest)), bins)
        counts[:] = 0
        # Two histograms in turns: neighbours often fall into one bin, and a count waits for the one before.
        for p in range(pixels.size):
            counts[p & 1, bins[p]] += 1
        for k in range(_BINS):
            counts[0, k] += counts[1, k]
        out[i] = _of_rank(pixels, bins, counts[0], high) - _of_rank(pixels, bins, counts[0], low)


@compiled
def _extremes(pixels: Image) -> tuple[np.float32, np.float32]:
    """Return the darkest and the brightest pixel, found in eight lanes, which a processor compares at once."""
    low, high = np.full(8, pixels[0]), np.full(8, pixels[0])
    whole = pixels.size // 8 * 8
    for p in range(0, whole, 8):
        eight = pixels[p : p + 8]
        for k in range(8):
            low[k] = eight[k] if eight[k] < low[k] else low[k]
            high[k] = eight[k] if eight[k] > high[k] else high[k]
    for p in range(whole, pixels.size):
        low[0], high[0] = min(low[0], pixels[p]), max(high[0], pixels[p])
    return low.min(), high.max()


@compiled
def _to_bins(pixels: Image, darkest: np.float32, scale: np.float32, bins: BinArray) -> None:
    """Write the bin of each pixel: a brighter one's is never lower."""
    last = np.float32(_BINS - 1)
    for p in range(pixels.size):
        place = (pixels[p] - darkest) * scale
        bins[p] = np.int32(place if place < last else last)


@compiled
def _of_rank(pixels: Image, bins: BinArray, counts: IntArray, rank: float) -> float:
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
    # One place more: each pixel is written, and stays where it is chosen.
    chosen = np.empty(until - before + 1, np.float32)
    k = 0
    for p in range(pixels.size):
        chosen[k] = pixels[p]
        k += 1 if first <= bins[p] <= last else 0
    few = chosen[:-1]
    few.sort()
    low, high = np.float64(few[below - before]), np.float64(few[above - before])
    return low + (rank - below) * (high - low)
