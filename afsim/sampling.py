"""Sampling a recorded slice on a shifted or scaled grid: compiled, cubic convolution (Keys, 1981).

Beyond the border the last pixel repeats. A shift, which is what lens shifts and the alignment of neighbouring
slices need at every exposure, takes the same four weights for a whole row, so its loops become loops of vectors.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.grain import noise_left
from afsim.jit import compiled

SingleArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
RawRow = npt.NDArray[np.uint16]
_FourWeights = tuple[np.float32, np.float32, np.float32, np.float32]

# Rows that are filtered at once: three buffers of them take 30 KB for 128 columns.
_BLOCK: Final = 16


class Shape(NamedTuple):
    """Slices of a stack, views, rows and columns recorded, and pixels cut off at each border."""

    n: int
    views: int
    height: int
    width: int
    margin: int


@compiled
def add_sampled(
    row: RawRow,
    shape: Shape,
    step: float,
    x: float,
    y: float,
    share: float,
    upsampled: int,
    image: SingleArray,
    squares: SingleArray,
) -> None:
    """Add ``share`` of a raw slice, sampled on a grid, to a mixture, and what noise is left of it to ``squares``.

    Parameters
    ----------
    row : (views * height * width,) uint16
        The slice.
    step, x, y : float
        Step of the grid in recorded pixels, and its first point.
    upsampled : int
        One of :data:`afsim.grain.UPSAMPLED`: along that axis the recording's noise is correlated.
    image : (views * h * w,) float32
        The mixture so far, h and w without the margins.
    squares : (h * w,) float32
        The share of a recorded slice's noise variance that the mixture's pixels have: the sum of squared weights.
    """
    if step == 1.0 and x == 0.0 and y == 0.0 and shape.margin == 0:
        weight, square = np.float32(share), np.float32(share * share)
        for p in range(image.size):
            image[p] += weight * np.float32(row[p])
        for p in range(squares.size):
            squares[p] += square
        return
    if step == 1.0:
        _add_shifted(row, shape, x, y, share, upsampled, image, squares)
    else:
        _add_zoomed(row, shape, step, x, y, share, upsampled, image, squares)


@compiled
def _weights(t: float) -> _FourWeights:
    """Return the weights of four neighbours for a place ``t`` (0 ... 1) beyond the second."""
    return (
        np.float32(((-0.5 * t + 1.0) * t - 0.5) * t),
        np.float32((1.5 * t - 2.5) * t * t + 1.0),
        np.float32(((-1.5 * t + 2.0) * t + 0.5) * t),
        np.float32((0.5 * t - 0.5) * t * t),
    )


# ---------------------------------------------------------------------- shifted
@compiled
def _add_shifted(
    row: RawRow,
    shape: Shape,
    x: float,
    y: float,
    share: float,
    upsampled: int,
    image: SingleArray,
    squares: SingleArray,
) -> None:
    """Add a slice on a grid of whole steps: the same weights for all pixels, so rows need not be told apart.

    A block of rows, each with three repeated pixels at either end, is filtered from its first to its last pixel,
    across and down. What that mixes from one row into the next falls outside of what is read. Blocks are small
    enough for the processor's nearest memory.
    """
    height, width, margin = shape.height, shape.width, shape.margin
    h, w, pitch = height - 2 * margin, width - 2 * margin, width + 6
    left, top = int(np.floor(x)), int(np.floor(y))
    across, down = _weights(x - left), _weights(y - top)
    framed = np.empty((_BLOCK + 3) * pitch, np.float32)
    filtered = np.empty_like(framed)
    # Filtered pixel q of a row is that of the place q - 2; those beyond the border are all alike.
    begin = min(max(-2 - left, 0), w)
    end = max(min(width + 1 - left, w), begin)
    part = np.float32(share)
    shares = (part * down[0], part * down[1], part * down[2], part * down[3])
    for view in range(shape.views):
        recorded = row[view * height * width : (view + 1) * height * width]
        for first in range(0, h, _BLOCK):
            rows = min(_BLOCK, h - first)
            _frame(recorded, height, width, top + first - 1, framed[: (rows + 3) * pitch])
            _filter_across(framed[: (rows + 3) * pitch], across, filtered)
            for v in range(rows):
                start = (view * h + first + v) * w
                lines = filtered[v * pitch : (v + 4) * pitch]
                _add_down(lines, pitch, left + 2, shares, begin, end, image[start : start + w])
    square = np.float32(share * share) * noise_left(across, upsampled == 2) * noise_left(down, upsampled == 1)
    for p in range(squares.size):
        squares[p] += square


@compiled
def _add_down(
    lines: SingleArray, pitch: int, shift: int, shares: _FourWeights, begin: int, end: int, out: SingleArray
) -> None:
    """Add the weighted sum of four filtered rows to ``out`` (w,).

    Outside of ``begin`` ... ``end`` it repeats its first and last value.
    """
    a, b, c, d = shares
    i, j, k, m = lines[:pitch], lines[pitch : 2 * pitch], lines[2 * pitch : 3 * pitch], lines[3 * pitch :]
    inside, low, high = out[begin:end], begin + shift, end + shift
    i_near, j_near, k_near, m_near = i[low:high], j[low:high], k[low:high], m[low:high]
    for u in range(inside.size):
        inside[u] += (a * i_near[u] + b * j_near[u]) + (c * k_near[u] + d * m_near[u])
    last = pitch - 4
    for u in range(begin):
        out[u] += (a * i[0] + b * j[0]) + (c * k[0] + d * m[0])
    for u in range(end, out.size):
        out[u] += (a * i[last] + b * j[last]) + (c * k[last] + d * m[last])


@compiled
def _frame(view: RawRow, height: int, width: int, first: int, framed: SingleArray) -> None:
    """Write rows of a view from ``first`` on, with three more pixels at either end, which repeat those of the ends.

    Rows beyond the border repeat it too.
    """
    pitch = width + 6
    for i in range(framed.size // pitch):
        begin = min(max(first + i, 0), height - 1) * width
        line, out = view[begin : begin + width], framed[i * pitch : (i + 1) * pitch]
        inside = out[3 : width + 3]
        for p in range(width):
            inside[p] = np.float32(line[p])
        for p in range(3):
            out[p], out[width + 3 + p] = np.float32(line[0]), np.float32(line[width - 1])


@compiled
def _filter_across(image: SingleArray, weights: _FourWeights, out: SingleArray) -> None:
    """Write the weighted sum of each pixel and the three after it."""
    a, b, c, d = weights
    n = image.size - 3
    i, j, k, m = image[:n], image[1:][:n], image[2:][:n], image[3:][:n]
    for p in range(n):
        out[p] = (a * i[p] + b * j[p]) + (c * k[p] + d * m[p])


# ---------------------------------------------------------------------- zoomed
@compiled
def _add_zoomed(
    row: RawRow,
    shape: Shape,
    step: float,
    x: float,
    y: float,
    share: float,
    upsampled: int,
    image: SingleArray,
    squares: SingleArray,
) -> None:
    """Add a slice on a grid of any step."""
    height, width = shape.height, shape.width
    h, w = height - 2 * shape.margin, width - 2 * shape.margin
    ix, wx, sx = np.empty((w, 4), np.int64), np.empty((w, 4), np.float32), np.empty(w, np.float32)
    iy, wy, sy = np.empty((h, 4), np.int64), np.empty((h, 4), np.float32), np.empty(h, np.float32)
    _taps(step, x, width, upsampled == 2, ix, wx, sx)
    _taps(step, y, height, upsampled == 1, iy, wy, sy)
    wy *= np.float32(share)
    sy *= np.float32(share * share)
    line = np.empty(width, dtype=np.float32)
    for view in range(shape.views):
        light = row[view * height * width : (view + 1) * height * width].reshape((height, width))
        for v in range(h):
            a, b, c, d = wy[v, 0], wy[v, 1], wy[v, 2], wy[v, 3]
            i, j, k, m = iy[v, 0], iy[v, 1], iy[v, 2], iy[v, 3]
            for p in range(width):
                line[p] = (a * np.float32(light[i, p]) + b * np.float32(light[j, p])) + (
                    c * np.float32(light[k, p]) + d * np.float32(light[m, p])
                )
            out = image[(view * h + v) * w : (view * h + v + 1) * w]
            for u in range(w):
                out[u] += (wx[u, 0] * line[ix[u, 0]] + wx[u, 1] * line[ix[u, 1]]) + (
                    wx[u, 2] * line[ix[u, 2]] + wx[u, 3] * line[ix[u, 3]]
                )
    for v in range(h):
        left, square = squares[v * w : (v + 1) * w], sy[v]
        for u in range(w):
            left[u] += square * sx[u]


@compiled
def _taps(
    step: float,
    first: float,
    size: int,
    correlated: bool,
    index: IntArray,
    weight: SingleArray,
    squares: SingleArray,
) -> None:
    """Write where each of a row's pixels is sampled: four neighbours (m, 4), their weights, and the noise left."""
    for u in range(squares.size):
        place = first + step * u
        below = np.floor(place)
        weights = _weights(place - below)
        weight[u, 0], weight[u, 1], weight[u, 2], weight[u, 3] = weights
        squares[u] = noise_left(weights, correlated)
        for tap in range(4):
            index[u, tap] = min(max(int(below) + tap - 1, 0), size - 1)
