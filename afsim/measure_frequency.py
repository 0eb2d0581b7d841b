"""Contrast measures of the discrete cosine transform.

All take images (..., H, W), normalised (0 black, 1 white) and linear, and return (...) float64, higher where
sharper. C(u, v) is the DCT-II, u and v its frequencies. Sums are taken in double precision.
"""

from functools import cache
from typing import Final

import numpy as np

from afsim.jit import compiled, over_lanes
from afsim.measure_images import (
    IMAGES_PER_THREAD,
    ONE_DN,
    ROWS_AT_ONCE,
    FloatArray,
    Image,
    Score,
    as_images,
    carry,
    mean_of,
)

_BLOCK: Final = 8
# Of C(0, 0) of the transform without normalisation, squared: what is smaller is rounding around black.
_LEAST_SQUARE: Final = 1e-6


# ---------------------------------------------------------------------- of the whole image
def dct_energy_ratio(image: Image) -> Score:
    """Return (sum C(u, v)^2 - C(0, 0)^2) / C(0, 0)^2 of the whole image's DCT; no gain counts.

    "DCT Energy Ratio" [6] of the paper's Table 1; Shen and Chen, 2006, who transform blocks of 8 x 8. That the
    paper transforms the whole image, without normalising the transform, is inferred from its figures: normalised,
    the ratio would be the squared coefficient of variation. Without, frequencies along an axis (u or v = 0) count
    double, so the ratio is (var I + var of the columns' means + var of the rows' means) / (4 mean(I)^2), and no
    transform is needed. C(0, 0)^2 is at least 1e-6, which no image with light in it comes near.
    """
    images = as_images(image)
    out = np.empty((len(images), 2))
    over_lanes(lambda start, stop: _line_energies(images, start, stop, out), len(out), at_least=IMAGES_PER_THREAD)
    # The second is (2 means)^2, and C(0, 0) is 4 sums.
    return _ratios(out, image, _LEAST_SQUARE / (2 * images.shape[1] * images.shape[2]) ** 2)


def dct_reduced_energy_ratio(image: Image) -> Score:
    """Return (C(0,1)^2 + C(0,2)^2 + C(1,0)^2 + C(1,1)^2 + C(2,0)^2) / C(0,0)^2 of the whole image's DCT.

    "DCT Reduced Energy Ratio" [20] of the paper's Table 1; Lee, Yoo and Kim, 2009, who transform blocks of 8 x 8.
    Whole image and no normalisation as for :func:`dct_energy_ratio`: those five frequencies say little about
    focus, and the paper's row is near chance. No gain counts. C(0, 0)^2 is at least 1e-6 here too.
    """
    images = as_images(image)
    _, h, w = images.shape
    down, across, out = _cosines(h), _cosines(w), np.empty((len(images), 2))

    def energies(start: int, stop: int) -> None:
        _low_energies(images, down, across, start, stop, out)

    over_lanes(energies, len(out), at_least=IMAGES_PER_THREAD)
    # The second is the sum's square, and C(0, 0) is 4 sums.
    return _ratios(out, image, _LEAST_SQUARE / 16.0)


def _ratios(energies: FloatArray, image: Image, least: float) -> Score:
    """Return the first of two energies (N, 2) over the second, which is at ``least`` that, in the images' shape."""
    return np.asarray((energies[:, 0] / np.maximum(energies[:, 1], least)).reshape(np.shape(image)[:-2]))


@cache
def _cosines(size: int) -> FloatArray:
    """Return the three lowest frequencies (3, size) of the DCT-II, without its factor 2; 0 where there is none."""
    frequency, place = np.arange(3.0)[:, None], np.arange(size) + 0.5
    return np.where(frequency < size, np.cos(np.pi * frequency * place / size), 0.0)


# ---------------------------------------------------------------------- of blocks of 8 x 8
def dct_energy_ratio_8x8(image: Image) -> Score:
    """Return the mean of (sum C(u, v)^2 - C(0, 0)^2) / C(0, 0)^2 of blocks of 8 x 8, orthonormal DCT.

    Shen and Chen, 2006 [6]; an extra row, see :func:`dct_energy_ratio`. By Parseval each is the block's variance
    over its squared mean. No gain counts, unless a mean is below one DN of ten bits, which it is raised to. Blocks
    that the border cuts are left out; 0 where there is no whole one.
    """
    return _of_blocks(image, False)


def dct_reduced_energy_ratio_8x8(image: Image) -> Score:
    """Return the mean of :func:`dct_reduced_energy_ratio` over blocks of 8 x 8, orthonormal DCT.

    Lee, Yoo and Kim, 2009 [20]; an extra row. Dark and cut blocks as for :func:`dct_energy_ratio_8x8`.
    """
    return _of_blocks(image, True)


def _of_blocks(image: Image, low: bool) -> Score:
    """Return the mean of blocks' variances, or of their five ``low`` squares, over their squared means."""
    images = as_images(image)
    weights = _cosines(_BLOCK) * np.array([[1.0], [np.sqrt(2.0)], [np.sqrt(2.0)]])
    out = np.empty(len(images))

    def ratios(start: int, stop: int) -> None:
        _block_ratios(images, low, weights, start, stop, out)

    over_lanes(ratios, len(out), at_least=IMAGES_PER_THREAD)
    return out.reshape(np.shape(image)[:-2])


# ---------------------------------------------------------------------- modified DCT
def modified_dct(image: Image) -> Score:
    """Mean of the image filtered with u u^T, u = (1, 1, -1, -1), with its sign; linear in gain.

    "Modified DCT" [19] of the paper's Table 1; the mask of Lee et al., 2008, as Pertuz's toolbox has it, its second
    row and column on the pixel. What is inside the image cancels and the border remains, so it says nothing about
    focus; nor does the paper's row.
    """
    images = as_images(image)
    _, h, w = images.shape
    down, across = _mask_sums(h), _mask_sums(w)
    rows, columns = np.flatnonzero(down), np.flatnonzero(across)
    out = np.zeros(len(images))
    # A loop over the pixels near the border, not a product: its order of summation is that of one image.
    for v in rows.tolist():
        for u in columns.tolist():
            out += down[v] * across[u] * images[:, v, u]
    return np.asarray(out / (h * w)).reshape(np.shape(image)[:-2])


@cache
def _mask_sums(size: int) -> FloatArray:
    """Return what each pixel of a line counts in the sum of the line filtered with u: nothing but near its ends."""
    places = np.arange(size)
    ends = [np.bincount(np.clip(places + k, 0, size - 1), minlength=size) for k in (-1, 0, 1, 2)]
    return np.asarray(ends[0] + ends[1] - ends[2] - ends[3], dtype=np.float64)


def modified_dct_energy(image: Image) -> Score:
    """Mean square of the image filtered as for :func:`modified_dct`; counts gain squared.

    Lee et al., 2008 [19], who take the energy; an extra row.
    """
    images = as_images(image)
    _, h, w = images.shape
    out = np.empty(len(images))
    over_lanes(lambda start, stop: _modified_sums(images, start, stop, out), len(out), at_least=IMAGES_PER_THREAD)
    return np.asarray(out / (h * w)).reshape(np.shape(image)[:-2])


# ---------------------------------------------------------------------- compiled
@compiled
def _line_energies(images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Write the sum of three variances, of the pixels, the columns' and the rows' means, and 4 mean^2."""
    _, h, w = images.shape
    part, columns, squares, line = np.zeros(w, np.float32), np.empty(w), np.empty(w), np.empty(w)
    for i in range(start, stop):
        one = images[i]
        mean = mean_of(one, part, columns)
        columns[:] = 0.0
        squares[:] = 0.0
        rows = 0.0
        for v in range(h):
            row = one[v]
            for u in range(w):
                far = np.float64(row[u]) - mean
                line[u] = far
                columns[u] += far
                squares[u] += far * far
            rows += _total(line) ** 2
        across = 0.0
        for u in range(w):
            across += columns[u] ** 2
        out[i, 0] = squares.sum() / (h * w) + across / (h * h * w) + rows / (w * w * h)
        out[i, 1] = 4.0 * mean**2


@compiled
def _total(line: FloatArray) -> float:
    """Return a line's sum, in four lanes, which a processor adds up at once."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = line.size // 4 * 4
    for u in range(0, whole, 4):
        a += line[u]
        b += line[u + 1]
        c += line[u + 2]
        d += line[u + 3]
    for u in range(whole, line.size):
        a += line[u]
    return (a + b) + (c + d)


@compiled
def _low_energies(
    images: Image, down: FloatArray, across: FloatArray, start: int, stop: int, out: FloatArray
) -> None:
    """Write the sum of the five lowest squares but C(0, 0)^2, and that, given frequencies (3, h) and (3, w)."""
    _, h, w = images.shape
    part, columns = np.zeros(w, np.float32), np.empty(w)
    for i in range(start, stop):
        one, lines = images[i], np.zeros((3, w))
        mean = mean_of(one, part, columns)
        a, b, c = lines[0], lines[1], lines[2]
        # The mean has no part in C but C(0, 0); without it an even image gives 0 and no rounding.
        for v in range(h):
            row = one[v]
            p, q, r = down[0, v], down[1, v], down[2, v]
            for u in range(w):
                far = np.float64(row[u]) - mean
                a[u] += p * far
                b[u] += q * far
                c[u] += r * far
        out[i, 0] = _low_squares(lines, across)
        out[i, 1] = (mean * (h * w)) ** 2


@compiled
def _block_ratios(images: Image, low: bool, weights: FloatArray, start: int, stop: int, out: FloatArray) -> None:
    """Write the mean over blocks of their variance, or of the five ``low`` squares, over their squared mean.

    ``weights`` (3, 8) are the lowest frequencies of a block's line; the first is 1. A band of blocks is added up
    by column, which lets the loops be loops of vectors.
    """
    _, h, w = images.shape
    blocks = w // _BLOCK
    mean, squares = np.empty(blocks), np.empty(w)
    for i in range(start, stop):
        total = 0.0
        for band in range(h // _BLOCK):
            rows, lines = images[i, band * _BLOCK : (band + 1) * _BLOCK], np.zeros((3, w))
            for j in range(3 if low else 1):
                line = lines[j]
                for v in range(_BLOCK):
                    weight, row = weights[j, v], rows[v]
                    for u in range(w):
                        line[u] += weight * row[u]
            for x in range(blocks):
                mean[x] = lines[0, x * _BLOCK : (x + 1) * _BLOCK].sum() / _BLOCK**2
            if not low:
                _add_squares(rows, mean, squares)
            for x in range(blocks):
                first, end = x * _BLOCK, (x + 1) * _BLOCK
                if low:
                    above = _low_squares(lines[:, first:end], weights) / _BLOCK**2
                else:
                    above = squares[first:end].sum()
                total += above / (max(mean[x], ONE_DN) * _BLOCK) ** 2
        out[i] = total / max(blocks * (h // _BLOCK), 1)


@compiled
def _add_squares(rows: Image, mean: FloatArray, squares: FloatArray) -> None:
    """Write how far the pixels of a band of blocks (8, w) lie from their block's mean, squared, by column."""
    line = np.empty(squares.size)
    for x in range(mean.size):
        line[x * _BLOCK : (x + 1) * _BLOCK] = mean[x]
    squares[:] = 0.0
    for v in range(_BLOCK):
        row = rows[v]
        for u in range(mean.size * _BLOCK):
            squares[u] += (row[u] - line[u]) * (row[u] - line[u])


@compiled
def _low_squares(lines: FloatArray, weights: FloatArray) -> float:
    """Return C(0,1)^2 + C(0,2)^2 + C(1,0)^2 + C(1,1)^2 + C(2,0)^2 of lines (3, n), transformed down already."""
    total = 0.0
    for j in range(3):
        for k in range(3):
            if 1 <= j + k <= 2:
                c = 0.0
                for u in range(lines.shape[1]):
                    c += lines[j, u] * weights[k, u]
                total += c * c
    return total


@compiled
def _modified_sums(images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Write the sum of squares of each image filtered with the modified DCT's mask, borders replicated."""
    _, h, w = images.shape
    part, line = np.zeros(w, np.float32), np.empty(w + 3, np.float32)
    down = line[1 : w + 1]
    for i in range(start, stop):
        one, columns = images[i], np.zeros(w)
        for v in range(h):
            a, b = one[max(v - 1, 0)], one[v]
            c, d = one[min(v + 1, h - 1)], one[min(v + 2, h - 1)]
            for u in range(w):
                down[u] = (a[u] - c[u]) + (b[u] - d[u])
            line[0], line[w + 1], line[w + 2] = down[0], down[w - 1], down[w - 1]
            for u in range(w):
                across = (line[u] - line[u + 2]) + (line[u + 1] - line[u + 3])
                part[u] += across * across
            if (v + 1) % ROWS_AT_ONCE == 0 or v + 1 == h:
                carry(part, columns)
        out[i] = columns.sum()
