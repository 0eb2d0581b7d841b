"""Statistics of one focal stack, by which rendered stacks are compared with recorded ones."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.dualpixel import AXES, Axis
from afsim.measures import relative_sharpness
from afsim.noisefit import estimate_noise, noise_spectrum
from afsim.stack import FocalStack
from afsim.zoomfit import Breathing, breathing

FloatArray = npt.NDArray[np.float64]

# Drift of a slice's brightness that breathing brings, as content enters and leaves: smooth over the stack.
_DRIFT_DEGREE: Final = 5
PEAKS: Final = ("total variation L1", "total variation L2", "Laplacian energy", "variance")


class StackStatistics(NamedTuple):
    """What :func:`stack_statistics` measures; NaN where a stack does not determine it.

    All but ``name``, ``scene`` and ``brightness`` are of the green image (the mean of the views) in linear light,
    0 black and 1 white.
    """

    name: str
    scene: str
    shot: float
    """Noise variance per signal, S, of a stored pixel."""
    read: float
    """Noise variance without signal, O."""
    frequency: FloatArray
    """(M,) cycles per pixel of the noise spectra."""
    noise_along: FloatArray
    """(M,) power of the noise along the axis of the dual pixels' split, relative to its mean."""
    noise_across: FloatArray
    """(M,) the same across the split."""
    level: float
    """Mean signal of all slices."""
    highest: float
    """Brightest pixel of all slices."""
    truth: float
    """Index in focus: exact where known, else the label."""
    contrast: float
    """Standard deviation over mean of the slice in focus."""
    gradient_along: tuple[float, float, float, float]
    """Of neighbours' absolute differences along the split, over the mean signal, in focus: mean, and 50th, 90th
    and 99th percentile."""
    gradient_across: float
    """The mean across the split."""
    peaks: tuple[float, float, float, float]
    """ln(largest / median over the slices) of the measures :data:`PEAKS`."""
    flicker: FloatArray
    """(n,) log of the slices' mean signal, less its smooth drift."""
    drift: float
    """Smooth mean signal of the nearest slice over that of the farthest."""
    breathing: Breathing


def stack_statistics(stack: FocalStack, *, split: Axis | None = None) -> StackStatistics:
    """Measure a stack.

    Parameters
    ----------
    stack : FocalStack
        At least five slices of at least 32 x 32 pixels.
    split : {"rows", "columns"}, optional
        Axis along which the dual pixels are split; that of the stack's metadata by default, else columns.

    Notes
    -----
    In focus is the slice nearest to the truth, without one the sharpest by mean local norm-dist-sq. The noise of
    green is that of one view over the number of views. Breathing is measured where the truth is known.
    """
    green = stack.green().astype(np.float64)
    along: Axis = split or ("rows" if stack.metadata.get("dp_axis") == "rows" else "columns")
    truth = _truth(stack)
    focus = int(np.argmax(relative_sharpness(stack.green()))) if np.isnan(truth) else round(truth)
    image = green[focus]
    mean = max(float(image.mean()), 1e-9)
    shot, read = (value / stack.geometry.views for value in estimate_noise(stack))
    spectrum = noise_spectrum(stack)
    spectra = {"columns": spectrum.along_rows, "rows": spectrum.along_columns}
    across: Axis = "rows" if along == "columns" else "columns"
    differences = np.abs(np.diff(image, axis=AXES[along])) / mean
    flicker, drift = _flicker(green)
    return StackStatistics(
        name=stack.name,
        scene=stack.scene,
        shot=shot,
        read=read,
        frequency=spectrum.frequency,
        noise_along=spectra[along],
        noise_across=spectra[across],
        level=float(green.mean()),
        highest=float(green.max()),
        truth=truth,
        contrast=float(image.std()) / mean,
        gradient_along=_mean_and_percentiles(differences),
        gradient_across=float(np.abs(np.diff(image, axis=AXES[across])).mean()) / mean,
        peaks=_peaks(green),
        flicker=flicker,
        drift=drift,
        breathing=_breathing(stack, focus),
    )


def correlation_of_flicker(first: StackStatistics, second: StackStatistics) -> float:
    """Return how far the brightness of two stacks flickers together: 1 where they were cut from the same frames."""
    return float(np.corrcoef(first.flicker, second.flicker)[0, 1])


def _truth(stack: FocalStack) -> float:
    if stack.best_index_exact is not None:
        return stack.best_index_exact
    return float("nan") if stack.best_index is None else float(stack.best_index)


def _mean_and_percentiles(values: FloatArray) -> tuple[float, float, float, float]:
    middle, high, highest = np.percentile(values, [50, 90, 99])
    return float(values.mean()), float(middle), float(high), float(highest)


def _peaks(green: FloatArray) -> tuple[float, float, float, float]:
    """Return ln(largest / median) of each of :data:`PEAKS`, on inner pixels."""
    dy, dx = np.diff(green, axis=1)[:, :, :-1], np.diff(green, axis=2)[:, :-1]
    inner = green[:, 1:-1, 1:-1]
    four = green[:, :-2, 1:-1] + green[:, 2:, 1:-1] + green[:, 1:-1, :-2] + green[:, 1:-1, 2:]
    scores = (
        (np.abs(dx) + np.abs(dy)).mean(axis=(1, 2)),
        (dx**2 + dy**2).mean(axis=(1, 2)),
        ((four - 4.0 * inner) ** 2).mean(axis=(1, 2)),
        green.var(axis=(1, 2)),
    )
    one, two, three, four_ = (float(np.log(max(s.max(), 1e-30) / max(float(np.median(s)), 1e-30))) for s in scores)
    return one, two, three, four_


def _flicker(green: FloatArray) -> tuple[FloatArray, float]:
    """Split the log of the slices' mean signal into flicker (n,) and smooth drift, last over first."""
    brightness = np.log(np.maximum(green.mean(axis=(1, 2)), 1e-9))
    k = np.linspace(-1.0, 1.0, len(brightness))
    smooth = np.polynomial.polynomial.Polynomial.fit(k, brightness, _DRIFT_DEGREE)
    return brightness - smooth(k), float(np.exp(smooth(1.0) - smooth(-1.0)))


def _breathing(stack: FocalStack, focus: int) -> Breathing:
    known = stack.best_index is not None or stack.best_index_exact is not None
    if known and stack.diopters is not None:
        return breathing(stack, focus)
    nan = float("nan")
    return Breathing(nan, nan, nan, nan, 0)
