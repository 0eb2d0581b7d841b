"""Contrast measures of first and second differences: one compiled pass over an image.

All take images (..., H, W), normalised (0 black, 1 white) and linear, and return (...) float64, higher where
sharper, in the powers of white that the formula says. Sobel kernels and Laplacians see replicated borders; first
differences are those between neighbours that exist. Differences and sums are taken in double precision.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from afsim.checks import check_number
from afsim.jit import compiled, over_lanes
from afsim.measure_images import FloatArray, Image, Score, as_images, each_image
from afsim.measure_statistics import intensity_variance

_Sums = Callable[[Image, int, int, FloatArray], None]

# A thread is worth its start from here on: a few milliseconds of work.
_IMAGES_PER_THREAD: Final = 16
_ROOT_HALF: Final = float(np.sqrt(0.5))


# ---------------------------------------------------------------------- first differences
def total_variation_l1(image: Image) -> Score:
    """Return mean |I(x+1, y) - I(x, y)| + mean |I(x, y+1) - I(x, y)|; linear in gain.

    Rudin, Osher and Fatemi, 1992 [30], anisotropic. The total variation of an edge does not depend on its blur. An
    extra row: :func:`total_variation_l1_over_variance` is what fits the paper's figures.
    """
    return np.asarray(_means(_difference_sums, image, 4, steps=True)[..., :2].sum(axis=-1))


def total_variation_l2(image: Image) -> Score:
    """Return mean (I(x+1, y) - I(x, y))^2 + mean (I(x, y+1) - I(x, y))^2; counts gain squared.

    Rudin, Osher and Fatemi, 1992 [30], with squares for absolute values. An extra row:
    :func:`total_variation_l2_over_variance` is what fits the paper's figures.
    """
    return np.asarray(_means(_difference_sums, image, 4, steps=True)[..., 2:].sum(axis=-1))


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

    def share(one: Image) -> float:
        corner = one[:-1, :-1]
        if corner.size == 0:
            return 0.0
        dx, dy = one[:-1, 1:] - corner, one[1:, :-1] - corner
        return float(np.count_nonzero(dx * dx + dy * dy > np.float32((threshold / white) ** 2))) / corner.size

    return each_image(share, image)


# ---------------------------------------------------------------------- Sobel
def mean_gradient_magnitude(image: Image) -> Score:
    """Tenengrad: mean of Gx^2 + Gy^2, Sobel kernels of weights 1 2 1, not normalised; counts gain squared.

    "Mean Gradient Magnitude" [40] of the paper's Table 1; Tenenbaum, 1971.
    """
    return np.asarray(_means(_sobel_sums, image, 2)[..., 1])


def mean_gradient_magnitude_root(image: Image) -> Score:
    """Return mean sqrt(Gx^2 + Gy^2), kernels as for :func:`mean_gradient_magnitude`; linear in gain.

    An extra row: for an isolated edge it does not depend on blur.
    """
    return np.asarray(_means(_sobel_sums, image, 2)[..., 0])


def gradient_magnitude_variance(image: Image) -> Score:
    """Variance of sqrt(Gx^2 + Gy^2), kernels as for :func:`mean_gradient_magnitude`; counts gain squared.

    "Gradient Magnitude Variance" [27] of the paper's Table 1; Pech-Pacheco et al., ICPR 2000.
    """
    means = _means(_sobel_sums, image, 2)
    return np.asarray(np.maximum(means[..., 1] - means[..., 0] ** 2, 0.0))


# ---------------------------------------------------------------------- Laplacians
def laplacian_energy(image: Image) -> Score:
    """Mean square of the Laplacian, kernel [[1, 4, 1], [4, -20, 4], [1, 4, 1]] / 6; counts gain squared.

    "Laplacian Energy" [37] of the paper's Table 1; Subbarao, Choi and Nikzad, 1993, with the kernel of Pertuz's
    survey (2013).
    """
    return np.asarray(_means(_laplacian_sums, image, 3)[..., 1])


def laplacian_variance(image: Image) -> Score:
    """Variance of the Laplacian, kernel as for :func:`laplacian_energy`; counts gain squared.

    Pech-Pacheco et al., ICPR 2000 [27]. An extra row: it differs from :func:`laplacian_energy` at the borders
    alone, which the paper's figures rule out; :func:`absolute_laplacian_variance` fits them.
    """
    means = _means(_laplacian_sums, image, 3)
    return np.asarray(np.maximum(means[..., 1] - means[..., 0] ** 2, 0.0))


def absolute_laplacian_variance(image: Image) -> Score:
    """Variance of the Laplacian's absolute value, kernel as for :func:`laplacian_energy`; counts gain squared.

    "Laplacian Variance" [27] of the paper's Table 1; that it takes the absolute value is inferred, see
    :func:`laplacian_variance`.
    """
    means = _means(_laplacian_sums, image, 3)
    return np.asarray(np.maximum(means[..., 1] - means[..., 2] ** 2, 0.0))


def sum_modified_laplacian(image: Image) -> Score:
    """Mean of |second difference along x| + |second difference along y|, step 1; linear in gain.

    "Sum of Modified Laplacian" [25] of the paper's Table 1; Nayar and Nakagawa, 1994, over the whole image and
    without a threshold.
    """
    return np.asarray(_means(_modified_sums, image, 1)[..., 0])


def diagonal_laplacian(image: Image) -> Score:
    """:func:`sum_modified_laplacian` and the same along both diagonals, over sqrt 2; linear in gain.

    "Diagonal Laplacian" [41] of the paper's Table 1; Thelen et al., 2009.
    """
    means = _means(_modified_sums, image, 2)
    return np.asarray(means[..., 0] + _ROOT_HALF * means[..., 1])


# ---------------------------------------------------------------------- compiled
def _means(sums: _Sums, image: Image, count: int, *, steps: bool = False) -> FloatArray:
    """Return the means (..., count) of what ``sums`` adds up: over pixels, or over ``steps`` in x, y, x, y."""
    images = as_images(image)
    n, h, w = images.shape
    out = np.zeros((n, count))
    over_lanes(lambda start, stop: sums(images, start, stop, out), n, at_least=_IMAGES_PER_THREAD)
    # An image of one row or column has no steps that way: the sum is 0, and so is the mean.
    out /= np.array([h * max(w - 1, 1), max(h - 1, 1) * w] * 2 if steps else [h * w] * count, dtype=np.float64)
    return out.reshape(*np.shape(image)[:-2], count)


def _over_variance(score: Score, image: Image) -> Score:
    variance = intensity_variance(image)
    return np.divide(score, variance, out=np.zeros_like(score), where=variance > 0.0)


@compiled
def _frame(image: Image, framed: FloatArray) -> None:
    """Write an image (h, w) with one pixel repeated at each border, (h + 2, w + 2)."""
    h, w = image.shape
    for v in range(h + 2):
        row, line = image[min(max(v - 1, 0), h - 1)], framed[v]
        for u in range(w):
            line[u + 1] = row[u]
        line[0], line[w + 1] = row[0], row[w - 1]


@compiled
def _difference_sums(images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Add up |dx|, |dy|, dx^2, dy^2. Sums are kept by column, which lets the loops be loops of vectors."""
    _, h, w = images.shape
    for i in range(start, stop):
        one, columns = images[i], np.zeros((4, w))
        a, b, c, d = columns[0], columns[1], columns[2], columns[3]
        for v in range(h):
            row = one[v]
            for u in range(w - 1):
                x = np.float64(row[u + 1]) - np.float64(row[u])
                a[u] += abs(x)
                c[u] += x * x
            if v + 1 < h:
                below = one[v + 1]
                for u in range(w):
                    y = np.float64(below[u]) - np.float64(row[u])
                    b[u] += abs(y)
                    d[u] += y * y
        for k in range(4):
            out[i, k] = columns[k].sum()


@compiled
def _sobel_sums(images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Add up the Sobel gradient's magnitude and its square."""
    _, h, w = images.shape
    p = np.empty((h + 2, w + 2))
    for i in range(start, stop):
        _frame(images[i], p)
        columns = np.zeros((2, w))
        a, b = columns[0], columns[1]
        for v in range(h):
            top, here, low = p[v], p[v + 1], p[v + 2]
            for u in range(w):
                corners = (low[u + 2] - top[u], low[u] - top[u + 2])
                x = corners[0] - corners[1] + 2.0 * (here[u + 2] - here[u])
                y = corners[0] + corners[1] + 2.0 * (low[u + 1] - top[u + 1])
                square = x * x + y * y
                a[u] += np.sqrt(square)
                b[u] += square
        for k in range(2):
            out[i, k] = columns[k].sum()


@compiled
def _laplacian_sums(images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Add up the Laplacian, its square and its absolute value."""
    _, h, w = images.shape
    p = np.empty((h + 2, w + 2))
    for i in range(start, stop):
        _frame(images[i], p)
        columns = np.zeros((3, w))
        a, b, c = columns[0], columns[1], columns[2]
        for v in range(h):
            top, here, low = p[v], p[v + 1], p[v + 2]
            for u in range(w):
                edges = here[u] + here[u + 2] + (top[u + 1] + low[u + 1])
                corners = top[u] + low[u + 2] + (low[u] + top[u + 2])
                laplacian = (4.0 * edges + corners - 20.0 * here[u + 1]) / 6.0
                a[u] += laplacian
                b[u] += laplacian * laplacian
                c[u] += abs(laplacian)
        for k in range(3):
            out[i, k] = columns[k].sum()


@compiled
def _modified_sums(images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Add up the absolute second differences along x and y; in a second column of ``out``, the diagonal ones."""
    _, h, w = images.shape
    p = np.empty((h + 2, w + 2))
    for i in range(start, stop):
        _frame(images[i], p)
        columns = np.zeros((2, w))
        a, b = columns[0], columns[1]
        for v in range(h):
            top, here, low = p[v], p[v + 1], p[v + 2]
            for u in range(w):
                twice = 2.0 * here[u + 1]
                a[u] += abs(here[u] + here[u + 2] - twice) + abs(top[u + 1] + low[u + 1] - twice)
            if out.shape[1] == 2:
                for u in range(w):
                    twice = 2.0 * here[u + 1]
                    b[u] += abs(top[u] + low[u + 2] - twice) + abs(low[u] + top[u + 2] - twice)
        for k in range(out.shape[1]):
            out[i, k] = columns[k].sum()
