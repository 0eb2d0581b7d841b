"""The compiled loops of the stereo measures: what each pair of views costs, compared pixel by pixel.

A pair's arithmetic is its own, in one order, so a batch gives what its pairs give alone.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled

SingleArray = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

# What is compared of two pixels' neighbourhoods.
RANK: Final = 0
CENSUS: Final = 1
TERNARY: Final = 2


# ------------------------------------------------------------------------------ of standardised views
@compiled
def standardised_costs(views: SingleArray, correlate: bool, least_std: float, costs: FloatArray) -> None:
    """Write the mean |z(L) - z(R)| of views (N, 2, H, W), or minus the mean z(L) z(R) where ``correlate``."""
    height, width = views.shape[2], views.shape[3]
    for i in range(costs.size):
        # Sums are kept by column: a row at a time adds up as vectors, and loses less to rounding.
        sums = np.zeros(width)
        mean_l, gain_l = _standard(views[i, 0], least_std)
        mean_r, gain_r = _standard(views[i, 1], least_std)
        for y in range(height):
            left, right = views[i, 0, y], views[i, 1, y]
            if correlate:
                for x in range(width):
                    sums[x] -= (left[x] - mean_l) * (right[x] - mean_r)
            else:
                for x in range(width):
                    sums[x] += abs((left[x] - mean_l) * gain_l - (right[x] - mean_r) * gain_r)
        costs[i] = sums.sum() / (height * width) * (gain_l * gain_r if correlate else 1.0)


@compiled
def _standard(view: SingleArray, least_std: float) -> tuple[float, float]:
    """Return the mean and 1 / standard deviation of a view (H, W)."""
    height, width = view.shape
    sums = np.zeros(width)
    for y in range(height):
        row = view[y]
        for x in range(width):
            sums[x] += row[x]
    mean = sums.sum() / (height * width)
    sums[:] = 0.0
    for y in range(height):
        row = view[y]
        for x in range(width):
            sums[x] += (row[x] - mean) * (row[x] - mean)
    return mean, 1.0 / max(np.sqrt(sums.sum() / (height * width)), least_std)


@compiled
def envelope_costs(views: SingleArray, down: bool, squared: bool, least_std: float, costs: FloatArray) -> None:
    """Write the mean dissimilarity of Birchfield and Tomasi, or of its square, of views (N, 2, H, W).

    Neighbours lie along the rows, or along the columns where ``down``.
    """
    height, width = views.shape[2], views.shape[3]
    pitch = width + 2
    step = pitch if down else 1
    left, right = np.empty((height + 2) * pitch, np.float32), np.empty((height + 2) * pitch, np.float32)
    apart = np.empty(width, np.float32)
    for i in range(costs.size):
        _frame_standardised(views[i, 0], least_std, left)
        _frame_standardised(views[i, 1], least_std, right)
        sums = np.zeros(width)
        for y in range(height):
            at = (y + 1) * pitch + 1
            _dissimilarities(left, right, at, step, apart)
            if squared:
                for x in range(width):
                    sums[x] += apart[x] * apart[x]
            else:
                for x in range(width):
                    sums[x] += apart[x]
        costs[i] = sums.sum() / (height * width)


@compiled
def _frame_standardised(view: SingleArray, least_std: float, framed: SingleArray) -> None:
    """Write a view with mean 0 and standard deviation 1, and one more pixel at each border, which repeats it."""
    mean, gain = _standard(view, least_std)
    _frame(view, 1, framed)
    for p in range(framed.size):
        framed[p] = np.float32((framed[p] - mean) * gain)


@compiled
def _dissimilarities(left: SingleArray, right: SingleArray, at: int, step: int, apart: SingleArray) -> None:
    """Write those of the row of framed views that begins at ``at``; neighbours are ``step`` before and after."""
    end, none = at + apart.size, np.float32(0.0)
    here_l, before_l, after_l = left[at:end], left[at - step : end - step], left[at + step : end + step]
    here_r, before_r, after_r = right[at:end], right[at - step : end - step], right[at + step : end + step]
    for x in range(apart.size):
        from_l = _outside(here_r[x], here_l[x], before_l[x], after_l[x])
        from_r = _outside(here_l[x], here_r[x], before_r[x], after_r[x])
        least = from_l if from_l < from_r else from_r
        apart[x] = least if least > none else none


@compiled
def _outside(value: np.float32, here: np.float32, before: np.float32, after: np.float32) -> np.float32:
    """Return how far a value lies outside of an envelope: at most 0 inside.

    Comparisons in place of min and max: only so does the loop that calls it become one of vectors.
    """
    half = np.float32(0.5)
    a, b = half * (here + before), half * (here + after)
    low, high = (a if a < b else b), (b if a < b else a)
    low, high = (low if low < here else here), (high if high > here else here)
    under, over = low - value, value - high
    return under if under > over else over


# ------------------------------------------------------------------------------ of neighbourhoods
@compiled
def window_costs(kind: int, views: SingleArray, radius: int, threshold: np.float32, costs: FloatArray) -> None:
    """Write how much the neighbourhoods of views (N, 2, H, W) differ, on average over pixels.

    ``kind`` is :data:`RANK`, :data:`CENSUS` or :data:`TERNARY`; the last takes a neighbour for equal where it lies
    within ``threshold``.
    """
    height, width = views.shape[2], views.shape[3]
    pitch = width + 2 * radius
    size = (height + 2 * radius) * pitch
    left, right = np.empty(size, np.float32), np.empty(size, np.float32)
    apart = np.empty(width, np.float32)
    for i in range(costs.size):
        _frame(views[i, 0], radius, left)
        _frame(views[i, 1], radius, right)
        total = 0
        for y in range(height):
            at = (y + radius) * pitch + radius
            apart[:] = np.float32(0.0)
            for down in range(-radius, radius + 1):
                for across in range(-radius, radius + 1):
                    _add_neighbour(kind, left, right, at, at + down * pitch + across, threshold, apart)
            for x in range(width):
                # Counts: whole numbers, which single precision holds exactly.
                total += int(abs(apart[x]))
        costs[i] = total / (height * width)


@compiled
def _add_neighbour(
    kind: int, left: SingleArray, right: SingleArray, at: int, near: int, threshold: np.float32, apart: SingleArray
) -> None:
    """Add how one neighbour of each pixel of a row differs: they begin at ``near``, the row at ``at``."""
    width, one, none = apart.size, np.float32(1.0), np.float32(0.0)
    l_here, r_here = left[at : at + width], right[at : at + width]
    l_near, r_near = left[near : near + width], right[near : near + width]
    if kind == RANK:
        for x in range(width):
            apart[x] += (one if l_near[x] < l_here[x] else none) - (one if r_near[x] < r_here[x] else none)
    elif kind == CENSUS:
        for x in range(width):
            apart[x] += one if (l_near[x] < l_here[x]) != (r_near[x] < r_here[x]) else none
    else:
        for x in range(width):
            a, b = l_near[x] - l_here[x], r_near[x] - r_here[x]
            above = (one if a > threshold else none) - (one if b > threshold else none)
            below = (one if a < -threshold else none) - (one if b < -threshold else none)
            apart[x] += abs(above - below)


@compiled
def _frame(view: SingleArray, radius: int, framed: SingleArray) -> None:
    """Write a view (H, W) with ``radius`` more pixels at each border, which repeat it."""
    height, width = view.shape
    pitch = width + 2 * radius
    for i in range(height + 2 * radius):
        line, out = view[min(max(i - radius, 0), height - 1)], framed[i * pitch : (i + 1) * pitch]
        out[radius : radius + width] = line
        out[:radius] = line[0]
        out[radius + width :] = line[width - 1]
