"""The compiled loops of :mod:`afsim.beliefplan`: backward induction over beliefs.

Beliefs are weights (n,) that need not sum to 1: the probability of what was observed times the belief after it. So
the mean over the observations is a plain sum.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


class Book(NamedTuple):
    """A search model as the loops take it, focus last or first as they run over it."""

    seen: FloatArray  # (n, Z, n): probability of bin z at index k, for every focus
    loss: FloatArray  # (n, n): of every focus, of standing at every index
    told: FloatArray  # (n, n): the same, of who is told the focus there and may still move
    tells: bool  # whether the focus is told after the last observation
    go: FloatArray  # (n, n): from index, to index
    step: float
    end: float


@compiled
def _weighed(weights: FloatArray, table: FloatArray, costs: FloatArray) -> float:
    """Write the expectation of a table's rows into ``costs`` (n,), and return the sum of the weights."""
    mass = 0.0
    costs[:] = 0.0
    for focus in range(weights.size):
        weight = weights[focus]
        if weight > 0.0:
            mass += weight
            for k in range(costs.size):
                costs[k] += weight * table[focus, k]
    return mass


@compiled
def _end(weights: FloatArray, at: int, book: Book, costs: FloatArray) -> tuple[float, int, float]:
    """Return the lowest cost of a last command, that command, and the sum of the weights."""
    mass = _weighed(weights, book.loss, costs)
    best, where = np.inf, at
    for k in range(costs.size):
        cost = costs[k] + (book.end + book.go[at, k]) * mass
        if cost < best:
            best, where = cost, k
    return best, where, mass


@compiled
def _show(weights: FloatArray, k: int, z: int, book: Book, after: FloatArray) -> None:
    """Write the weights after index ``k`` showed bin ``z``."""
    for focus in range(weights.size):
        after[focus] = weights[focus] * book.seen[k, z, focus]


@compiled
def stop_now(weights: FloatArray, at: int, book: Book, costs: FloatArray) -> tuple[float, int, bool]:
    """Return the lowest cost of one last command, or of one more where the focus is told.

    Also which command, and whether the focus is told there.
    """
    best, where, _ = _end(weights, at, book, costs)
    more = False
    if book.tells:
        mass = _weighed(weights, book.told, costs)
        for k in range(costs.size):
            cost = costs[k] + (book.step + book.go[at, k]) * mass
            if cost < best:
                best, where, more = cost, k, True
    return best, where, more


@compiled
def look_once(
    weights: FloatArray, at: int, seen: BoolArray, book: Book, work: FloatArray
) -> tuple[float, int, bool]:
    """Return the lowest cost with one more image before the last command, and what to do first.

    An image of an index that was seen tells nothing, so it is no choice: to go on from there at once is cheaper.
    """
    best, where, mass = _end(weights, at, book, work[0])
    more = False
    for k in range(weights.size):
        cost = (book.step + book.go[at, k]) * mass
        if seen[k]:
            continue
        for z in range(book.seen.shape[1]):
            if cost >= best:
                break
            _show(weights, k, z, book, work[1])
            cost += stop_now(work[1], k, book, work[0])[0]
        if cost < best:
            best, where, more = cost, k, True
    return best, where, more


@compiled
def look_twice(
    weights: FloatArray, at: int, seen: BoolArray, book: Book, work: FloatArray
) -> tuple[float, int, bool]:
    """Return the lowest cost with two more images before the last command, and what to do first."""
    best, where, mass = _end(weights, at, book, work[0])
    more = False
    for k in range(weights.size):
        cost = (book.step + book.go[at, k]) * mass
        if seen[k]:
            continue
        seen[k] = True
        for z in range(book.seen.shape[1]):
            if cost >= best:
                break
            _show(weights, k, z, book, work[2])
            cost += look_once(work[2], k, seen, book, work)[0]
        seen[k] = False
        if cost < best:
            best, where, more = cost, k, True
    return best, where, more


@compiled
def choose(
    weights: FloatArray,
    at: IntArray,
    seen: BoolArray,
    steps: int,
    book: Book,
    begin: int,
    stop: int,
    value: FloatArray,
    where: IntArray,
    more: BoolArray,
) -> None:
    """Write the lowest cost (B,), the first command (B,), and whether an image follows it, of beliefs (B, n)."""
    work = np.empty((3, weights.shape[1]))
    for i in range(begin, stop):
        if steps == 1:
            value[i], where[i], more[i] = stop_now(weights[i], at[i], book, work[0])
        elif steps == 2:
            value[i], where[i], more[i] = look_once(weights[i], at[i], seen[i], book, work)
        else:
            value[i], where[i], more[i] = look_twice(weights[i], at[i], seen[i], book, work)
