"""Compiled loops of the Bayesian search: how likely a curve is that was seen in part, and where to look next."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled

FloatArray = npt.NDArray[np.float64]

# The unscented transform in up to two dimensions: three standard deviations squared, a sixth of the weight each.
_AWAY: Final = 1.7320508075688772
_SIXTH: Final = 1.0 / 6.0
# Beliefs below this are none: they move no expectation that matters.
_LEAST: Final = 1e-4


class Curve(NamedTuple):
    """A mixture of J curves over D steps of defocus, as loops take it."""

    log_weights: FloatArray
    """(J,)"""
    mean: FloatArray
    """(J, D)"""
    factors: FloatArray
    """(J, D, R)"""
    variance: FloatArray
    """(J, D) of what is independent from slice to slice."""
    log_gamma: FloatArray
    """(S,) logarithm of gamma((dof + s) / 2) / gamma(dof / 2) of s = 0, 1, ... values."""
    dof: float
    """Degrees of freedom of Student's t."""
    overlap: float
    """How much each further value repeats the others: s values weigh as s / (1 + overlap (s - 1))."""
    extra: float
    """Independent variance besides, of how the values were taken."""


class Seen(NamedTuple):
    """Values (N, S), NaN where there is none, of slices at places (N, S), with their noise (N, S)."""

    values: FloatArray
    places: FloatArray
    noise: FloatArray


@compiled
def student_log(log_gamma: Any, dof: float, count: Any, square: Any, spreads: Any) -> Any:
    """Return the logarithm of Student's density of ``count`` values; of one curve, or of arrays of curves.

    ``square`` is their squared distance, ``spreads`` the logarithm of the determinant of their covariance.
    """
    return log_gamma - 0.5 * (count * np.log(dof * np.pi) + spreads) - 0.5 * (dof + count) * np.log1p(square / dof)


@compiled
def _row(
    curve: Curve, j: int, away: float, noise: float, shake: FloatArray, row: FloatArray
) -> tuple[float, float]:
    """Return mean and independent variance at ``away`` steps of defocus; put the factors (R,) into ``row``."""
    steps = curve.mean.shape[1]
    at = min(max(away + 0.5 * (steps - 1), 0.0), steps - 1.0)
    low = min(int(at), steps - 2)
    share = at - low
    for r in range(row.size):
        row[r] = curve.factors[j, low, r] * (1.0 - share) + curve.factors[j, low + 1, r] * share
    mean = curve.mean[j, low] * (1.0 - share) + curve.mean[j, low + 1] * share
    variance = (curve.variance[j, low] * (1.0 - share) + curve.variance[j, low + 1] * share) * noise
    slope = curve.mean[j, low + 1] - curve.mean[j, low]
    # A lens that is not quite where it was sent sees another part of the curve.
    return mean, variance + curve.extra + slope * slope * (shake[0] + shake[1] * away * away)


@compiled
def _cholesky(a: FloatArray) -> float:
    """Replace a positive matrix (R, R) by its lower factor; return the logarithm of its determinant."""
    total = 0.0
    for i in range(a.shape[0]):
        for j in range(i + 1):
            value = a[i, j]
            for k in range(j):
                value -= a[i, k] * a[j, k]
            if i == j:
                a[i, i] = np.sqrt(value)
                total += 2.0 * np.log(a[i, i])
            else:
                a[i, j] = value / a[j, j]
    return total


@compiled
def _solve(a: FloatArray, b: FloatArray) -> None:
    """Replace b (R,) by the solution of L x = b."""
    for i in range(b.size):
        value = b[i]
        for k in range(i):
            value -= a[i, k] * b[k]
        b[i] = value / a[i, i]


@compiled
def condition(
    curve: Curve,
    values: FloatArray,
    places: FloatArray,
    noise: FloatArray,
    targets: FloatArray,
    shake: FloatArray,
    ahead: FloatArray,
    wanted: npt.NDArray[np.bool_],
    logs: FloatArray,
    mean: FloatArray,
    spread: FloatArray,
) -> None:
    """Put the log-likelihood of one lane's values into ``logs`` (T,), and what it would see into the others.

    ``mean`` and ``spread`` (C, T) are of the value at each place ``ahead`` (C,), for the targets that are wanted.
    """
    count, factors = 0, curve.factors.shape[2]
    for s in range(values.size):
        if not np.isnan(values[s]):
            count += 1
    weight = 1.0 / (1.0 + curve.overlap * max(count - 1, 0))
    parts = curve.log_weights.size
    matrix, vector, row = np.empty((factors, factors)), np.empty(factors), np.empty(factors)
    most, whole = np.empty(parts), 0.0
    for t in range(targets.size):
        if wanted[t]:
            for c in range(ahead.size):
                mean[c, t] = 0.0
                spread[c, t] = 0.0
        top, total = -np.inf, 0.0
        # The parts' shares are needed before they can be mixed; running sums are rescaled as a larger one appears.
        for j in range(parts):
            matrix[:] = 0.0
            vector[:] = 0.0
            for r in range(factors):
                matrix[r, r] = 1.0
            square, spreads = 0.0, 0.0
            for s in range(values.size):
                if np.isnan(values[s]):
                    continue
                middle, variance = _row(curve, j, places[s] - targets[t], noise[s], shake, row)
                rest = values[s] - middle
                square += rest * rest / variance
                spreads += np.log(variance)
                for r in range(factors):
                    scaled = row[r] / variance
                    vector[r] += scaled * rest
                    for q in range(r + 1):
                        matrix[r, q] += scaled * row[q]
            spreads += _cholesky(matrix)
            _solve(matrix, vector)
            for r in range(factors):
                square -= vector[r] * vector[r]
            square = max(square, 0.0)
            most[j] = curve.log_weights[j] + student_log(curve.log_gamma[count], curve.dof, count, square, spreads)
            scale = 1.0 if most[j] <= top else np.exp(top - most[j])
            if most[j] > top:
                top = most[j]
            share = np.exp(most[j] - top)
            whole = total * scale
            total = whole + share
            if wanted[t]:
                widened = (curve.dof + square) / (curve.dof + count)
                for c in range(ahead.size):
                    middle, variance = _row(curve, j, ahead[c] - targets[t], 1.0, shake, row)
                    _solve(matrix, row)
                    for r in range(factors):
                        middle += row[r] * vector[r]
                        variance += row[r] * row[r]
                    mean[c, t] = mean[c, t] * scale + share * middle
                    spread[c, t] = spread[c, t] * scale + share * (variance * widened + middle * middle)
        logs[t] = weight * (top + np.log(total))
        if wanted[t]:
            for c in range(ahead.size):
                mean[c, t] /= total
                spread[c, t] = max(spread[c, t] / total - mean[c, t] * mean[c, t], 1e-12)


@compiled
def curve_logs(
    curve: Curve, seen: Seen, targets: FloatArray, shake: FloatArray, begin: int, end: int, logs: FloatArray
) -> None:
    """Put the log-likelihoods of lanes begin ... end-1 into ``logs`` (N, T)."""
    nothing, wanted = np.empty(0), np.zeros(targets.size, dtype=np.bool_)
    table = np.empty((0, targets.size))
    for i in range(begin, end):
        condition(
            curve,
            seen.values[i],
            seen.places[i],
            seen.noise[i],
            targets,
            shake,
            nothing,
            wanted,
            logs[i],
            table,
            table,
        )


@compiled
def middle_of(weights: FloatArray) -> int:
    """Return where half of the weights (T,) is reached."""
    half, below = 0.5 * weights.sum(), 0.0
    for t in range(weights.size):
        below += weights[t]
        if below >= half:
            return t
    return weights.size - 1


@compiled
def after_look(
    belief: FloatArray,
    means: FloatArray,
    spreads: FloatArray,
    tempers: FloatArray,
    loss: FloatArray,
    sources: npt.NDArray[np.int64],
) -> float:
    """Return what ending costs after one more look, as expected.

    ``belief`` (T,) are probabilities; ``means`` and ``spreads`` (P, T) what each of P curves would show; ``loss``
    (T, T) is of the target ended at and the true one; ``sources`` (K,) are targets that stand for the belief, each
    for as much of it.
    """
    parts, count = means.shape[0], belief.size
    total, value, after = 0.0, np.empty(parts), np.empty(count)
    inverse, logs = np.empty((parts, count)), np.empty(count)
    for t in range(count):
        logs[t] = 0.0
        for p in range(parts):
            inverse[p, t] = -0.5 * tempers[p] / spreads[p, t]
            logs[t] -= 0.5 * tempers[p] * np.log(spreads[p, t])
    for k in range(sources.size):
        source = sources[k]
        for point in range(2 * parts + 1):
            for p in range(parts):
                value[p] = means[p, source]
            if point > 0:
                p = (point - 1) // 2
                value[p] += _AWAY * np.sqrt(spreads[p, source]) * (1.0 if point % 2 else -1.0)
            share = _SIXTH if point > 0 else 1.0 - 2 * parts * _SIXTH
            top, mass = -np.inf, 0.0
            for t in range(count):
                if belief[t] < _LEAST:
                    continue
                log = logs[t]
                for p in range(parts):
                    log += inverse[p, t] * (value[p] - means[p, t]) ** 2
                after[t] = log
                top = max(top, log)
            for t in range(count):
                after[t] = belief[t] * np.exp(after[t] - top) if belief[t] >= _LEAST else 0.0
                mass += after[t]
            end, cost = middle_of(after), 0.0
            for t in range(count):
                cost += after[t] * loss[end, t]
            total += share * cost / mass
    return total / sources.size
