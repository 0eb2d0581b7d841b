"""Contrast measures of the discrete cosine transform.

All take images (..., H, W), normalised (0 black, 1 white) and linear, and return (...) float64, higher where
sharper. C(u, v) is the DCT-II, u and v its frequencies. All is computed in double precision.
"""

from functools import cache
from typing import Final

import numpy as np

from afsim.measure_images import ONE_DN, FloatArray, Image, Score, each_image, ratio

_BLOCK: Final = 8


# ---------------------------------------------------------------------- of the whole image
def dct_energy_ratio(image: Image) -> Score:
    """Return (sum C(u, v)^2 - C(0, 0)^2) / C(0, 0)^2 of the whole image's DCT; no gain counts.

    "DCT Energy Ratio" [6] of the paper's Table 1; Shen and Chen, 2006, who transform blocks of 8 x 8. That the
    paper transforms the whole image, without normalising the transform, is inferred from its figures: normalised,
    the ratio would be the squared coefficient of variation. Without, frequencies along an axis (u or v = 0) count
    double, so the ratio is (var I + var of the columns' means + var of the rows' means) / (4 mean(I)^2), and no
    transform is needed. 0 for a mean of 0.
    """

    def energy(one: Image) -> float:
        pixels = one.astype(np.float64)
        mean = float(pixels.mean())
        return ratio(float(pixels.var() + pixels.mean(axis=0).var() + pixels.mean(axis=1).var()), 4.0 * mean**2)

    return each_image(energy, image)


def dct_reduced_energy_ratio(image: Image) -> Score:
    """Return (C(0,1)^2 + C(0,2)^2 + C(1,0)^2 + C(1,1)^2 + C(2,0)^2) / C(0,0)^2 of the whole image's DCT.

    "DCT Reduced Energy Ratio" [20] of the paper's Table 1; Lee, Yoo and Kim, 2009, who transform blocks of 8 x 8.
    Whole image and no normalisation as for :func:`dct_energy_ratio`: those five frequencies say little about
    focus, and the paper's row is near chance. No gain counts. 0 for a mean of 0.
    """

    def energy(one: Image) -> float:
        pixels = one.astype(np.float64)
        mean = pixels.mean()
        # The mean has no part in C but C(0, 0); without it an even image gives 0 and no rounding.
        c = _cosines(one.shape[0]) @ (pixels - mean) @ _cosines(one.shape[1]).T
        above = c[0, 1] ** 2 + c[0, 2] ** 2 + c[1, 0] ** 2 + c[1, 1] ** 2 + c[2, 0] ** 2
        return ratio(float(above), float((mean * one.size) ** 2))

    return each_image(energy, image)


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

    def energy(one: Image) -> float:
        blocks = _blocks(one)
        if blocks.size == 0:
            return 0.0
        floor = np.maximum(blocks.mean(axis=(-2, -1)), ONE_DN)
        return float((blocks.var(axis=(-2, -1)) / floor**2).mean())

    return each_image(energy, image)


def dct_reduced_energy_ratio_8x8(image: Image) -> Score:
    """Return the mean of :func:`dct_reduced_energy_ratio` over blocks of 8 x 8, orthonormal DCT.

    Lee, Yoo and Kim, 2009 [20]; an extra row. Dark and cut blocks as for :func:`dct_energy_ratio_8x8`.
    """

    def energy(one: Image) -> float:
        blocks = _blocks(one)
        if blocks.size == 0:
            return 0.0
        mean = blocks.mean(axis=(-2, -1))
        weights = _cosines(_BLOCK) * np.array([[1.0], [np.sqrt(2.0)], [np.sqrt(2.0)]])
        c = weights @ (blocks - mean[:, None, None]) @ weights.T
        squares = c * c
        above = squares[:, 0, 1] + squares[:, 0, 2] + squares[:, 1, 0] + squares[:, 1, 1] + squares[:, 2, 0]
        return float((above / (np.maximum(mean, ONE_DN) * _BLOCK**2) ** 2).mean())

    return each_image(energy, image)


def _blocks(one: Image) -> FloatArray:
    """Return the whole blocks (n, 8, 8) of an image."""
    rows, columns = one.shape[0] // _BLOCK, one.shape[1] // _BLOCK
    whole = one[: rows * _BLOCK, : columns * _BLOCK].astype(np.float64)
    return whole.reshape(rows, _BLOCK, columns, _BLOCK).swapaxes(1, 2).reshape(-1, _BLOCK, _BLOCK)


# ---------------------------------------------------------------------- modified DCT
def modified_dct(image: Image) -> Score:
    """Mean of the image filtered with u u^T, u = (1, 1, -1, -1), with its sign; linear in gain.

    "Modified DCT" [19] of the paper's Table 1; the mask of Lee et al., 2008, as Pertuz's toolbox has it, its second
    row and column on the pixel. What is inside the image cancels and the border remains, so it says nothing about
    focus; nor does the paper's row.
    """

    def mean(one: Image) -> float:
        return float(_mask_sums(one.shape[0]) @ one.astype(np.float64) @ _mask_sums(one.shape[1])) / one.size

    return each_image(mean, image)


@cache
def _mask_sums(size: int) -> FloatArray:
    """Return what each pixel of a line counts in the sum of the line filtered with u: nothing but near its ends."""
    p = np.pad(np.eye(size), ((1, 2), (0, 0)), mode="edge")
    return np.asarray((p[:size] + p[1 : size + 1] - p[2 : size + 2] - p[3 : size + 3]).sum(axis=0))


def modified_dct_energy(image: Image) -> Score:
    """Mean square of the image filtered as for :func:`modified_dct`; counts gain squared.

    Lee et al., 2008 [19], who take the energy; an extra row.
    """
    return each_image(lambda one: float((_modified(one) ** 2).mean()), image)


def _modified(one: Image) -> FloatArray:
    """Return an image filtered with the modified DCT's mask, borders replicated."""
    h, w = one.shape
    p = np.pad(one.astype(np.float64), (1, 2), mode="edge")
    down = p[:h] + p[1 : h + 1] - p[2 : h + 2] - p[3 : h + 3]
    return np.asarray(down[:, :w] + down[:, 1 : w + 1] - down[:, 2 : w + 2] - down[:, 3 : w + 3])
