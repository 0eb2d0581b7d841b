"""``afsim fit bayesian``: fit what the Bayesian policy believes on recorded stacks whose best index is known."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.belief import normalised
from afsim.calibration import Provenance, shipped_calibration
from afsim.calibrationfit import measure as measure_disparity
from afsim.contrastlikelihood import CurveLikelihood, log_contrast
from afsim.errors import AfsimError, StoreError
from afsim.factorfit import fit_curves
from afsim.framing import Framing
from afsim.jit import over_lanes
from afsim.measures import get_measure
from afsim.optics import PIXEL3_FOCAL_LENGTH_M
from afsim.options import command_line
from afsim.positionlikelihood import FocusLikelihood, defocus_steps
from afsim.stackset import StackSet

FloatArray = npt.NDArray[np.float64]

# Bounds between disparities that are unsure, usual and sure.
_CONFIDENCE_EDGES: Final = (0.7, 0.9, 0.97)
# No class of disparities is held for worthless.
_MOST_NOISE: Final = 100.0
_LEAST_OF_A_CLASS: Final = 30
# What overlaps are tried, on how many slices of each stack drawn at random.
_OVERLAPS: Final = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
_DRAWN: Final = (2, 3, 4, 6, 8, 11)
_DRAWS: Final = 2
# Measured between two looks at the keyboard: what is interrupted stops within seconds.
_STACKS_AT_ONCE: Final = 16


@dataclass(frozen=True)
class FitBayesianConfig:
    """Fit what the Bayesian policy believes, and write it to a file.

    Use the file with ``afsim compare --policies 'bayesian;model=FILE'``.
    """

    stacks: Path
    """Set of stacks with labels and known distances: never the one that policies are then tested on."""
    out: Path
    """File to write (JSON); one that is there is replaced."""
    measure: str = "mean_local_norm_dist_sq"
    """Contrast measure; of those tried on the validation set, its few slices told most."""
    reach: int = 16
    """Reach of the disparity in pixels, of which a calibration is shipped; 16 covers the whole sweep."""
    parts: int = 3
    """Kinds of contrast curves."""
    seed: int = 0
    """Of the slices that are drawn to fit on."""
    quiet: bool = False
    """Nothing on the screen."""


def run(config: FitBayesianConfig, *, stacks: StackSet | None = None) -> FocusLikelihood:
    """Return the likelihood, fitted; ``stacks`` replaces ``config.stacks``."""
    stacks = stacks if stacks is not None else StackSet.open(config.stacks)
    chosen = np.flatnonzero(stacks.labelled)
    if stacks.diopters is None or chosen.size == 0:
        raise AfsimError(f"{stacks!r} cannot be fitted: it has no known distances, or no labels")
    contrast = measure_contrast(stacks, chosen, config.measure)
    seen = measure_disparity(stacks, "zncc", reach=config.reach) if stacks.geometry.views == 2 else None
    shift, confidence = (seen.shift, seen.confidence) if seen is not None else (None, None)
    region = seen.region if seen is not None else None
    source = Provenance(
        str(config.stacks.resolve().name),
        stacks.digest,
        int(chosen.size),
        int(chosen.size) * stacks.n,
        command_line("fit bayesian", config),
    )
    return fit(contrast, shift, confidence, region, stacks.truth[chosen], stacks.diopters, config, source)


def fit(
    contrast: FloatArray,
    shift: FloatArray | None,
    confidence: FloatArray | None,
    region: FloatArray | None,
    truth: FloatArray,
    diopters: FloatArray,
    config: FitBayesianConfig,
    provenance: Provenance,
) -> FocusLikelihood:
    """Return the likelihood of features (N, n) of stacks whose truth (N,) is known; no shifts where one view."""
    n = len(diopters)
    step = float(diopters[-1] - diopters[0]) / (n - 1)
    focus = np.floor(truth + 0.5).clip(0, n - 1).astype(np.int64)
    places, logs = diopters / step, log_contrast(contrast)
    curves = fit_curves(aligned(logs, places, focus), parts=config.parts, factors=5, dof=3.0, seed=config.seed)
    curves = with_overlap(curves, logs, places, focus, config.seed)
    disparity, noise = None, np.ones(len(_CONFIDENCE_EDGES) + 1)
    if shift is not None and confidence is not None and region is not None:
        calibration = shipped_calibration("zncc", config.reach)
        defocus = defocus_steps(calibration, step, shift, confidence, places, region)
        disparity = fit_curves(aligned(defocus, places, focus), parts=1, factors=3, dof=5.0, seed=config.seed)
        noise = _class_noise(disparity, defocus, confidence, places, focus)
        disparity = with_overlap(disparity, defocus, places, focus, config.seed)
    counts = np.bincount(focus, minlength=n).astype(np.float64) + 1.0
    return FocusLikelihood(
        config.measure,
        config.reach,
        step,
        diopters,
        _smooth(counts / counts.sum()),
        curves,
        disparity,
        np.array(_CONFIDENCE_EDGES),
        noise,
        provenance,
    )


def main(config: FitBayesianConfig) -> int:
    """Fit, write the file, and say what was found."""
    if config.out.is_dir():
        raise StoreError(f"{config.out} is a folder; expected a file to write a focus likelihood to")
    fitted = run(config)
    fitted.save(config.out)
    if not config.quiet:
        seen = "no disparity" if fitted.disparity is None else f"disparity of overlap {fitted.disparity.overlap:g}"
        print(
            f"{config.out}: {fitted.measure} of {fitted.contrast.weights.size} kinds of curves, "
            f"overlap {fitted.contrast.overlap:g}; {seen} ({fitted.provenance.stacks} stacks)"
        )
    return 0


# ---------------------------------------------------------------------- parts of a fit
def measure_contrast(stacks: StackSet, chosen: npt.NDArray[np.int64], measure: str) -> FloatArray:
    """Return the contrast (len(chosen), n) of every slice of some stacks."""
    of, rows = get_measure(measure), np.empty((len(chosen), stacks.n))
    crop = Framing(stacks, PIXEL3_FOCAL_LENGTH_M).crop
    inner = slice(crop, -crop or None)

    def measure_some(first: int, begin: int, end: int) -> None:
        for i in range(first + begin, first + end):
            views = stacks[int(chosen[i])].normalized()[..., inner, inner]
            rows[i] = of(views.astype(np.float32).mean(axis=1))

    for first in range(0, len(chosen), _STACKS_AT_ONCE):
        over_lanes(partial(measure_some, first), min(_STACKS_AT_ONCE, len(chosen) - first), at_least=1)
    return rows


def aligned(values: FloatArray, places: FloatArray, focus: npt.NDArray[np.int64]) -> FloatArray:
    """Return curves (N, 2n - 1) by whole steps from the focus, linear between slices; NaN beyond the recording."""
    n = len(places)
    steps, curves = np.arange(1 - n, n), np.full((len(values), 2 * n - 1), np.nan)
    for i, curve in enumerate(values):
        at = places[focus[i]] + steps
        inside = (at >= places[0] - 0.5) & (at <= places[-1] + 0.5)
        curves[i, inside] = np.interp(at[inside], places, curve)
    return curves


def with_overlap(
    curves: CurveLikelihood, values: FloatArray, places: FloatArray, focus: npt.NDArray[np.int64], seed: int
) -> CurveLikelihood:
    """Return the likelihood with the overlap under which the true foci are likeliest, slices drawn at random.

    Half of them are drawn around the focus, as a search does.
    """
    rng, n = np.random.default_rng(seed), len(places)
    scores, lanes = np.zeros(len(_OVERLAPS)), np.arange(len(values))
    for count in _DRAWN:
        for _ in range(_DRAWS):
            away = np.abs(np.arange(n) - focus[:, None])
            near = rng.random(len(values)) < 0.5
            order = rng.random(values.shape) + np.where(near[:, None] & (away > count + 2), 1.0, 0.0)
            drawn = np.sort(order.argsort(axis=1)[:, :count], axis=1)
            logs = curves.log_of(values[lanes[:, None], drawn], places[drawn], places)
            for i, overlap in enumerate(_OVERLAPS):
                weight = (1.0 + curves.overlap * (count - 1)) / (1.0 + overlap * (count - 1))
                scores[i] += normalised(weight * logs)[lanes, focus].mean()
    best = _OVERLAPS[int(scores.argmax())]
    return CurveLikelihood(curves.weights, curves.mean, curves.factors, curves.variance, curves.dof, best)


def _class_noise(
    curves: CurveLikelihood,
    values: FloatArray,
    confidence: FloatArray,
    places: FloatArray,
    focus: npt.NDArray[np.int64],
) -> FloatArray:
    """Return by how much the independent variance of each class of confidence is larger than usual."""
    middle, at = (curves.mean.shape[1] - 1) / 2, places[None, :] - places[focus][:, None]
    steps = np.arange(curves.mean.shape[1]) - middle
    total = (curves.factors[0] ** 2).sum(axis=0)
    mean, shared, alone = (np.interp(at, steps, row) for row in (curves.mean[0], total, curves.variance[0]))
    square, row = (values - mean) ** 2, np.searchsorted(_CONFIDENCE_EDGES, confidence, side="right")
    spreads, ratios = np.ones(len(_CONFIDENCE_EDGES) + 1), np.ones(len(_CONFIDENCE_EDGES) + 1)
    for i in range(spreads.size):
        own = (row == i) & ~np.isnan(values)
        if own.sum() >= _LEAST_OF_A_CLASS:
            # By the median, which outliers do not move.
            spreads[i] = float(np.median(square[own] / (shared + alone)[own]))
            ratios[i] = float(np.median((shared + alone)[own] / alone[own]))
    # What spreads more than the surest is independent from slice to slice.
    return np.asarray((1.0 + (spreads / spreads[-1] - 1.0) * ratios).clip(1.0, _MOST_NOISE))


def _smooth(shares: FloatArray) -> FloatArray:
    """Return shares (n,) averaged over five neighbours, as single indices have no meaning of their own."""
    padded = np.pad(shares, 2, mode="edge")
    smooth = np.convolve(padded, np.full(5, 0.2), mode="valid")
    return np.asarray(smooth / smooth.sum())
