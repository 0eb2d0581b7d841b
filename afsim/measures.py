"""Contrast measures: one number an image, higher where it is sharper.

Each takes green images (..., H, W), normalised (0 black, 1 white) and linear, and returns (...) float64. Borders
are replicated. Ties between slices go to the smallest index.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from afsim.errors import unknown

Measure = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float64]]
Score = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]

# One digital number of a 10-bit sensor: below it, a ratio of intensities is a ratio of noise.
_ONE_DN: Final = 1.0 / 1023.0


def _replicated(image: Image) -> Image:
    """Return the images with one pixel repeated at each border."""
    widths = [(0, 0)] * (image.ndim - 2) + [(1, 1), (1, 1)]
    return np.pad(image, widths, mode="edge")


def laplacian_variance(image: Image) -> Score:
    """Variance of the Laplacian, kernel [[1, 4, 1], [4, -20, 4], [1, 4, 1]] / 6.

    Pech-Pacheco et al., ICPR 2000, with the kernel of Pertuz's survey (2013).
    """
    p = _replicated(image)
    edges = p[..., :-2, 1:-1] + p[..., 2:, 1:-1] + p[..., 1:-1, :-2] + p[..., 1:-1, 2:]
    corners = p[..., :-2, :-2] + p[..., :-2, 2:] + p[..., 2:, :-2] + p[..., 2:, 2:]
    laplacian = (4.0 * edges + corners - 20.0 * image) / 6.0
    return np.asarray(laplacian.var(axis=(-2, -1), dtype=np.float64))


def mean_gradient_magnitude(image: Image) -> Score:
    """Tenengrad: mean of the squared Sobel gradient (unnormalised 3 x 3 kernels).

    Tenenbaum, 1971; "Mean Gradient Magnitude" of the paper's Table 1.
    """
    p = _replicated(image)
    smooth_y = p[..., :-2, :] + 2.0 * p[..., 1:-1, :] + p[..., 2:, :]
    smooth_x = p[..., :, :-2] + 2.0 * p[..., :, 1:-1] + p[..., :, 2:]
    gx = smooth_y[..., :, 2:] - smooth_y[..., :, :-2]
    gy = smooth_x[..., 2:, :] - smooth_x[..., :-2, :]
    return np.asarray((gx * gx + gy * gy).mean(axis=(-2, -1), dtype=np.float64))


def sum_modified_laplacian(image: Image) -> Score:
    """Mean of |second difference along x| + |second difference along y|, step 1.

    Nayar and Nakagawa, 1994, over the whole image.
    """
    p = _replicated(image)
    xx = np.abs(2.0 * image - p[..., 1:-1, :-2] - p[..., 1:-1, 2:])
    yy = np.abs(2.0 * image - p[..., :-2, 1:-1] - p[..., 2:, 1:-1])
    return np.asarray((xx + yy).mean(axis=(-2, -1), dtype=np.float64))


def mean_local_norm_dist_sq(image: Image, *, sigma: float = 2.0) -> Score:
    """Mean of (I - mu)^2 / (I^2 + mu^2), mu the image under a Gaussian of ``sigma`` pixels.

    "Mean Local Norm-Dist-Sq" of the paper's Table 1 (best mean absolute error at sigma 2), written from its name:
    bounded, and symmetric in I and mu. Both are clamped at one DN of ten bits.
    """
    axes = (image.ndim - 2, image.ndim - 1)
    mu = gaussian_filter(image, sigma, axes=axes, mode="nearest", truncate=4.0)
    i, mu = np.maximum(image, _ONE_DN), np.maximum(mu, _ONE_DN)
    return np.asarray(((i - mu) ** 2 / (i * i + mu * mu)).mean(axis=(-2, -1), dtype=np.float64))


MEASURES: Final[dict[str, Measure]] = {
    "laplacian_variance": laplacian_variance,
    "mean_gradient_magnitude": mean_gradient_magnitude,
    "sum_modified_laplacian": sum_modified_laplacian,
    "mean_local_norm_dist_sq": mean_local_norm_dist_sq,
}


def get_measure(name: str) -> Measure:
    """Return the measure ``name``, or raise naming those there are."""
    if name not in MEASURES:
        raise unknown("contrast measure", name, MEASURES)
    return MEASURES[name]


def relative_sharpness(green: Image) -> Score:
    """Return the sharpness of each slice (n, H, W) relative to the stack's best, (n,) in (0, 1].

    What stands in for accuracy where a stack has no label; measured by :func:`mean_local_norm_dist_sq`.
    """
    score = mean_local_norm_dist_sq(green)
    best = float(score.max())
    return score / best if best > 0 else np.ones_like(score)
