"""Contrast measures of wavelet coefficients: one level of a decimated transform, compiled.

All take images (..., H, W), normalised (0 black, 1 white) and linear, and return (...) float64, higher where
sharper. Let A be the approximation and H, V, D the details of level l alone, orthonormal scaling (A of an even
image is 2^l times the image), symmetric extension at the borders. Level, not levels up to it: the paper's figures
at level 3 are coarser than at 2. The filter, which the paper does not give, is db6 as in Pertuz's survey (2013).
What is transformed is the difference from the image's mean, in single precision; sums are taken in double.
"""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.checks import check_whole
from afsim.errors import AfsimError, unknown
from afsim.jit import compiled, over_lanes
from afsim.measure_bands import LOG_ENERGY, LOG_RATIO, RATIO, SUM, VARIANCE, score_bands
from afsim.measure_images import (
    IMAGES_PER_THREAD,
    ONE_DN,
    ROWS_AT_ONCE,
    FloatArray,
    Image,
    Score,
    as_images,
    mean_of,
)

IntArray = npt.NDArray[np.int64]

DEFAULT_WAVELET: Final = "db6"

# No image has more levels: it would need a million pixels a side.
_MOST_LEVELS: Final = 20

# Less than that is what rounding leaves of an even image in a wavelet's details.
_NO_RESPONSE: Final = 1e-9


def wavelet_sum(image: Image, *, level: int, wavelet: str = DEFAULT_WAVELET) -> Score:
    """Return mean |H| + mean |V| + mean |D|; linear in gain, no offset counts.

    "Wavelet Sum" [47] of the paper's Table 1; Yang and Nelson, 2003.

    Parameters
    ----------
    image : (..., H, W) float32
    level : int
        From 1 to 20; 2 and 3 in the paper.
    wavelet : str
        As PyWavelets names it.
    """
    return np.asarray(_scores(SUM, image, level, wavelet)[0])


def wavelet_variance(image: Image, *, level: int, wavelet: str = DEFAULT_WAVELET) -> Score:
    """Return var |H| + var |V| + var |D|; counts gain squared, no offset.

    "Wavelet Variance" [47] of the paper's Table 1; Yang and Nelson, 2003. Parameters as for :func:`wavelet_sum`.
    """
    return np.asarray(_scores(VARIANCE, image, level, wavelet)[0])


def wavelet_ratio(image: Image, *, level: int, wavelet: str = DEFAULT_WAVELET) -> Score:
    """Return sum (H^2 + V^2 + D^2) / sum A^2, 0 without light; no gain counts.

    "Wavelet Ratio" [44] of the paper's Table 1; Xie, Rong and Sun, 2006. Parameters as for :func:`wavelet_sum`.
    """
    above, below = _scores(RATIO, image, level, wavelet)
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0.0))


def mean_wavelet_log_ratio(image: Image, *, level: int, wavelet: str = DEFAULT_WAVELET) -> Score:
    """Return the sum over H, V, D of mean log(1 + |band| / |A|); no gain counts where A is not dark.

    "Mean Wavelet Log-Ratio" of the paper's Table 1, the authors' own, written from its name. Among the readings
    tried, this one is nearest to the paper's figures. |A| is at least that of one DN of ten bits, 2^l / 1023.
    Exact to 1e-5 of itself where there is texture. Where a dark half of the image is even, what single precision
    rounds of its difference from the mean counts as details: 3e-4 of a score that the edge alone has.
    Parameters as for :func:`wavelet_sum`.
    """
    return np.asarray(_scores(LOG_RATIO, image, level, wavelet)[0])


def mean_wavelet_log_energy_ratio(image: Image, *, level: int, wavelet: str = DEFAULT_WAVELET) -> Score:
    """Return the mean over coefficients of log((H^2 + V^2 + D^2 + e) / (A^2 + e)): below 0 of nearly all images.

    An extra row beside :func:`mean_wavelet_log_ratio`: a logarithm of energies, where that takes one of 1 + a
    ratio. e is (one DN of ten bits)^2 in A's scale, 4^l / 1023^2. Details are often smaller, so a gain counts.
    Parameters as for :func:`wavelet_sum`.
    """
    return np.asarray(_scores(LOG_ENERGY, image, level, wavelet)[0])


# ---------------------------------------------------------------------- the transform
class _Lines(NamedTuple):
    """The transform of a line, level by level: each coefficient is a few weighted values of the level before."""

    weights: Image
    """(coefficients, most values) of all levels: approximations, and at the last level details after them."""
    values: IntArray
    """(levels,) how many values a coefficient of the level has: fewer at small sizes, with weights of 0."""
    first: IntArray
    """(coefficients,) the first value that counts."""
    edges: IntArray
    """(levels + 1,) where each level's coefficients begin and end."""
    response: Image
    """(2 m,) the last level's coefficients of a line of ones."""


def _scores(kind: int, image: Image, level: int, wavelet: str) -> Score:
    """Return the means or sums (2, ...) that ``kind`` says; the second is of the ratio alone."""
    check_whole("level", level, least=1, most=_MOST_LEVELS)
    if not isinstance(wavelet, str):
        raise AfsimError(f"wavelet must be a name as PyWavelets has them, got {wavelet!r}")
    images = as_images(image)
    n, h, w = images.shape
    rows, columns, dark = _lines(h, level, wavelet), _lines(w, level, wavelet), np.float32(ONE_DN * 2.0**level)
    out = np.zeros((2, n))

    def score(start: int, stop: int) -> None:
        _write_scores(kind, images, rows, columns, dark, start, stop, out)

    over_lanes(score, n, at_least=IMAGES_PER_THREAD)
    return out.reshape(2, *np.shape(image)[:-2])


@compiled
def _write_scores(
    kind: int,
    images: Image,
    rows: _Lines,
    columns: _Lines,
    dark: np.float32,
    start: int,
    stop: int,
    out: FloatArray,
) -> None:
    """Transform each image and write its score to ``out`` (2, n)."""
    _, h, w = images.shape
    room_h, room_w, high, wide = _room(rows, h), _room(columns, w), rows.response.size, columns.response.size
    part, sums = np.zeros(w, np.float32), np.empty(w)
    one, two = np.empty((room_h, w), np.float32), np.empty((room_h, w), np.float32)
    three, four = np.empty((room_w, high), np.float32), np.empty((room_w, high), np.float32)
    for i in range(start, stop):
        mean = np.float32(mean_of(images[i], part, sums))
        for v in range(h):
            line, row = one[v], images[i, v]
            for u in range(w):
                line[u] = row[u] - mean
        down = _transform(rows, one, two)
        for begin in range(0, w, ROWS_AT_ONCE):
            for v in range(high):
                for u in range(begin, min(begin + ROWS_AT_ONCE, w)):
                    three[u, v] = down[v, u]
        bands = _transform(columns, three, four)
        # The mean, which had no part in it so far: no rounding of it counts as contrast.
        for j in range(wide):
            gain, line = mean * columns.response[j], bands[j]
            if gain != np.float32(0.0):
                for k in range(high):
                    line[k] += gain * rows.response[k]
        out[0, i], out[1, i] = score_bands(kind, bands[:wide], dark)


@compiled
def _room(lines: _Lines, size: int) -> int:
    """Return the most lines that any level has, or that come in."""
    most = size
    for level in range(lines.edges.size - 1):
        most = max(most, lines.edges[level + 1] - lines.edges[level])
    return most


@compiled
def _transform(lines: _Lines, given: Image, other: Image) -> Image:
    """Return the coefficients down the columns, in one of two arrays: level by level, from one into the other."""
    for level in range(lines.edges.size - 1):
        begin, end = lines.edges[level], lines.edges[level + 1]
        _multiply(lines.weights[begin:end, : lines.values[level]], lines.first[begin:end], given, other)
        given, other = other, given
    return given


@compiled
def _multiply(weights: Image, first: IntArray, lines: Image, out: Image) -> None:
    """Write sums of weighted lines, each of as many lines as there are weights, from the ``first`` on."""
    count = weights.shape[1]
    # Four lines at once: fewer passes over the row.
    fours = count // 4 * 4
    for j in range(len(weights)):
        row, at = out[j], first[j]
        row[:] = np.float32(0.0)
        for k in range(0, fours, 4):
            p, q, r, s = weights[j, k], weights[j, k + 1], weights[j, k + 2], weights[j, k + 3]
            a, b, c, d = lines[at + k], lines[at + k + 1], lines[at + k + 2], lines[at + k + 3]
            for u in range(row.size):
                row[u] += (p * a[u] + q * b[u]) + (r * c[u] + s * d[u])
        for k in range(fours, count):
            weight, line = weights[j, k], lines[at + k]
            for u in range(row.size):
                row[u] += weight * line[u]


@lru_cache(maxsize=64)
def _lines(size: int, level: int, wavelet: str) -> _Lines:
    """Return the transform of a line of ``size``."""
    import pywt

    if wavelet not in pywt.wavelist(kind="discrete"):
        raise unknown("wavelet", wavelet, pywt.wavelist(kind="discrete"))
    chosen = pywt.Wavelet(wavelet)
    low, high = np.array(chosen.dec_lo), np.array(chosen.dec_hi)
    response, found = np.ones(size), []
    for step in range(1, level + 1):
        banded = [_banded(len(response), taps) for taps in ((low, high) if step == level else (low,))]
        weights, first = (np.concatenate(parts) for parts in zip(*banded, strict=True))
        response = (weights * response[first[:, None] + np.arange(weights.shape[1])]).sum(axis=1)
        found.append((weights, first))
    values = np.array([weights.shape[1] for weights, _ in found])
    padded = [np.pad(weights, ((0, 0), (0, values.max() - weights.shape[1]))) for weights, _ in found]
    edges = np.cumsum([0, *(len(weights) for weights, _ in found)])
    response[np.abs(response) < _NO_RESPONSE] = 0.0
    single = np.concatenate(padded).astype(np.float32)
    return _Lines(single, values, np.concatenate([first for _, first in found]), edges, response.astype(np.float32))


def _banded(size: int, taps: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return what the values of a line of ``size`` count in each of its coefficients, and the first that counts.

    As many values for all, in fours where there are. Coefficient k is the sum of taps[j] x[2 k + 1 - j], the line
    being repeated beyond its ends, mirrored.
    """
    count = (size + len(taps) - 1) // 2
    place = (2 * np.arange(count)[:, None] + 1 - np.arange(len(taps))) % (2 * size)
    place = np.minimum(place, 2 * size - 1 - place)
    least = place.min(axis=1)
    values = min(-(-int((place.max(axis=1) - least).max() + 1) // 4) * 4, size)
    first = np.minimum(least, size - values)
    weights = np.zeros((count, values))
    np.add.at(weights, (np.arange(count)[:, None], place - first[:, None]), taps)
    return weights, first
