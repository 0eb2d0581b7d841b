"""Where the next look is worth most, for beliefs about the focus: one look ahead, then the end. Compiled."""

from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.curveloop import Curve, FloatArray, Seen, after_look, condition
from afsim.jit import compiled

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Beliefs below this share are left out of what is expected.
_LEAST: Final = 1e-3
# Places that are tried, and targets that stand for the belief: more change the choice by less than an index.
_PLACES: Final = 16
_SOURCES: Final = 10
# Looks are tried so far beyond the belief, in indices: the flanks of a curve tell more than its top.
_MARGIN: Final = 8
_TAIL: Final = 0.05


@compiled
def _places(below: int, above: int, allowed: BoolArray, picked: IntArray) -> int:
    """Put at most as many allowed indices as there is room for, evenly from below to above, into ``picked``."""
    room, count = 0, 0
    for k in range(below, above + 1):
        room += 1 if allowed[k] else 0
    stride = max(1, -(-room // picked.size))
    passed = 0
    for k in range(below, above + 1):
        if allowed[k]:
            if passed % stride == stride // 2 and count < picked.size:
                picked[count] = k
                count += 1
            passed += 1
    return count


@compiled
def look_ahead(
    first: Curve,
    second: Curve,
    uses: BoolArray,
    seen_first: Seen,
    seen_second: Seen,
    targets: FloatArray,
    shake: FloatArray,
    belief: FloatArray,
    places: FloatArray,
    allowed: BoolArray,
    nearest: IntArray,
    loss: FloatArray,
    go: FloatArray,
    here: IntArray,
    begin: int,
    end: int,
    command: IntArray,
    cost: FloatArray,
) -> None:
    """Put the best index to look at, and what is expected after it, into ``command`` and ``cost`` (N,).

    Parameters
    ----------
    first, second : Curve
        Of contrast and of disparity; ``uses`` (2,) tells which are seen.
    seen_first, seen_second : Seen
        By N lanes.
    targets : (T,) float64
        Steps at which the focus may lie; ``belief`` (N, T) are their probabilities.
    shake : (2,) float64
        Variance of where a lens stands: constant, and by squared distance from the target.
    places : (N, n) float64
        Where each command would bring the lens; ``allowed`` (N, n) are those to try.
    nearest : (T,) int64
        The index at each target.
    loss : (T, T) float64
        Of ending at a target with the focus at another.
    go : (n, n) float64
        Cost of the way from an index to another.
    here : (N,) int64
        Where lenses stand.
    begin, end : int
        The lanes.
    command, cost
        Filled; -1 and infinity where there is nothing to try.
    """
    n = places.shape[1]
    picked, sources = np.empty(_PLACES, np.int64), np.empty(_SOURCES, np.int64)
    for i in range(begin, end):
        command[i], cost[i] = -1, np.inf
        support = np.flatnonzero(belief[i] >= _LEAST)
        chances = belief[i][support]
        chances = chances / chances.sum()
        kept = support.size
        running, low, high = 0.0, -1, -1
        for t in range(kept):
            running += chances[t]
            if low < 0 and running >= _TAIL:
                low = nearest[support[t]]
            if high < 0 and running >= 1.0 - _TAIL:
                high = nearest[support[t]]
        high = n - 1 if high < 0 else high
        tried = _places(max(0, low - _MARGIN), min(n - 1, high + _MARGIN), allowed[i], picked)
        if tried == 0:
            continue
        for k in range(_SOURCES):
            share, running = (k + 0.5) / _SOURCES, 0.0
            sources[k] = kept - 1
            for t in range(kept):
                running += chances[t]
                if running >= share:
                    sources[k] = t
                    break
        near, ahead = targets[support], np.empty(tried)
        for c in range(tried):
            ahead[c] = places[i, picked[c]]
        parts = (1 if uses[0] else 0) + (1 if uses[1] else 0)
        mean, spread = np.empty((parts, tried, kept)), np.empty((parts, tried, kept))
        wanted, logs, tempers = np.ones(kept, np.bool_), np.empty(kept), np.empty(parts)
        part = 0
        for which in range(2):
            if not uses[which]:
                continue
            curve = first if which == 0 else second
            seen = seen_first if which == 0 else seen_second
            condition(
                curve,
                seen.values[i],
                seen.places[i],
                seen.noise[i],
                near,
                shake,
                ahead,
                wanted,
                logs,
                mean[part],
                spread[part],
            )
            count = 0
            for s in range(seen.values.shape[1]):
                count += 0 if np.isnan(seen.values[i, s]) else 1
            tempers[part] = 1.0 / (1.0 + curve.overlap * count)
            part += 1
        small = np.empty((kept, kept))
        for e in range(kept):
            for t in range(kept):
                small[e, t] = loss[support[e], support[t]]
        middle, running = nearest[support[kept - 1]], 0.0
        for t in range(kept):
            running += chances[t]
            if running >= 0.5:
                middle = nearest[support[t]]
                break
        for c in range(tried):
            k = picked[c]
            value = after_look(chances, mean[:, c, :], spread[:, c, :], tempers, small, sources)
            value += go[here[i], k] + go[k, middle]
            if value < cost[i]:
                command[i], cost[i] = k, value
