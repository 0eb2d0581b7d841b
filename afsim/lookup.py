"""The value of a table between its entries: compiled, for single numbers inside the loops over lanes."""

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled


@compiled
def value_at(table: npt.NDArray[np.float64], index: float) -> float:
    """Return the value of a table (n,) at a fractional index; beyond its ends along the first or last step."""
    below = min(max(int(index), 0), table.size - 2)
    return float(table[below] + (index - below) * (table[below + 1] - table[below]))
