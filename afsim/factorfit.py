"""Fit a mixture of factor analysers to curves that are known in part: expectation-maximisation with Student's t."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.belief import normalised
from afsim.checks import check_number, check_whole
from afsim.contrastlikelihood import CurveLikelihood, log_gammas
from afsim.curveloop import student_log
from afsim.errors import AfsimError

FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Each curve is shown so often, each time at other places.
_REPEATS: Final = 3
# Numerically none.
_LEAST_VARIANCE: Final = 1e-5
# The prior of a variance is that of all steps, worth as many values (assumed).
_PRIOR_VALUES: Final = 5.0


class _Expected(NamedTuple):
    """What is expected of N curves under one part of the mixture."""

    logs: FloatArray
    """(N,) log-likelihoods."""
    scores: FloatArray
    """(N, R) factors."""
    covariance: FloatArray
    """(N, R, R) of them."""
    trust: FloatArray
    """(N,) weights: below 1 for curves unlike all others."""


def fit_curves(
    curves: npt.ArrayLike,
    *,
    parts: int = 1,
    factors: int = 3,
    dof: float = 5.0,
    share: float = 0.15,
    iterations: int = 40,
    seed: int = 0,
) -> CurveLikelihood:
    """Fit the distribution of curves.

    Parameters
    ----------
    curves : (N, D) array_like
        By steps of defocus; NaN where a curve was not recorded.
    parts, factors : int
        J and R of :class:`afsim.contrastlikelihood.CurveLikelihood`.
    dof : float
        Its degrees of freedom, which are not fitted.
    share : float
        How much of each curve is shown at a time, drawn at random: a search sees few slices, and what fits few
        slices best is not what fits whole curves best.
    iterations, seed : int
        Of expectation-maximisation; of what is drawn.

    Raises
    ------
    AfsimError
        For curves that are no table with an odd number of steps, or fewer than there are numbers to a step.
    """
    table = np.asarray(curves, dtype=np.float64)
    for name, value in (("parts", parts), ("factors", factors), ("iterations", iterations)):
        check_whole(name, value, least=1)
    check_number("dof", dof, above=0.0)
    check_number("share", share, above=0.0, most=1.0)
    if table.ndim != 2 or table.shape[1] % 2 == 0 or len(table) <= parts * (factors + 2):
        raise AfsimError(
            f"curves must be (N, D) with an odd D and more than {parts * (factors + 2)} of them, got {table.shape}"
        )
    known = ~np.isnan(table)
    if not known.any():
        raise AfsimError("curves must have values, got none but NaN")
    rng = np.random.default_rng(seed)
    mean, loading, variance, rank = _begin(table, known, parts, factors)
    shown = np.tile(known, (_REPEATS, 1))
    shown &= rng.random(shown.shape) < share
    values = np.where(shown, np.nan_to_num(np.tile(table, (_REPEATS, 1))), 0.0)
    member = np.tile(rank, _REPEATS)[:, None] == np.arange(parts)
    weights = member.mean(axis=0)
    for iteration in range(iterations):
        expected = [_expect(values, shown, mean[j], loading[j], variance[j], dof) for j in range(parts)]
        logs = np.stack([part.logs for part in expected], axis=1) + np.log(weights)
        chance = np.exp(normalised(logs)) if iteration else member.astype(np.float64)
        weights = (chance.sum(axis=0) + 1.0) / (len(chance) + parts)
        for j, part in enumerate(expected):
            mean[j], loading[j], variance[j] = _maximise(
                values, shown, chance[:, j], part, mean[j], loading[j], variance[j]
            )
    return CurveLikelihood(weights / weights.sum(), mean, loading, variance, dof)


def _begin(
    table: FloatArray, known: Mask, parts: int, factors: int
) -> tuple[FloatArray, FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Return means, factors and variances to begin with, and the part (N,) of each curve: by how far it falls."""
    count, steps = table.shape
    middle = steps // 2
    filled = np.where(known, table, 0.0)
    near = known[:, middle - 1 : middle + 2]
    top = filled[:, middle - 1 : middle + 2].sum(axis=1) / np.maximum(near.sum(axis=1), 1)
    least = np.where(known, table, np.inf).min(axis=1)
    fall = np.where(near.any(axis=1) & np.isfinite(least), top - least, 0.0)
    rank = np.empty(count, np.int64)
    rank[np.argsort(fall, kind="stable")] = np.arange(count) * parts // count
    seen = known.sum(axis=0)
    there = np.flatnonzero(seen)
    overall = np.interp(np.arange(steps), there, filled.sum(axis=0)[there] / seen[there])
    mean, variance = np.empty((parts, steps)), np.empty((parts, steps))
    wide = float(np.where(known, (table - overall) ** 2, 0.0).sum() / seen.sum())
    for j in range(parts):
        own = known & (rank == j)[:, None]
        mean[j] = ((own * filled).sum(axis=0) + 2.0 * overall) / (own.sum(axis=0) + 2.0)
        around = np.where(own, (filled - mean[j]) ** 2, 0.0).sum(axis=0)
        variance[j] = (around + 3.0 * wide) / (own.sum(axis=0) + 3.0) + _LEAST_VARIANCE
    waves = np.cos(np.arccos(np.linspace(-1.0, 1.0, steps)) * np.arange(factors)[:, None])
    loading = 0.6 * np.sqrt(variance)[:, None] * waves / (1.0 + np.arange(factors)[:, None])
    return mean, loading, 0.3 * variance + _LEAST_VARIANCE, rank


def _expect(
    values: FloatArray, shown: Mask, mean: FloatArray, loading: FloatArray, variance: FloatArray, dof: float
) -> _Expected:
    factors, weight = len(loading), shown / variance
    products = (loading[:, None] * loading[None]).reshape(factors * factors, -1)
    precision = np.eye(factors) + np.einsum("nd,fd->nf", weight, products, optimize=True).reshape(
        -1, factors, factors
    )
    rest = np.where(shown, values - mean, 0.0)
    pull = np.einsum("nd,rd->nr", weight * rest, loading, optimize=True)
    covariance = np.linalg.inv(precision)
    scores = np.einsum("nrs,ns->nr", covariance, pull)
    square = np.maximum((weight * rest**2).sum(axis=1) - (pull * scores).sum(axis=1), 0.0)
    count = shown.sum(axis=1)
    spreads = (shown * np.log(variance)).sum(axis=1) + np.linalg.slogdet(precision)[1]
    logs = student_log(log_gammas(dof, shown.shape[1] + 1)[count], dof, count, square, spreads)
    return _Expected(logs, scores, covariance, (dof + count) / (dof + square))


def _maximise(
    values: FloatArray,
    shown: Mask,
    chance: FloatArray,
    part: _Expected,
    mean: FloatArray,
    loading: FloatArray,
    variance: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean, factors and variance that fit best; where few curves were seen, near what they were."""
    count, factors = part.scores.shape
    steps = values.shape[1]
    design = np.concatenate([part.scores, np.ones((count, 1))], axis=1)
    squares = part.trust[:, None, None] * design[:, :, None] * design[:, None, :]
    squares[:, :factors, :factors] += part.covariance
    mass = chance[:, None] * shown
    size = factors + 1
    matrix = np.einsum("nd,nf->df", mass, squares.reshape(count, -1), optimize=True).reshape(steps, size, size)
    matrix += np.eye(size)
    before = np.concatenate([loading.T, mean[:, None]], axis=1)
    vector = np.einsum("nd,nf->df", mass * part.trust[:, None] * values, design, optimize=True) + before
    found = np.linalg.solve(matrix, vector[..., None])[..., 0]
    rest = values - np.einsum("nf,df->nd", design, found, optimize=True)
    spread = np.einsum("nd,nf->df", mass, part.covariance.reshape(count, -1), optimize=True)
    lost = np.einsum(
        "dr,drs,ds->d", found[:, :factors], spread.reshape(steps, factors, factors), found[:, :factors]
    )
    total = (mass * part.trust[:, None] * rest**2).sum(axis=0) + lost
    after = (total + _PRIOR_VALUES * variance.mean()) / (mass.sum(axis=0) + _PRIOR_VALUES)
    return found[:, factors], found[:, :factors].T, np.maximum(after, _LEAST_VARIANCE)
