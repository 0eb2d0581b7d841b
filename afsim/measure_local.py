"""Contrast measures that compare each pixel with its neighbourhood: the image under a Gaussian.

All take images (..., H, W), normalised (0 black, 1 white) and linear, and return (...) float64, higher where
sharper. I is the image, mu the image under a Gaussian of ``sigma`` pixels (cut at 4 sigma, borders replicated);
both are raised to one DN of ten bits, since ratios below are ratios of noise. No gain counts in what is brighter.
What is blurred is how pixels differ from the one in the middle, in single precision, so that mu is as exact in the
dark as in the light; sums are taken in double.
"""

from typing import Final

import numpy as np

from afsim.checks import check_number
from afsim.jit import compiled, over_lanes
from afsim.measure_images import IMAGES_PER_THREAD, ONE_DN, ROWS_AT_ONCE, FloatArray, Image, Score, as_images, carry

# Rows that are multiplied in single precision, before one logarithm is taken of several products: neither kind of
# product overflows.
_ROWS_PER_PRODUCT: Final = 4

_RATIO: Final = 0
_LOGARITHM: Final = 1
_DISTANCE: Final = 2


def mean_local_ratio(image: Image, *, sigma: float) -> Score:
    """Mean of max(I / mu, mu / I), at least 1.

    "Mean Local Ratio" [15] of the paper's Table 1; Helmli and Scherer, 2001, with a Gaussian for their box.

    Parameters
    ----------
    image : (..., H, W) float32
    sigma : float
        Of the Gaussian, in pixels; 1, 2 and 4 in the paper.
    """
    return np.asarray(_mean(_RATIO, image, sigma))


def mean_local_log_ratio(image: Image, *, sigma: float) -> Score:
    """Mean of |log(I / mu)|, at least 0.

    "Mean Local Log-Ratio" of the paper's Table 1, the authors' own. Parameters as for :func:`mean_local_ratio`.
    """
    return np.asarray(_mean(_LOGARITHM, image, sigma))


def mean_local_norm_dist_sq(image: Image, *, sigma: float = 2.0) -> Score:
    """Mean of (I - mu)^2 / (I^2 + mu^2), in 0 ... 1.

    "Mean Local Norm-Dist-Sq" of the paper's Table 1, the authors' own (best mean absolute error at sigma 2),
    written from its name: bounded, and symmetric in I and mu. Parameters as for :func:`mean_local_ratio`.
    """
    return np.asarray(_mean(_DISTANCE, image, sigma))


def _mean(kind: int, image: Image, sigma: float) -> Score:
    """Return the mean (...) of one of the three terms."""
    check_number("sigma", sigma, above=0.0)
    images = as_images(image)
    n, h, w = images.shape
    half = np.exp(-0.5 * (np.arange(int(4.0 * sigma + 0.5) + 1.0) / sigma) ** 2)
    weights = (half / (2.0 * half.sum() - half[0])).astype(np.float32)
    out = np.empty(n)
    over_lanes(lambda a, b: _local_sums(kind, images, weights, a, b, out), n, at_least=IMAGES_PER_THREAD)
    return np.asarray(out / (h * w)).reshape(np.shape(image)[:-2])


@compiled
def _local_sums(kind: int, images: Image, weights: Image, start: int, stop: int, out: FloatArray) -> None:
    """Write the sum of a term over each image's pixels."""
    _, h, w = images.shape
    reach, dn = weights.size - 1, np.float32(ONE_DN)
    line, mu = np.empty(w + 2 * reach, np.float32), np.empty(w, np.float32)
    part, parts = np.zeros(w, np.float32), np.ones((2, w), np.float32)
    for i in range(start, stop):
        columns, product = np.zeros(w), np.ones(w)
        for v in range(h):
            _blurred_row(images[i], v, weights, line, mu)
            here = images[i, v]
            last = v + 1 == h
            if kind == _RATIO:
                for u in range(w):
                    x, m = _raised(here[u], dn), _raised(mu[u], dn)
                    # np.divide, unlike /, does not look for a zero, so that the loop stays one of vectors.
                    part[u] += np.divide(x if x > m else m, m if x > m else x)
            elif kind == _DISTANCE:
                for u in range(w):
                    x, m = _raised(here[u], dn), _raised(mu[u], dn)
                    part[u] += np.divide((x - m) * (x - m), x * x + m * m)
            else:
                above, below = parts[0], parts[1]
                for u in range(w):
                    x, m = _raised(here[u], dn), _raised(mu[u], dn)
                    above[u] *= x if x > m else m
                    below[u] *= m if x > m else x
                if (v + 1) % _ROWS_PER_PRODUCT == 0 or last:
                    for u in range(w):
                        product[u] *= np.divide(np.float64(above[u]), np.float64(below[u]))
                    parts[:] = np.float32(1.0)
            if (v + 1) % ROWS_AT_ONCE == 0 or last:
                if kind == _LOGARITHM:
                    for u in range(w):
                        columns[u] += np.log(product[u])
                        product[u] = 1.0
                else:
                    carry(part, columns)
        out[i] = columns.sum()


@compiled
def _raised(value: np.float32, least: np.float32) -> np.float32:
    """Return a value, or the least it may be."""
    return value if value > least else least


@compiled
def _blurred_row(pixels: Image, v: int, weights: Image, line: Image, mu: Image) -> None:
    """Write row ``v`` of an image (h, w) under a Gaussian to ``mu`` (w,), given half its ``weights``.

    Parameters
    ----------
    line : (w + 2 * reach,) float32
        Room for the row blurred down the image, and what repeats beyond its ends.
    """
    h, w = pixels.shape
    reach = weights.size - 1
    down, here = line[reach : reach + w], pixels[v]
    for u in range(w):
        down[u] = np.float32(0.0)
    # Three pairs at once: fewer passes over the row.
    threes = reach // 3 * 3
    for k in range(1, threes + 1, 3):
        p, q, r = weights[k], weights[k + 1], weights[k + 2]
        a, b, c = pixels[max(v - k, 0)], pixels[max(v - k - 1, 0)], pixels[max(v - k - 2, 0)]
        d, e, f = pixels[min(v + k, h - 1)], pixels[min(v + k + 1, h - 1)], pixels[min(v + k + 2, h - 1)]
        for u in range(w):
            x = here[u] + here[u]
            down[u] += p * ((a[u] + d[u]) - x) + (q * ((b[u] + e[u]) - x) + r * ((c[u] + f[u]) - x))
    for k in range(threes + 1, reach + 1):
        p, a, d = weights[k], pixels[max(v - k, 0)], pixels[min(v + k, h - 1)]
        for u in range(w):
            down[u] += p * ((a[u] + d[u]) - (here[u] + here[u]))
    for u in range(w):
        mu[u] = weights[0] * down[u]
        down[u] += here[u]
    for k in range(reach):
        line[k], line[reach + w + k] = down[0], down[w - 1]
    for k in range(1, threes + 1, 3):
        p, q, r = weights[k], weights[k + 1], weights[k + 2]
        a, b, c = line[reach - k :], line[reach - k - 1 :], line[reach - k - 2 :]
        d, e, f = line[reach + k :], line[reach + k + 1 :], line[reach + k + 2 :]
        for u in range(w):
            x = here[u] + here[u]
            mu[u] += p * ((a[u] + d[u]) - x) + (q * ((b[u] + e[u]) - x) + r * ((c[u] + f[u]) - x))
    for k in range(threes + 1, reach + 1):
        p, a, d = weights[k], line[reach - k :], line[reach + k :]
        for u in range(w):
            mu[u] += p * ((a[u] + d[u]) - (here[u] + here[u]))
    for u in range(w):
        mu[u] += here[u]
