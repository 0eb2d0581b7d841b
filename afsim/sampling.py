"""Sampling a recorded slice on a shifted or scaled grid: compiled, cubic convolution (Keys, 1981).

Beyond the border the last pixel repeats. A shift, which is what lens shifts and the alignment of neighbouring
slices need at every exposure, takes the same four weights for a whole row, so its loops become loops of vectors.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled

SingleArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
RawRow = npt.NDArray[np.uint16]


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
    height, width = shape.height, shape.width
    h, w = height - 2 * shape.margin, width - 2 * shape.margin
    ix, wx, sx = np.empty((w, 4), np.int64), np.empty((w, 4), np.float32), np.empty(w, np.float32)
    iy, wy, sy = np.empty((h, 4), np.int64), np.empty((h, 4), np.float32), np.empty(h, np.float32)
    _taps(step, x, width, ix, wx, sx)
    _taps(step, y, height, iy, wy, sy)
    wy *= np.float32(share)
    sy *= np.float32(share * share)
    line = np.empty(width, dtype=np.float32)
    for view in range(shape.views):
        for v in range(h):
            a, b, c, d = wy[v, 0], wy[v, 1], wy[v, 2], wy[v, 3]
            r0, r1 = _line(row, view * height + iy[v, 0], width), _line(row, view * height + iy[v, 1], width)
            r2, r3 = _line(row, view * height + iy[v, 2], width), _line(row, view * height + iy[v, 3], width)
            for p in range(width):
                line[p] = (a * np.float32(r0[p]) + b * np.float32(r1[p])) + (
                    c * np.float32(r2[p]) + d * np.float32(r3[p])
                )
            begin = (view * h + v) * w
            _add_across(line, step, x, ix, wx, image[begin : begin + w])
    for v in range(h):
        left, square = squares[v * w : (v + 1) * w], sy[v]
        for u in range(w):
            left[u] += square * sx[u]


@compiled
def _line(row: RawRow, number: int, width: int) -> RawRow:
    return row[number * width : (number + 1) * width]


@compiled
def _taps(step: float, first: float, size: int, index: IntArray, weight: SingleArray, squares: SingleArray) -> None:
    """Write where each of a row's pixels is sampled: four neighbours (m, 4), their weights, the sums of squares."""
    for u in range(squares.size):
        place = first + step * u
        below = np.floor(place)
        t = place - below
        w0 = ((-0.5 * t + 1.0) * t - 0.5) * t
        w1 = (1.5 * t - 2.5) * t * t + 1.0
        w2 = ((-1.5 * t + 2.0) * t + 0.5) * t
        w3 = (0.5 * t - 0.5) * t * t
        weight[u, 0], weight[u, 1], weight[u, 2], weight[u, 3] = w0, w1, w2, w3
        squares[u] = w0 * w0 + w1 * w1 + w2 * w2 + w3 * w3
        for tap in range(4):
            index[u, tap] = min(max(int(below) + tap - 1, 0), size - 1)


@compiled
def _add_across(
    line: SingleArray, step: float, first: float, index: IntArray, weight: SingleArray, out: SingleArray
) -> None:
    """Add one row (W,), sampled at the places of the taps, to ``out`` (m,)."""
    m, start = out.size, int(np.floor(first)) - 1
    low, high = max(0, -start), min(m, line.size - 3 - start)
    if step != 1.0 or high <= low:
        _add_tapped(line, index, weight, out, 0, m)
        return
    # Shifted, not scaled: inside the borders the same four weights for all, and neighbours in a line.
    a, b, c, d = weight[0, 0], weight[0, 1], weight[0, 2], weight[0, 3]
    near, inside = line[start + low : start + high + 3], out[low:high]
    for u in range(inside.size):
        inside[u] += (a * near[u] + b * near[u + 1]) + (c * near[u + 2] + d * near[u + 3])
    _add_tapped(line, index, weight, out, 0, low)
    _add_tapped(line, index, weight, out, high, m)


@compiled
def _add_tapped(
    line: SingleArray, index: IntArray, weight: SingleArray, out: SingleArray, begin: int, end: int
) -> None:
    """Add pixels begin ... end-1 of a row, each from its own four neighbours."""
    for u in range(begin, end):
        out[u] += (
            weight[u, 0] * line[index[u, 0]]
            + weight[u, 1] * line[index[u, 1]]
            + weight[u, 2] * line[index[u, 2]]
            + weight[u, 3] * line[index[u, 3]]
        )
