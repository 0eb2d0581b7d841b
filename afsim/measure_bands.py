"""The compiled loops over a wavelet's bands: one score of A, H, V and D of an image.

Bands come as one array (2 w, 2 h), float32, axes exchanged: its first half of rows is low across the image, of
columns low down it; so A is the corner where both are.
"""

from typing import Final

import numpy as np

from afsim.jit import compiled
from afsim.measure_images import ROWS_AT_ONCE, FloatArray, Image, carry

SUM: Final = 0
VARIANCE: Final = 1
RATIO: Final = 2
LOG_RATIO: Final = 3
LOG_ENERGY: Final = 4

# Rows whose terms are multiplied before one logarithm is taken of the product: no product of so many overflows.
_ROWS_PER_LOGARITHM: Final = 8


@compiled
def score_bands(kind: int, bands: Image, dark: np.float32) -> tuple[float, float]:
    """Return the score of ``kind``, and 0; of :data:`RATIO` its numerator and denominator.

    ``dark`` is the approximation of one DN: the least that counts as light.
    """
    w, h = len(bands) // 2, bands.shape[1] // 2
    if kind == RATIO:
        below = _squares(bands[:w, :h])
        return _squares(bands[:w, h:]) + _squares(bands[w:, :h]) + _squares(bands[w:, h:]), below
    if kind == SUM:
        return (_size(bands[:w, h:]) + _size(bands[w:, :h]) + _size(bands[w:, h:])) / (w * h), 0.0
    if kind == VARIANCE:
        return _variance(bands[:w, h:]) + _variance(bands[w:, :h]) + _variance(bands[w:, h:]), 0.0
    return _logarithms(kind == LOG_ENERGY, bands, dark) / (w * h), 0.0


@compiled
def _size(band: Image) -> float:
    """Return the sum of absolute values. Sums are kept by column, which lets the loops be loops of vectors."""
    w, h = band.shape
    part, columns = np.zeros(h, np.float32), np.zeros(h)
    for j in range(w):
        row = band[j]
        for k in range(h):
            part[k] += abs(row[k])
        if (j + 1) % ROWS_AT_ONCE == 0 or j + 1 == w:
            carry(part, columns)
    return float(columns.sum())


@compiled
def _squares(band: Image) -> float:
    """Return the sum of squares."""
    w, h = band.shape
    part, columns = np.zeros(h, np.float32), np.zeros(h)
    for j in range(w):
        row = band[j]
        for k in range(h):
            part[k] += row[k] * row[k]
        if (j + 1) % ROWS_AT_ONCE == 0 or j + 1 == w:
            carry(part, columns)
    return float(columns.sum())


@compiled
def _variance(band: Image) -> float:
    """Return the variance of absolute values: of what differs from the mean, which does not cancel."""
    w, h = band.shape
    mean = _size(band) / (w * h)
    near = np.float32(mean)
    part, columns = np.zeros(h, np.float32), np.zeros(h)
    for j in range(w):
        row = band[j]
        for k in range(h):
            part[k] += (abs(row[k]) - near) * (abs(row[k]) - near)
        if (j + 1) % ROWS_AT_ONCE == 0 or j + 1 == w:
            carry(part, columns)
    return float(max(columns.sum() / (w * h) - (mean - near) ** 2, 0.0))


@compiled
def _logarithms(energy: bool, bands: Image, dark: np.float32) -> float:
    """Return the sum of log((H^2 + V^2 + D^2 + e) / (A^2 + e)), or of the bands' log(1 + |band| / |A|)."""
    w, h = len(bands) // 2, bands.shape[1] // 2
    product, columns = np.ones(h), np.zeros(h)
    for j in range(w):
        a, b, c, d = bands[j, :h], bands[j, h:], bands[j + w, :h], bands[j + w, h:]
        if energy:
            _multiply_energies(a, b, c, d, dark * dark, product)
        else:
            _multiply_ratios(a, b, c, d, dark, product)
        if (j + 1) % _ROWS_PER_LOGARITHM == 0 or j + 1 == w:
            for k in range(h):
                columns[k] += np.log(product[k])
                product[k] = 1.0
    return float(columns.sum())


@compiled
def _multiply_energies(a: Image, b: Image, c: Image, d: Image, e: np.float32, product: FloatArray) -> None:
    """Multiply by (b^2 + c^2 + d^2 + e) / (a^2 + e)."""
    for k in range(product.size):
        # np.divide, unlike /, does not look for a zero, so that the loop stays one of vectors.
        product[k] *= np.divide(b[k] * b[k] + c[k] * c[k] + (d[k] * d[k] + e), a[k] * a[k] + e)


@compiled
def _multiply_ratios(a: Image, b: Image, c: Image, d: Image, dark: np.float32, product: FloatArray) -> None:
    """Multiply by (1 + |b| / |a|) (1 + |c| / |a|) (1 + |d| / |a|), |a| at least ``dark``."""
    for k in range(product.size):
        size = abs(a[k])
        share = np.divide(np.float64(1.0), np.float64(size if size > dark else dark))
        product[k] *= (1.0 + share * abs(b[k])) * (1.0 + share * abs(c[k])) * (1.0 + share * abs(d[k]))
