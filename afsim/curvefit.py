"""Fit a focus curve to the slices seen: three shapes, each a parabola once its heights are transformed.

Contrast over lens position is modelled as ``base + height shape((x - peak) / width)`` with the shape

- ``parabola``: ``1 - u^2``;
- ``gaussian``: ``exp(-u^2)``, whose logarithm is a parabola;
- ``hyperbola``: ``1 / sqrt(1 + u^2)``, contrast that falls as the inverse of a blur whose size is a hyperbola: the
  shape that astronomers fit to the size of stars (KStars Ekos). Its ``-1 / y^2`` is a parabola.

So all are linear least squares, weighted by how much the transform stretches errors there: no start values.
"""

from typing import Any, Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from afsim.errors import AfsimError, unknown

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

Model = Literal["hyperbola", "parabola", "gaussian"]
MODELS: Final[tuple[str, ...]] = get_args(Model)

# Pedestals that are tried, as shares of the lowest value seen; the one that fits best is taken. None reaches the
# lowest value, whose logarithm would be infinite.
_PEDESTALS: Final = (0.5, 0.9)
# A hyperbola's tails are long; one that stands below zero, by these shares of the highest value, has short ones.
_SUNKEN: Final = (0.4, 1.0)
# Heights below this share of the highest are as good as none; the transforms have poles at 0.
_LEAST: Final = 1e-4
# A fitted peak may rise so far above the highest value seen; more is a curve through noise.
_MOST_RISE: Final = 2.0
# A parabola has three unknowns; a test of outliers wants two residuals more, and the suspect itself.
_UNKNOWNS: Final = 3
_LEAST_FOR_OUTLIERS: Final = 6
# How often a good sample of a curve may pass for an outlier, and how many are taken out at most (both assumed).
_FALSE_ALARMS: Final = 0.01
_MOST_OUTLIERS: Final = 2


class CurveFit(NamedTuple):
    """The curve through what each lane has seen; of a lane that is not ``sound`` the rest means nothing."""

    peak: FloatArray
    """(N,) where the curve is highest, as a fractional index; it may lie outside what was seen."""
    height: FloatArray
    """(N,) the curve there."""
    r_squared: FloatArray
    """(N,) share of the samples' variance that the curve explains, outliers left out; at most 1, 0 if not sound."""
    kept: BoolArray
    """(N, n) the samples that were fitted: those seen, without outliers."""
    sound: BoolArray
    """(N,) whether there are three samples or more and the curve has a peak."""


class _Samples(NamedTuple):
    """Samples (N, k) of each lane: index, height relative to the lane's highest, which count."""

    x: FloatArray
    y: FloatArray
    counts: BoolArray


class _Line(NamedTuple):
    """A fitted curve and what it says of its samples."""

    peak: FloatArray
    height: FloatArray
    r_squared: FloatArray
    deviation: FloatArray
    """(N, k) externally studentised residuals."""
    sound: BoolArray


def fit_curve(scores: npt.ArrayLike, model: str = "hyperbola", *, reject: bool = True) -> CurveFit:
    """Fit a focus curve to the scores of the slices seen.

    Parameters
    ----------
    scores : (N, n) array_like
        Contrast of every slice, 0 or more, NaN where it was not seen.
    model : {"hyperbola", "parabola", "gaussian"}
        Shape of the curve.
    reject : bool
        Whether to leave out outliers, at most two, of six samples or more.

    Returns
    -------
    CurveFit
        A lane's result depends on its scores alone. Data that lie on the model's curve, with no pedestal, are
        fitted exactly.

    Raises
    ------
    AfsimError
        For a model that does not exist, or scores that are not (N, n).

    Notes
    -----
    Weights are first those of the values seen, then those of the values fitted (one round of reweighting): else
    noise in the tails weighs where it happens to be high. The pedestal is the one of a few that explains most. An
    outlier is the sample whose externally studentised residual (Cook and Weisberg, *Residuals and Influence in
    Regression*, 1982) is larger than chance makes the largest of all in one curve of a hundred: few samples can
    convict none.
    """
    table = np.asarray(scores, dtype=np.float64)
    if model not in MODELS:
        raise unknown("curve model", model, MODELS)
    if table.ndim != 2:
        raise AfsimError(f"scores must be (N, n), got shape {table.shape}")
    seen = ~np.isnan(table)
    width = max(int(seen.sum(axis=1).max(initial=0)), 1)
    order = np.argsort(~seen, axis=1, kind="stable")[:, :width]
    counts = np.take_along_axis(seen, order, axis=1)
    heights = np.where(counts, np.take_along_axis(table, order, axis=1), 0.0)
    top = heights.max(axis=1)
    scale = np.where(top > 0, top, 1.0)
    samples = _Samples(order.astype(np.float64), heights / scale[:, None], counts)
    line = _fit_best_base(samples, model)
    for _ in range(_MOST_OUTLIERS if reject else 0):
        samples, line = _without_outliers(samples, line, model)
    kept = np.zeros(table.shape, dtype=np.bool_)
    np.put_along_axis(kept, order, samples.counts, axis=1)
    return CurveFit(line.peak, line.height * scale, line.r_squared, kept, line.sound & (top > 0))


def _sums(values: FloatArray) -> FloatArray:
    """Return the sums (N, 1) over the samples, in order: so that samples which do not count change no bit."""
    return np.asarray(np.cumsum(values, axis=1)[:, -1:])


def _fit_best_base(samples: _Samples, model: str) -> _Line:
    """Return the fit (N,) with the pedestal that explains most; a parabola's is part of its height."""
    lowest = np.where(samples.counts, samples.y, np.inf).min(axis=1, keepdims=True)
    lowest = np.where(np.isfinite(lowest), lowest, 0.0)
    bases = [share * lowest for share in _PEDESTALS] if model != "parabola" else []
    if model == "hyperbola":
        bases += [np.full_like(lowest, -share) for share in _SUNKEN]
    best = _fit(samples, np.zeros_like(lowest), model)
    for base in bases:
        other = _fit(samples, base, model)
        better = other.sound & (~best.sound | (other.r_squared > best.r_squared))
        best = _chosen(better, other, best)
    return best


def _chosen(mask: BoolArray, one: _Line, other: _Line) -> _Line:
    """Return ``one`` where the mask (N,) is, else ``other``."""
    pairs = zip(one, other, strict=True)
    return _Line(*(np.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs))


def _fit(samples: _Samples, base: FloatArray, model: str) -> _Line:
    """Fit each lane's samples less its pedestal (N, 1)."""
    left = 1.0 - base
    y = np.where(samples.counts, ((samples.y - base) / left).clip(_LEAST, None), 1.0)
    line, fitted = _fit_weighted(samples, y, _weight(y, model), model)
    if model != "parabola":
        line, fitted = _fit_weighted(samples, y, _weight(fitted.clip(_LEAST, _MOST_RISE), model), model)
    return line._replace(height=line.height * left[:, 0] + base[:, 0])


def _weight(y: FloatArray, model: str) -> FloatArray:
    """Return the inverse variance of the transformed height, up to a factor, at an even variance of heights."""
    if model == "gaussian":
        return np.asarray(y * y)
    return np.asarray((y * y) ** 3) if model == "hyperbola" else np.ones_like(y)


def _transformed(y: FloatArray, model: str) -> FloatArray:
    if model == "gaussian":
        return np.asarray(np.log(y))
    return np.asarray(-1.0 / (y * y)) if model == "hyperbola" else y


def _height(transformed: FloatArray, model: str) -> FloatArray:
    """Undo :func:`_transformed`; where a curve rises beyond all bounds the height is the most that is allowed."""
    if model == "gaussian":
        return np.asarray(np.exp(transformed.clip(-100.0, np.log(_MOST_RISE))))
    if model == "hyperbola":
        return np.asarray(1.0 / np.sqrt((-transformed).clip(1.0 / _MOST_RISE**2, None)))
    return transformed


def _fit_weighted(samples: _Samples, y: FloatArray, weight: FloatArray, model: str) -> tuple[_Line, FloatArray]:
    """Return the weighted least-squares parabola through transformed heights, and its heights (N, k).

    In polynomials that are orthogonal over the samples: no matrix to solve, and the leverages come along.
    """
    counts, w = samples.counts, np.where(samples.counts, weight, 0.0)
    number = counts.sum(axis=1)
    g = _transformed(y, model)
    total = np.where(number[:, None] > 0, _sums(w), 1.0)
    total = np.where(total > 0, total, 1.0)
    middle = _sums(w * samples.x) / total
    u = np.where(counts, samples.x - middle, 0.0)
    square = _sums(w * u * u)
    line = square > 0
    square = np.where(line, square, 1.0)
    skew, mean_square = _sums(w * u**3) / square, square / total
    bent = u * u - skew * u - mean_square
    spread = _sums(w * bent * bent)
    curved = (line & (spread > 0))[:, 0] & (number >= _UNKNOWNS)
    spread = np.where(curved[:, None], spread, 1.0)

    level, slope, bend = _sums(w * g) / total, _sums(w * g * u) / square, _sums(w * g * bent) / spread
    fitted = level + slope * u + bend * bent
    sound = curved & (bend[:, 0] < 0)
    down = np.where(sound[:, None], bend, -1.0)
    apex = skew / 2.0 - slope / (2.0 * down)
    top = level + slope * apex + down * (apex * apex - skew * apex - mean_square)
    heights = np.where(counts, _height(fitted, model), 0.0)
    highest = _height(top, model)
    sound &= highest[:, 0] < _MOST_RISE

    r_squared = np.where(sound, _explained(np.where(counts, y, 0.0), heights, counts), 0.0)
    leverage = w * (1.0 / total + u * u / square + bent * bent / spread)
    deviation = _studentised(np.where(counts, np.sqrt(w) * (g - fitted), 0.0), leverage, counts)
    peak = np.where(sound, (middle + apex)[:, 0], 0.0)
    return _Line(peak, np.where(sound, highest[:, 0], 0.0), r_squared, deviation, sound), heights


def _explained(y: FloatArray, heights: FloatArray, counts: BoolArray) -> FloatArray:
    """Return R squared (N,): 1 less the residuals' share of the variance; 0 where the samples do not vary."""
    mean = _sums(y) / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    variance = _sums(np.where(counts, np.square(y - mean), 0.0))[:, 0]
    residual = _sums(np.where(counts, np.square(y - heights), 0.0))[:, 0]
    return np.where(variance > 0, 1.0 - residual / np.where(variance > 0, variance, 1.0), 0.0)


def _studentised(residual: FloatArray, leverage: FloatArray, counts: BoolArray) -> FloatArray:
    """Return each weighted residual over the deviation that the other samples show, (N, k)."""
    free = (counts.sum(axis=1, keepdims=True) - _UNKNOWNS - 1).astype(np.float64)
    own = np.square(residual) / (1.0 - leverage).clip(1e-9, None)
    others = (_sums(np.square(residual)) - own).clip(0.0, None) / np.maximum(free, 1.0)
    # Rounding leaves residuals of this size on a curve that fits exactly.
    return np.asarray(np.sqrt(own) / np.sqrt(others + 1e-20))


def _without_outliers(samples: _Samples, line: _Line, model: str) -> tuple[_Samples, _Line]:
    """Leave out each lane's worst sample where chance does not explain it, and fit those lanes again."""
    number = samples.counts.sum(axis=1)
    size = np.where(samples.counts, line.deviation, 0.0)
    worst = size.argmax(axis=1)
    lanes = np.arange(len(worst))
    suspect = np.flatnonzero((number >= _LEAST_FOR_OUTLIERS) & (size[lanes, worst] > _limits(number)))
    if not len(suspect):
        return samples, line
    counts = samples.counts.copy()
    counts[suspect, worst[suspect]] = False
    again = _fit_best_base(_Samples(samples.x[suspect], samples.y[suspect], counts[suspect]), model)
    whole: list[Any] = [field.copy() for field in line]
    for old, new in zip(whole, again, strict=True):
        old[suspect] = new
    return samples._replace(counts=counts), _Line(*whole)


def _limits(number: npt.NDArray[np.int64]) -> FloatArray:
    """Return the largest studentised residual (N,) that chance explains: Student's t, by Bonferroni."""
    free = np.maximum(number - _UNKNOWNS - 1, 1)
    return np.asarray(stdtrit(free, 1.0 - _FALSE_ALARMS / (2.0 * np.maximum(number, 1))))
