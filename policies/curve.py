"""The contrast curve as far as a search has seen it, and what can be told from it."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.policy import Features, FloatArray

IntArray = npt.NDArray[np.int64]


class CurveMemory(NamedTuple):
    """``scores`` (N, n): the contrast of every slice seen, NaN where none was."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    scores: FloatArray


class Bracket(NamedTuple):
    """The best slice seen (N,) and its nearest seen neighbours; -1 and n stand for none."""

    best: IntArray
    below: IntArray
    above: IntArray


def nothing_seen(lanes: int, n: int) -> CurveMemory:
    """Return the memory of searches that have not begun."""
    return CurveMemory(np.zeros(lanes, np.int8), np.zeros(lanes, np.float32), np.full((lanes, n), np.nan))


def noted(scores: FloatArray, here: IntArray, features: Features) -> FloatArray:
    """Return the scores (N, n) with what was just seen (N,) at ``here`` (N,)."""
    scores = scores.copy()
    # A contrast that is no number is none; NaN is kept for what was not seen.
    scores[np.arange(len(here)), here] = np.where(np.isfinite(features.astype(np.float64)), features, 0.0)
    return scores


def flatness_of(scores: FloatArray) -> FloatArray:
    """Return the lowest contrast seen over the highest (N,), in [0, 1]; 1 where there is no contrast at all."""
    height = np.nanmax(scores, axis=1)
    share = np.nanmin(scores, axis=1) / np.where(height > 0, height, 1.0)
    return np.asarray(np.where(height > 0, share, 1.0).clip(0.0, 1.0))


def bracket_of(scores: FloatArray) -> Bracket:
    """Return the best slice of each lane and its nearest seen neighbours; ties go to the smallest index."""
    n = scores.shape[1]
    best = np.nanargmax(scores, axis=1)
    index = np.arange(n)
    seen = ~np.isnan(scores)
    below = np.where(seen & (index < best[:, None]), index, -1).max(axis=1)
    above = np.where(seen & (index > best[:, None]), index, n).min(axis=1)
    return Bracket(best, below, above)


def widest_gap(bracket: Bracket, n: int) -> IntArray:
    """Return the larger distance (N,) from the best slice to its neighbours; a missing neighbour is no gap."""
    down = np.where(bracket.below >= 0, bracket.best - bracket.below, 0)
    up = np.where(bracket.above < n, bracket.above - bracket.best, 0)
    return np.maximum(down, up)


def parabola_peak(scores: FloatArray, bracket: Bracket) -> FloatArray:
    """Return the peak (N,) of the parabola through the best slice and both neighbours, else the best slice.

    The neighbours need not be equally far. The peak of three points whose middle one is highest lies between them.
    """
    lanes, best = np.arange(len(scores)), bracket.best
    both = (bracket.below >= 0) & (bracket.above < scores.shape[1])
    low, high = np.where(both, bracket.below, best), np.where(both, bracket.above, best)
    falls = scores[lanes, best] - scores[lanes, low], scores[lanes, best] - scores[lanes, high]
    return np.asarray(best + vertex_of((low - best, high - best), falls, both).offset, dtype=np.float64)


class Vertex(NamedTuple):
    """The top of parabolas (N,): how far from the best slice, how much higher, and whether there is one at all."""

    offset: FloatArray
    rise: FloatArray
    sound: npt.NDArray[np.bool_]


def vertex_of(away: tuple[IntArray, IntArray], falls: tuple[FloatArray, FloatArray], known: Any) -> Vertex:
    """Return the top of the parabola through the best slice and two others, nothing where it does not bend down.

    ``away`` are how far the others (N,) are, with their sign, ``falls`` how much lower; ``known`` (N,) tells where
    there are others.
    """
    (one, other), (fall_one, fall_other) = (each.astype(np.float64) for each in away), falls
    # fall = -(slope x + bend x^2) / span at both others.
    bend, span = other * fall_one - one * fall_other, one * other * (one - other)
    sound = np.asarray(known & (bend * span > 0))
    slope = np.where(sound, other**2 * fall_one - one**2 * fall_other, 0.0)
    bend, span = np.where(sound, bend, 1.0), np.where(sound, span, 1.0)
    return Vertex(slope / (2.0 * bend), slope**2 / (4.0 * bend * span), sound)
