"""What the hybrid controller remembers: what it saw, and where it stands."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.policies.curve import IntArray
from afsim.policy import FloatArray


class State(IntEnum):
    """Where the controller stands."""

    PDAF = 0
    COARSE1 = 1
    COARSE2 = 2
    FINE = 3
    SETTLE = 4


class HybridMemory(NamedTuple):
    """Of N controllers: what they saw, and where they stand."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    scores: FloatArray
    """(N, n) contrast of every slice seen, NaN where none was."""
    state: npt.NDArray[np.int8]
    """(N,) of :class:`State`."""
    heading: IntArray
    """(N,) the direction of the scan: 1 nearer, -1 farther, 0 before."""
    looks: IntArray
    """(N,) frames with phase; then those of the present pass."""
    dropouts: IntArray
    """(N,) frames in a row without phase."""
    origin: IntArray
    """(N,) where the present pass began."""
    first: FloatArray
    """(N,) contrast there."""
    highest: FloatArray
    """(N,) the most contrast of the present pass."""
    last_place: FloatArray
    """(N,) where the last look was, in dioptres."""
    last_distance: FloatArray
    """(N,) what its phase said, in dioptres; NaN where that was not to be trusted."""


def nothing_seen(lanes: int, n: int) -> HybridMemory:
    """Return the memory of controllers that have not begun."""
    whole, real = np.zeros(lanes, np.int64), np.zeros(lanes)
    return HybridMemory(
        status=np.zeros(lanes, np.int8),
        confidence=np.zeros(lanes, np.float32),
        scores=np.full((lanes, n), np.nan),
        state=np.zeros(lanes, np.int8),
        heading=whole,
        looks=whole.copy(),
        dropouts=whole.copy(),
        origin=whole.copy(),
        first=real,
        highest=real.copy(),
        last_place=real.copy(),
        last_distance=np.full(lanes, np.nan),
    )
