"""Contrast measures that compare each pixel with its neighbourhood: the image under a Gaussian.

All take images (..., H, W), normalised (0 black, 1 white) and linear, and return (...) float64, higher where
sharper. I is the image, mu the image under a Gaussian of ``sigma`` pixels (cut at 4 sigma, borders replicated);
both are raised to one DN of ten bits, since ratios below are ratios of noise. No gain counts in what is brighter.
Sums are taken in double precision.
"""

from typing import Final

import numpy as np

from afsim.checks import check_number
from afsim.jit import compiled, over_lanes
from afsim.measure_images import ONE_DN, FloatArray, Image, Score, as_images

# A thread is worth its start from here on: a few milliseconds of work.
_IMAGES_PER_THREAD: Final = 8

# Rows whose ratios are multiplied before one logarithm is taken of the product: no product of so many overflows.
_ROWS_PER_LOGARITHM: Final = 16


def mean_local_ratio(image: Image, *, sigma: float) -> Score:
    """Mean of max(I / mu, mu / I), at least 1.

    "Mean Local Ratio" [15] of the paper's Table 1; Helmli and Scherer, 2001, with a Gaussian for their box.

    Parameters
    ----------
    image : (..., H, W) float32
    sigma : float
        Of the Gaussian, in pixels; 1, 2 and 4 in the paper.
    """
    return np.asarray(_means(image, sigma)[..., 0])


def mean_local_log_ratio(image: Image, *, sigma: float) -> Score:
    """Mean of |log(I / mu)|, at least 0.

    "Mean Local Log-Ratio" of the paper's Table 1, the authors' own. Parameters as for :func:`mean_local_ratio`.
    """
    return np.asarray(_means(image, sigma)[..., 1])


def mean_local_norm_dist_sq(image: Image, *, sigma: float = 2.0) -> Score:
    """Mean of (I - mu)^2 / (I^2 + mu^2), in 0 ... 1.

    "Mean Local Norm-Dist-Sq" of the paper's Table 1, the authors' own (best mean absolute error at sigma 2),
    written from its name: bounded, and symmetric in I and mu. Parameters as for :func:`mean_local_ratio`.
    """
    return np.asarray(_means(image, sigma)[..., 2])


def _means(image: Image, sigma: float) -> FloatArray:
    """Return the three means (..., 3): ratio, logarithm of it, and normalised squared distance."""
    check_number("sigma", sigma, above=0.0)
    images = as_images(image)
    n, h, w = images.shape
    weights = np.exp(-0.5 * (np.arange(int(4.0 * sigma + 0.5) + 1.0) / sigma) ** 2)
    weights /= 2.0 * weights.sum() - weights[0]
    out = np.zeros((n, 3))
    over_lanes(lambda start, stop: _local_sums(images, weights, start, stop, out), n, at_least=_IMAGES_PER_THREAD)
    out /= h * w
    return out.reshape(*np.shape(image)[:-2], 3)


@compiled
def _local_sums(images: Image, weights: FloatArray, start: int, stop: int, out: FloatArray) -> None:
    """Add up the three terms. Sums are kept by column, which lets the loops be loops of vectors."""
    _, h, w = images.shape
    reach = weights.size - 1
    pixels, line, mu = np.empty((h, w)), np.empty(w + 2 * reach), np.empty(w, np.float32)
    for i in range(start, stop):
        for v in range(h):
            for u in range(w):
                pixels[v, u] = images[i, v, u]
        columns = np.zeros((3, w))
        ratios, logarithms, distances, product = columns[0], columns[1], columns[2], np.ones(w)
        for v in range(h):
            _blurred_row(pixels, v, weights, line, mu)
            here = pixels[v]
            for u in range(w):
                x, m = max(here[u], ONE_DN), max(np.float64(mu[u]), ONE_DN)
                # np.divide, unlike /, does not look for a zero, so that the loop stays one of vectors.
                ratio = np.divide(max(x, m), min(x, m))
                ratios[u] += ratio
                product[u] *= ratio
                distances[u] += np.divide((x - m) * (x - m), x * x + m * m)
            if (v + 1) % _ROWS_PER_LOGARITHM == 0 or v + 1 == h:
                for u in range(w):
                    logarithms[u] += np.log(product[u])
                    product[u] = 1.0
        for k in range(3):
            out[i, k] = columns[k].sum()


@compiled
def _blurred_row(pixels: FloatArray, v: int, weights: FloatArray, line: FloatArray, mu: Image) -> None:
    """Write row ``v`` of an image (h, w) under a Gaussian to ``mu`` (w,), given half its ``weights``.

    Rounded to single precision, which makes mu of an even image that image, and no contrast of rounding.

    Parameters
    ----------
    line : (w + 2 * reach,) float64
        Room for the row blurred down the image, and what repeats beyond its ends.
    """
    h, w = pixels.shape
    reach = weights.size - 1
    down = line[reach : reach + w]
    here = pixels[v]
    for u in range(w):
        down[u] = weights[0] * here[u]
    for k in range(1, reach + 1):
        weight, above, below = weights[k], pixels[max(v - k, 0)], pixels[min(v + k, h - 1)]
        for u in range(w):
            down[u] += weight * (above[u] + below[u])
    for k in range(reach):
        line[k], line[reach + w + k] = down[0], down[w - 1]
    across = np.empty(w)
    for u in range(w):
        across[u] = weights[0] * down[u]
    for k in range(1, reach + 1):
        weight, left, right = weights[k], line[reach - k :], line[reach + k :]
        for u in range(w):
            across[u] += weight * (left[u] + right[u])
    for u in range(w):
        mu[u] = np.float32(across[u])
