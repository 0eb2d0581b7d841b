"""Contrast measures of wavelet coefficients: one level of a decimated transform, compiled.

All take images (..., H, W), normalised (0 black, 1 white) and linear, and return (...) float64, higher where
sharper. Let A be the approximation and H, V, D the details of level l alone, orthonormal scaling (A of an even
image is 2^l times the image), symmetric extension at the borders. Level, not levels up to it: the paper's figures
at level 3 are coarser than at 2. The filter, which the paper does not give, is db6 as in Pertuz's survey (2013).
All is computed in double precision.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.checks import check_whole
from afsim.errors import unknown
from afsim.jit import compiled, over_lanes
from afsim.measure_images import ONE_DN, FloatArray, Image, Score, as_images

IntArray = npt.NDArray[np.int64]

DEFAULT_WAVELET: Final = "db6"

# Images transformed at once, so that their coefficients stay in the cache, and at least for a thread.
_CHUNK: Final = 16
_IMAGES_PER_THREAD: Final = 8


def wavelet_sum(image: Image, *, level: int, wavelet: str = DEFAULT_WAVELET) -> Score:
    """Return mean |H| + mean |V| + mean |D|; linear in gain, no offset counts.

    "Wavelet Sum" [47] of the paper's Table 1; Yang and Nelson, 2003.

    Parameters
    ----------
    image : (..., H, W) float32
    level : int
        From 1; 2 and 3 in the paper.
    wavelet : str
        As PyWavelets names it.
    """
    return _scores(lambda bands: np.abs(bands[:, 1:]).mean(axis=-1).sum(axis=-1), image, level, wavelet)


def wavelet_variance(image: Image, *, level: int, wavelet: str = DEFAULT_WAVELET) -> Score:
    """Return var |H| + var |V| + var |D|; counts gain squared, no offset.

    "Wavelet Variance" [47] of the paper's Table 1; Yang and Nelson, 2003. Parameters as for :func:`wavelet_sum`.
    """
    return _scores(lambda bands: np.abs(bands[:, 1:]).var(axis=-1).sum(axis=-1), image, level, wavelet)


def wavelet_ratio(image: Image, *, level: int, wavelet: str = DEFAULT_WAVELET) -> Score:
    """Return sum (H^2 + V^2 + D^2) / sum A^2, 0 without light; no gain counts.

    "Wavelet Ratio" [44] of the paper's Table 1; Xie, Rong and Sun, 2006. Parameters as for :func:`wavelet_sum`.
    """

    def energy(bands: FloatArray) -> Score:
        squares = (bands * bands).sum(axis=-1)
        above, below = squares[:, 1:].sum(axis=-1), squares[:, 0]
        return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0.0))

    return _scores(energy, image, level, wavelet)


def mean_wavelet_log_ratio(image: Image, *, level: int, wavelet: str = DEFAULT_WAVELET) -> Score:
    """Return the sum over H, V, D of mean log(1 + |band| / |A|); no gain counts where A is not dark.

    "Mean Wavelet Log-Ratio" of the paper's Table 1, the authors' own, written from its name. Among the readings
    tried, this one is nearest to the paper's figures. |A| is at least that of one DN of ten bits, 2^l / 1023.
    Parameters as for :func:`wavelet_sum`.
    """

    def logarithm(bands: FloatArray) -> Score:
        below = np.maximum(np.abs(bands[:, :1]), ONE_DN * 2.0**level)
        return np.asarray(np.log1p(np.abs(bands[:, 1:]) / below).mean(axis=-1).sum(axis=-1))

    return _scores(logarithm, image, level, wavelet)


def mean_wavelet_log_energy_ratio(image: Image, *, level: int, wavelet: str = DEFAULT_WAVELET) -> Score:
    """Return mean log((H^2 + V^2 + D^2 + e) / (A^2 + e)), negative where A is the larger.

    An extra row beside :func:`mean_wavelet_log_ratio`. e is (one DN of ten bits)^2 in A's scale: 4^l / 1023^2.
    Parameters as for :func:`wavelet_sum`.
    """

    def logarithm(bands: FloatArray) -> Score:
        squares, e = bands * bands, (ONE_DN * 2.0**level) ** 2
        above = squares[:, 1] + squares[:, 2] + squares[:, 3] + e
        return np.asarray(np.log(above / (squares[:, 0] + e)).mean(axis=-1))

    return _scores(logarithm, image, level, wavelet)


# ---------------------------------------------------------------------- the transform
class _Lines(NamedTuple):
    """The transform of a line: a matrix (2 m, size) to m approximations, then m details, and where it is not 0."""

    matrix: FloatArray
    first: IntArray
    """(2 m,) the first column of each row that is not 0."""
    stop: IntArray
    """(2 m,) one beyond the last."""


def _scores(function: Callable[[FloatArray], Score], image: Image, level: int, wavelet: str) -> Score:
    """Return the scores (...) that ``function`` gives to bands (n, 4, m) A, H, V, D of images, chunk by chunk."""
    check_whole("level", level, least=1)
    images = as_images(image)
    rows, columns = (_lines(size, level, wavelet) for size in images.shape[1:])
    out = np.empty(len(images))
    for begin in range(0, len(images), _CHUNK):
        chunk = images[begin : begin + _CHUNK]
        out[begin : begin + len(chunk)] = function(_bands(chunk, rows, columns))
    return out.reshape(np.shape(image)[:-2])


def _bands(images: Image, rows: _Lines, columns: _Lines) -> FloatArray:
    """Return the bands (n, 4, m) of images (n, H, W)."""
    n, h, w = len(images), len(rows.matrix) // 2, len(columns.matrix) // 2
    out = np.empty((n, 2 * w, 2 * h))

    def transform(start: int, stop: int) -> None:
        _transform(images, *rows, *columns, start, stop, out)

    over_lanes(transform, n, at_least=_IMAGES_PER_THREAD)
    # From (n, which across, column, which down, row) to the four bands, each with all its coefficients in a row.
    return out.reshape(n, 2, w, 2, h).swapaxes(2, 3).reshape(n, 4, w * h)


@compiled
def _transform(
    images: Image,
    row_matrix: FloatArray,
    row_first: IntArray,
    row_stop: IntArray,
    column_matrix: FloatArray,
    column_first: IntArray,
    column_stop: IntArray,
    start: int,
    stop: int,
    out: FloatArray,
) -> None:
    """Write the coefficients of each image, its axes exchanged."""
    _, h, w = images.shape
    pixels, down, turned = np.empty((h, w)), np.empty((len(row_matrix), w)), np.empty((w, len(row_matrix)))
    for i in range(start, stop):
        for v in range(h):
            for u in range(w):
                pixels[v, u] = images[i, v, u]
        _multiply(row_matrix, row_first, row_stop, pixels, down)
        for u in range(w):
            for v in range(len(row_matrix)):
                turned[u, v] = down[v, u]
        _multiply(column_matrix, column_first, column_stop, turned, out[i])


@compiled
def _multiply(matrix: FloatArray, first: IntArray, stop: IntArray, lines: FloatArray, out: FloatArray) -> None:
    """Write ``matrix`` (m, n) times ``lines`` (n, k) to ``out`` (m, k), by what is not 0."""
    for j in range(len(matrix)):
        row = out[j]
        row[:] = 0.0
        # Four lines at once: fewer passes over the row.
        fours = first[j] + (stop[j] - first[j]) // 4 * 4
        for k in range(first[j], fours, 4):
            p, q, r, s = matrix[j, k], matrix[j, k + 1], matrix[j, k + 2], matrix[j, k + 3]
            a, b, c, d = lines[k], lines[k + 1], lines[k + 2], lines[k + 3]
            for u in range(row.size):
                row[u] += (p * a[u] + q * b[u]) + (r * c[u] + s * d[u])
        for k in range(fours, stop[j]):
            weight, line = matrix[j, k], lines[k]
            for u in range(row.size):
                row[u] += weight * line[u]


@lru_cache(maxsize=64)
def _lines(size: int, level: int, wavelet: str) -> _Lines:
    """Return the transform of a line of ``size``. What it makes of each unit vector is a column of its matrix."""
    import pywt

    if wavelet not in pywt.wavelist(kind="discrete"):
        raise unknown("wavelet", wavelet, pywt.wavelist(kind="discrete"))
    approximation = np.eye(size)
    detail = approximation
    for _ in range(level):
        approximation, detail = pywt.dwt(approximation, wavelet, mode="symmetric", axis=0)
    matrix = np.concatenate((approximation, detail))
    used = matrix != 0.0
    # Of a row of zeros, which a line of one pixel has for a detail, the first and only product is 0.
    first, last = used.argmax(axis=1), size - 1 - used[:, ::-1].argmax(axis=1)
    return _Lines(matrix, first, last + 1)
