"""The compiled loops of first and second differences: one pass over an image, which adds up what measures ask for.

Differences are taken in single precision, of neighbours first, where hardly any rounds, and sums in double. Each
writes to ``out`` (N, sums) the lanes ``start`` ... ``stop`` - 1 of images (N, h, w).
"""

import numpy as np

from afsim.jit import compiled
from afsim.measure_images import ROWS_AT_ONCE, FloatArray, Image, carry, frame


@compiled
def difference_sums(squared: bool, images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Add up |dx| and |dy|, or their squares."""
    _, h, w = images.shape
    across, down = np.zeros(w, np.float32), np.zeros(w, np.float32)
    for i in range(start, stop):
        one, columns = images[i], np.zeros((2, w))
        for v in range(h):
            row, below = one[v], one[min(v + 1, h - 1)]
            if squared:
                for u in range(w - 1):
                    across[u] += (row[u + 1] - row[u]) * (row[u + 1] - row[u])
                for u in range(w):
                    down[u] += (below[u] - row[u]) * (below[u] - row[u])
            else:
                for u in range(w - 1):
                    across[u] += abs(row[u + 1] - row[u])
                for u in range(w):
                    down[u] += abs(below[u] - row[u])
            if (v + 1) % ROWS_AT_ONCE == 0 or v + 1 == h:
                carry(across, columns[0])
                carry(down, columns[1])
        out[i, 0], out[i, 1] = columns[0].sum(), columns[1].sum()


@compiled
def steep_counts(least: np.float32, images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Count the pixels where dx^2 + dy^2 > ``least``: whole numbers, which single precision holds exactly."""
    _, h, w = images.shape
    one, none = np.float32(1.0), np.float32(0.0)
    part = np.zeros(w, np.float32)
    for i in range(start, stop):
        columns = np.zeros(w)
        for v in range(h - 1):
            row, below = images[i, v], images[i, v + 1]
            for u in range(w - 1):
                dx, dy = row[u + 1] - row[u], below[u] - row[u]
                part[u] += one if dx * dx + dy * dy > least else none
            if (v + 1) % ROWS_AT_ONCE == 0:
                carry(part, columns)
        carry(part, columns)
        out[i, 0] = columns.sum()


@compiled
def sobel_sums(images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Add up the Sobel gradient's square; in a second column of ``out``, its magnitude."""
    _, h, w = images.shape
    two, both = np.float32(2.0), out.shape[1] == 2
    p, squares, roots = np.empty((h + 2, w + 2), np.float32), np.zeros(w, np.float32), np.zeros(w, np.float32)
    for i in range(start, stop):
        frame(images[i], p)
        columns = np.zeros((2, w))
        for v in range(h):
            top, here, low = p[v], p[v + 1], p[v + 2]
            if both:
                for u in range(w):
                    square = _sobel_square(top, here, low, u, two)
                    squares[u] += square
                    roots[u] += np.sqrt(square)
            else:
                for u in range(w):
                    squares[u] += _sobel_square(top, here, low, u, two)
            if (v + 1) % ROWS_AT_ONCE == 0 or v + 1 == h:
                carry(squares, columns[0])
                carry(roots, columns[1])
        for k in range(out.shape[1]):
            out[i, k] = columns[k].sum()


@compiled
def _sobel_square(top: Image, here: Image, low: Image, u: int, two: np.float32) -> np.float32:
    """Return Gx^2 + Gy^2 at column ``u`` of three rows of a framed image."""
    falling, rising = low[u + 2] - top[u], low[u] - top[u + 2]
    x = falling - rising + two * (here[u + 2] - here[u])
    y = falling + rising + two * (low[u + 1] - top[u + 1])
    return np.float32(x * x + y * y)


@compiled
def laplacian_sums(images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Add up the Laplacian, its square and its absolute value."""
    _, h, w = images.shape
    four, sixth = np.float32(4.0), np.float32(1.0 / 6.0)
    p, parts = np.empty((h + 2, w + 2), np.float32), np.zeros((3, w), np.float32)
    a, b, c = parts[0], parts[1], parts[2]
    for i in range(start, stop):
        frame(images[i], p)
        columns = np.zeros((3, w))
        for v in range(h):
            top, here, low = p[v], p[v + 1], p[v + 2]
            for u in range(w):
                x = here[u + 1]
                edges = ((here[u] - x) + (here[u + 2] - x)) + ((top[u + 1] - x) + (low[u + 1] - x))
                corners = ((top[u] - x) + (low[u + 2] - x)) + ((low[u] - x) + (top[u + 2] - x))
                laplacian = (four * edges + corners) * sixth
                a[u] += laplacian
                b[u] += laplacian * laplacian
                c[u] += abs(laplacian)
            if (v + 1) % ROWS_AT_ONCE == 0 or v + 1 == h:
                for k in range(3):
                    carry(parts[k], columns[k])
        for k in range(3):
            out[i, k] = columns[k].sum()


@compiled
def modified_sums(images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Add up the absolute second differences along x and y; in a second column of ``out``, the diagonal ones."""
    _, h, w = images.shape
    p, parts = np.empty((h + 2, w + 2), np.float32), np.zeros((2, w), np.float32)
    a, b = parts[0], parts[1]
    for i in range(start, stop):
        frame(images[i], p)
        columns = np.zeros((2, w))
        for v in range(h):
            top, here, low = p[v], p[v + 1], p[v + 2]
            for u in range(w):
                x = here[u + 1]
                a[u] += abs((here[u] - x) + (here[u + 2] - x)) + abs((top[u + 1] - x) + (low[u + 1] - x))
            if out.shape[1] == 2:
                for u in range(w):
                    x = here[u + 1]
                    b[u] += abs((top[u] - x) + (low[u + 2] - x)) + abs((low[u] - x) + (top[u + 2] - x))
            if (v + 1) % ROWS_AT_ONCE == 0 or v + 1 == h:
                for k in range(out.shape[1]):
                    carry(parts[k], columns[k])
        for k in range(out.shape[1]):
            out[i, k] = columns[k].sum()
