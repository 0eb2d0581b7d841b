"""What the Bayesian policy remembers: what is believed, and what was seen at each index."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.policies.curve import IntArray
from afsim.policy import FloatArray


class BeliefMemory(NamedTuple):
    """Of N searches over n indices: what is believed, and what was seen at each index (the last time)."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    belief: FloatArray
    """(N, n) probability that each index is the one to command; they sum to 1."""
    scores: FloatArray
    """(N, n) logarithm of the contrast, NaN where none was seen."""
    defocus: FloatArray
    """(N, n) disparity in steps of defocus, NaN where none was seen."""
    noise: FloatArray
    """(N, n) by how much its variance is larger than usual."""
    places: FloatArray
    """(N, n) where the lens then stood, in steps."""
    looked: npt.NDArray[np.bool_]
    """(N, n) which indices were looked at."""
    extension: FloatArray
    """(N,) of the lens, as far as its model foretells it; NaN before the first look."""
    looks: IntArray
    """(N,) how many looks there were."""


def nothing_seen(lanes: int, prior: FloatArray, places: FloatArray) -> BeliefMemory:
    """Return the memory of searches that believe the prior (n,), of slices at ``places`` (n,) in steps."""
    blank = np.full((lanes, prior.size), np.nan)
    return BeliefMemory(
        np.zeros(lanes, np.int8),
        np.zeros(lanes, np.float32),
        np.repeat(prior[None], lanes, axis=0),
        blank,
        blank.copy(),
        np.ones((lanes, prior.size)),
        np.repeat(places[None], lanes, axis=0),
        np.zeros((lanes, prior.size), np.bool_),
        np.full(lanes, np.nan),
        np.zeros(lanes, np.int64),
    )
