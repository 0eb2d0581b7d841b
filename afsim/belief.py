"""What is believed about where the focus lies: log-probabilities (N, n) over the indices, a lane a row. Pure.

Logarithms, because many observations multiply to numbers below the smallest double; always normalised:
``np.exp(belief)`` sums to 1 over the last axis.
"""

import numpy as np
import numpy.typing as npt

from afsim.checks import check_number
from afsim.errors import AfsimError
from afsim.likelihood import Likelihood

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def normalised(weights: npt.ArrayLike) -> FloatArray:
    """Return log-weights (..., n) as log-probabilities; uniform where all are -inf (or one is NaN or inf)."""
    logs = np.asarray(weights, dtype=np.float64)
    most = logs.max(axis=-1, keepdims=True)
    usable = np.isfinite(most)
    logs = np.where(usable, logs - np.where(usable, most, 0.0), 0.0)
    return np.asarray(logs - np.log(np.exp(logs).sum(axis=-1, keepdims=True)))


def uniform_belief(lanes: int, n: int) -> FloatArray:
    """Return the belief (lanes, n) of who knows nothing."""
    return np.full((lanes, n), -np.log(n))


def prior_of(truth: npt.ArrayLike, n: int, *, strength: float = 1.0) -> FloatArray:
    """Return the prior (n,), as log-probabilities, that known truths (N,) suggest.

    Parameters
    ----------
    truth : (N,) array_like
        Indices, perhaps fractional; NaN is left out.
    n : int
        Number of indices.
    strength : float
        What each index counts besides (Laplace's rule: 1), so that none is impossible.
    """
    check_number("prior strength", strength, above=0.0)
    known = np.asarray(truth, dtype=np.float64)
    focus = np.floor(known[~np.isnan(known)] + 0.5).clip(0, n - 1).astype(np.int64)
    return normalised(np.log(np.bincount(focus, minlength=n) + strength))


def observe(belief: FloatArray, likelihood: Likelihood, index: npt.ArrayLike, feature: npt.ArrayLike) -> FloatArray:
    """Return beliefs (N, n) after slices ``index`` (N,) gave ``feature`` (N,): Bayes' rule.

    An observation that the belief holds for impossible leaves it as it was. Observing a recorded slice twice tells
    nothing new, but counts twice here: leave that to the caller.

    Raises
    ------
    AfsimError
        For a belief of another number of indices, or an index that is none.
    """
    where = np.asarray(index)
    if belief.ndim != 2 or belief.shape[1] != likelihood.n:
        raise AfsimError(f"beliefs must have shape (N, {likelihood.n}), got {belief.shape}")
    if where.dtype.kind not in "iu" or ((where < 0) | (where >= likelihood.n)).any():
        raise AfsimError(f"indices must be integers in 0 ... {likelihood.n - 1}, got {where.tolist()}")
    joint = belief + likelihood.log_of(where, feature)
    possible = (joint > -np.inf).any(axis=1, keepdims=True)
    return np.where(possible, normalised(joint), belief)


def expected_costs(belief: FloatArray, loss: FloatArray) -> FloatArray:
    """Return what standing at each index is expected to cost, (N, n); ``loss`` (n, n) is of (stand, k*)."""
    # einsum rather than a matrix product: a lane's result does not depend on how many there are
    return np.asarray(np.einsum("nf,kf->nk", np.exp(belief), loss))


def best_index(belief: FloatArray, loss: FloatArray) -> IntArray:
    """Return the index (N,) where to stand costs least; the farthest of several."""
    return np.asarray(expected_costs(belief, loss).argmin(axis=1))


def confidence(belief: FloatArray, index: npt.ArrayLike, *, within: float = 1.0) -> FloatArray:
    """Return the probability (N,) that the focus lies within so many indices of ``index`` (N,)."""
    near = np.abs(np.arange(belief.shape[1])[None, :] - np.asarray(index)[:, None]) <= within
    return np.asarray(np.where(near, np.exp(belief), 0.0).sum(axis=1).clip(0.0, 1.0))


def entropy_bits(belief: FloatArray) -> FloatArray:
    """Return how much each belief (N, n) leaves open, in bits (N,): 0 for certainty, log2 n for nothing known."""
    p = np.exp(belief)
    return np.asarray(-(p * np.where(p > 0.0, belief, 0.0)).sum(axis=1) / np.log(2.0))
