"""Where a trained network's next look is worth most, for beliefs about the focus: one look ahead. Compiled."""

from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Foci that are less likely than this are left out of what is expected.
_LEAST: Final = 1e-3


@compiled
def median_cost(belief: FloatArray) -> float:
    """Return the expected distance of the focus from the median of a belief (n,), which need not sum to 1."""
    total = 0.0
    for share in belief:
        total += share
    below, median = 0.0, belief.size - 1
    for i in range(belief.size):
        below += belief[i]
        if 2.0 * below >= total:
            median = i
            break
    cost = 0.0
    for i in range(belief.size):
        cost += belief[i] * abs(i - median)
    return cost / total


@compiled
def read_ahead(
    belief: FloatArray,
    base: FloatArray,
    expected: FloatArray,
    allowed: BoolArray,
    begin: int,
    end: int,
    look: IntArray,
    cost: FloatArray,
) -> None:
    """Find the look after which the focus is expected to be nearest to the belief's median.

    Parameters
    ----------
    belief : (N, n) array
        Probabilities of the indices.
    base : (N, n) array
        The same but for what one look more takes from the weight of those before it.
    expected : (n, n, n) array
        By what a look at each index multiplies that, the focus lying at each.
    allowed : (N, n) array
        Where to look; a lane without such an index gets -1, and infinity.
    begin, end : int
        The lanes to do.
    look, cost : (N,) arrays
        Filled: the index, the first of equals, and the expected distance after it.
    """
    n = belief.shape[1]
    after = np.empty(n)
    for lane in range(begin, end):
        look[lane], cost[lane] = -1, np.inf
        for k in range(n):
            if not allowed[lane, k]:
                continue
            total, weight = 0.0, 0.0
            for focus in range(n):
                chance = belief[lane, focus]
                if chance < _LEAST:
                    continue
                for i in range(n):
                    after[i] = base[lane, i] * expected[k, focus, i]
                total += chance * median_cost(after)
                weight += chance
                if total >= cost[lane]:
                    break
            if weight > 0.0 and total / weight < cost[lane]:
                look[lane], cost[lane] = k, total / weight
