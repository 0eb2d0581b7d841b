"""Contrast measures of first and second differences.

All take images (..., H, W), normalised (0 black, 1 white) and linear, and return (...) float64, higher where
sharper, in the powers of white that the formula says. Sobel kernels and Laplacians see replicated borders; first
differences are those between neighbours that exist. The loops are in :mod:`afsim.measure_gradient_sums`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from afsim.checks import check_number
from afsim.jit import over_lanes
from afsim.measure_gradient_sums import (
    difference_sums,
    laplacian_sums,
    modified_sums,
    sobel_sums,
    steep_counts,
)
from afsim.measure_images import IMAGES_PER_THREAD, FloatArray, Image, Score, as_images
from afsim.measure_statistics import intensity_variance

_Sums = Callable[[Image, int, int, FloatArray], None]

_ROOT_HALF: Final = float(np.sqrt(0.5))


# ---------------------------------------------------------------------- first differences
def total_variation_l1(image: Image) -> Score:
    """Return mean |I(x+1, y) - I(x, y)| + mean |I(x, y+1) - I(x, y)|; linear in gain.

    Rudin, Osher and Fatemi, 1992 [30], anisotropic. The total variation of an edge does not depend on its blur. An
    extra row: :func:`total_variation_l1_over_variance` is what fits the paper's figures.
    """
    return np.asarray(_differences(image, squared=False))


def total_variation_l2(image: Image) -> Score:
    """Return mean (I(x+1, y) - I(x, y))^2 + mean (I(x, y+1) - I(x, y))^2; counts gain squared.

    Rudin, Osher and Fatemi, 1992 [30], with squares for absolute values. An extra row:
    :func:`total_variation_l2_over_variance` is what fits the paper's figures.
    """
    return np.asarray(_differences(image, squared=True))


def total_variation_l1_over_variance(image: Image) -> Score:
    """Return :func:`total_variation_l1` over the image's variance, 0 where that is 0; counts 1 / gain.

    "Total Variation (L1)" [24, 30] of the paper's Table 1. That the paper divides by the variance is inferred: the
    literal definition contradicts its figures on recorded and on rendered stacks, this one fits them.
    """
    return _over_variance(total_variation_l1(image), image)


def total_variation_l2_over_variance(image: Image) -> Score:
    """Return :func:`total_variation_l2` over the image's variance, 0 where that is 0; no gain, no offset counts.

    "Total Variation (L2)" [30] of the paper's Table 1; the division is inferred as for
    :func:`total_variation_l1_over_variance`.
    """
    return _over_variance(total_variation_l2(image), image)


def gradient_count(image: Image, *, threshold: float, white: float = 1023.0) -> Score:
    """Return the share of pixels where sqrt(dx^2 + dy^2) > ``threshold``, in 0 ... 1.

    "Gradient Count" [18] of the paper's Table 1; Krotkov, 1988. dx and dy are forward differences, on the
    (H - 1) x (W - 1) pixels that have both; 0 where there are none.

    Parameters
    ----------
    image : (..., H, W) float32
    threshold : float
        In digital numbers; 3 and 10 in the paper.
    white : float
        Digital number of white. The paper does not give its scale: that of a 10-bit sensor fits its figures best
        among simple ones, 255 is the other candidate.
    """
    check_number("threshold", threshold, least=0.0)
    check_number("white", white, above=0.0)

    least = np.float32((threshold / white) ** 2)
    counts = _sums(partial(steep_counts, least), image, 1)[..., 0]
    h, w = np.shape(image)[-2:]
    return np.asarray(counts / max((h - 1) * (w - 1), 1))


# ---------------------------------------------------------------------- Sobel
def mean_gradient_magnitude(image: Image) -> Score:
    """Tenengrad: mean of Gx^2 + Gy^2, Sobel kernels of weights 1 2 1, not normalised; counts gain squared.

    "Mean Gradient Magnitude" [40] of the paper's Table 1; Tenenbaum, 1971.
    """
    return np.asarray(_means(sobel_sums, image, 1)[..., 0])


def mean_gradient_magnitude_root(image: Image) -> Score:
    """Return mean sqrt(Gx^2 + Gy^2), kernels as for :func:`mean_gradient_magnitude`; linear in gain.

    An extra row: for an isolated edge it does not depend on blur.
    """
    return np.asarray(_means(sobel_sums, image, 2)[..., 1])


def gradient_magnitude_variance(image: Image) -> Score:
    """Variance of sqrt(Gx^2 + Gy^2), kernels as for :func:`mean_gradient_magnitude`; counts gain squared.

    "Gradient Magnitude Variance" [27] of the paper's Table 1; Pech-Pacheco et al., ICPR 2000.
    """
    squared, magnitude = np.moveaxis(_means(sobel_sums, image, 2), -1, 0)
    return np.asarray(np.maximum(squared - magnitude**2, 0.0))


# ---------------------------------------------------------------------- Laplacians
def laplacian_energy(image: Image) -> Score:
    """Mean square of the Laplacian, kernel [[1, 4, 1], [4, -20, 4], [1, 4, 1]] / 6; counts gain squared.

    "Laplacian Energy" [37] of the paper's Table 1; Subbarao, Choi and Nikzad, 1993, with the kernel of Pertuz's
    survey (2013).
    """
    return np.asarray(_means(laplacian_sums, image, 3)[..., 1])


def laplacian_variance(image: Image) -> Score:
    """Variance of the Laplacian, kernel as for :func:`laplacian_energy`; counts gain squared.

    Pech-Pacheco et al., ICPR 2000 [27]. An extra row: it differs from :func:`laplacian_energy` at the borders
    alone, which the paper's figures rule out; :func:`absolute_laplacian_variance` fits them.
    """
    means = _means(laplacian_sums, image, 3)
    return np.asarray(np.maximum(means[..., 1] - means[..., 0] ** 2, 0.0))


def absolute_laplacian_variance(image: Image) -> Score:
    """Variance of the Laplacian's absolute value, kernel as for :func:`laplacian_energy`; counts gain squared.

    "Laplacian Variance" [27] of the paper's Table 1; that it takes the absolute value is inferred, see
    :func:`laplacian_variance`.
    """
    means = _means(laplacian_sums, image, 3)
    return np.asarray(np.maximum(means[..., 1] - means[..., 2] ** 2, 0.0))


def sum_modified_laplacian(image: Image) -> Score:
    """Mean of |second difference along x| + |second difference along y|, step 1; linear in gain.

    "Sum of Modified Laplacian" [25] of the paper's Table 1; Nayar and Nakagawa, 1994, over the whole image and
    without a threshold.
    """
    return np.asarray(_means(modified_sums, image, 1)[..., 0])


def diagonal_laplacian(image: Image) -> Score:
    """:func:`sum_modified_laplacian` and the same along both diagonals, over sqrt 2; linear in gain.

    "Diagonal Laplacian" [41] of the paper's Table 1; Thelen et al., 2009.
    """
    means = _means(modified_sums, image, 2)
    return np.asarray(means[..., 0] + _ROOT_HALF * means[..., 1])


# ---------------------------------------------------------------------- over pixels
def _sums(add_up: _Sums, image: Image, count: int) -> FloatArray:
    """Return the sums (..., count) over pixels that ``add_up`` writes."""
    images = as_images(image)
    out = np.zeros((len(images), count))
    over_lanes(lambda start, stop: add_up(images, start, stop, out), len(images), at_least=IMAGES_PER_THREAD)
    return out.reshape(*np.shape(image)[:-2], count)


def _means(add_up: _Sums, image: Image, count: int) -> FloatArray:
    """Return the means (..., count) over pixels of what ``add_up`` adds up."""
    return np.asarray(_sums(add_up, image, count) / math.prod(np.shape(image)[-2:]))


def _differences(image: Image, *, squared: bool) -> Score:
    """Return the mean |dx| or dx^2 plus the mean |dy| or dy^2."""
    sums = _sums(partial(difference_sums, squared), image, 2)
    h, w = np.shape(image)[-2:]
    # An image of one row or column has no steps that way: the sum is 0, and so is the mean.
    return np.asarray(sums[..., 0] / (h * max(w - 1, 1)) + sums[..., 1] / (max(h - 1, 1) * w))


def _over_variance(score: Score, image: Image) -> Score:
    variance = intensity_variance(image)
    return np.divide(score, variance, out=np.zeros_like(score), where=variance > 0.0)
