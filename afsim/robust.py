"""Least squares that a few wrong values hardly move: Huber's weights, iterated."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# 95 % efficient with Gaussian errors (Huber, 1981).
_HUBER: Final = 1.345
_ITERATIONS: Final = 30
# Standard deviations in a median absolute deviation of a Gaussian.
_MAD: Final = 1.4826


class RobustFit(NamedTuple):
    """Parameters that fit E values, and how far the values lie from them."""

    parameters: FloatArray
    """(P,)"""
    residuals: FloatArray
    """(E,) values less the fit."""
    weights: FloatArray
    """(E,) how much each value counts, 0 ... 1."""
    spread: float
    """Robust standard deviation of the residuals."""


def huber_fit(
    design: FloatArray,
    values: FloatArray,
    *,
    prior: FloatArray | None = None,
    ties: FloatArray | None = None,
    least_spread: float = 0.0,
) -> RobustFit:
    """Fit values by iteratively reweighted least squares with Huber's weights.

    Parameters
    ----------
    design : (E, P) float64
        What the parameters are multiplied with.
    values : (E,) float64
        What is fitted.
    prior : (P,) float64, optional
        Where the parameters start, and what ``ties`` draw them to; 0 by default.
    ties : (P,) float64, optional
        How much the prior counts, as a sum of squares of the design; by default nothing.
    least_spread : float
        What a smaller spread is replaced by, such as what rounding leaves.

    Raises
    ------
    numpy.linalg.LinAlgError
        Where the values do not determine the parameters.
    """
    parameters = design.shape[1]
    prior, ties = np.zeros(parameters) if prior is None else prior, np.zeros(parameters) if ties is None else ties
    found, weights, residuals, spread = prior, np.ones(len(values)), values, 0.0
    for _ in range(_ITERATIONS):
        # einsum rather than a matrix product: the same bytes whatever the number of threads
        weighted = design * weights[:, None]
        matrix = np.einsum("ep,eq->pq", weighted, design) + np.diag(ties)
        vector = np.einsum("ep,e->p", weighted, values) + ties * prior
        new = np.linalg.solve(matrix, vector)
        residuals = values - np.einsum("ep,p->e", design, new)
        size = np.abs(residuals)
        spread = max(_MAD * float(np.median(size)), least_spread)
        weights = np.minimum(1.0, _HUBER * spread / np.maximum(size, 1e-12))
        settled = np.allclose(new, found, rtol=0.0, atol=1e-9)
        found = new
        if settled or spread == 0.0:
            break
    return RobustFit(found, residuals, weights, spread)
