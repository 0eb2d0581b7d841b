"""What is drawn for a stack besides its scene: place, depth, light, noise, flicker, mismatch, shake, label error.

Every stack draws from generators of its own, seeded by the set's seed, the stack's number and what the draw is for.
So no stack depends on another, and noise, flicker or label errors can be left out without changing the scene.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError
from afsim.mixture import Mixture, Range, Weights

FloatArray = npt.NDArray[np.float64]


class Stream(IntEnum):
    """What a stack's draws are for; each purpose has a generator of its own."""

    FIELD = 1
    SCENE = 2
    LIGHT = 3
    NOISE = 4
    FLICKER = 5
    VIEWS = 6
    SHAKE = 7
    LABEL = 8


def stream(seed: int, i: int, purpose: Stream) -> np.random.Generator:
    """Return the generator of stack number ``i`` >= 0 for one purpose, of the set with ``seed`` >= 0."""
    return np.random.default_rng([seed, i, int(purpose)])


class Light(NamedTuple):
    """Mean signal of a patch (white = 1), and noise (S, O) of one view on the native grid."""

    level: float
    shot: float
    read: float


class ViewMismatch(NamedTuple):
    """How the views differ besides disparity: change of their ratio across the patch in x and y, gain, offset."""

    shading_x: float
    shading_y: float
    gain: float
    offset_px: float


def choose(rng: np.random.Generator, weights: Weights) -> str:
    """Draw a name by its weight."""
    return weights[int(rng.choice(len(weights), p=[weight for _, weight in weights]))][0]


def log_uniform(rng: np.random.Generator, bounds: Range) -> float:
    """Draw a number whose logarithm is uniform between the bounds."""
    return float(np.exp(rng.uniform(*np.log(bounds))))


def draw_index(mixture: Mixture, rng: np.random.Generator) -> float:
    """Draw the fractional index of the main surface."""
    return float(np.clip(rng.gamma(mixture.depth_shape, mixture.depth_scale), *mixture.depth_range))


def draw_field(mixture: Mixture, rng: np.random.Generator, frame_px: tuple[int, int], size: int) -> FloatArray:
    """Draw the centre (2,) of a patch from the principal point, x and y in pixels; it lies wholly in the frame.

    Raises
    ------
    AfsimError
        Where no patch of ``size`` in the frame lies within ``mixture.field_px``.
    """
    reach = (np.array(frame_px) - size) / 2.0
    if reach.min() < 0 or np.hypot(*reach) <= mixture.field_px[0]:
        raise AfsimError(f"no patch of {size} px in a frame of {frame_px} lies within {mixture.field_px} px")
    while True:
        field = rng.uniform(-1.0, 1.0, 2) * reach
        if mixture.field_px[0] <= np.hypot(*field) <= mixture.field_px[1]:
            return np.asarray(field)


def draw_light(mixture: Mixture, rng: np.random.Generator) -> Light:
    """Draw the exposure level and the noise of one view."""
    level = np.exp(rng.normal(mixture.level_log_mean, mixture.level_log_sd)).clip(*mixture.level_range)
    shot = np.exp(rng.normal(mixture.shot_log_mean, mixture.shot_log_sd))
    return Light(float(level), 2.0 * float(shot), 2.0 * mixture.read)


def draw_frame_gains(mixture: Mixture, rng: np.random.Generator, n: int) -> FloatArray:
    """Draw the gain of each of ``n`` frames, (n,): flicker with its jumps, times a smooth change."""
    kind = int(rng.choice(3, p=mixture.flicker_share))
    fresh = rng.standard_normal(n)
    flicker, lag = fresh.copy(), mixture.flicker_lag
    for k in range(1, n):
        flicker[k] = lag * flicker[k - 1] + math.sqrt(1.0 - lag**2) * fresh[k]
    log_gain = mixture.flicker_sd[kind] * flicker
    jumps = rng.poisson(mixture.flicker_jumps) if kind == 2 else 0
    for k in rng.choice(n, size=min(jumps, n), replace=False):
        log_gain[k] += rng.choice([-1.0, 1.0]) * rng.uniform(*mixture.flicker_jump)
    slow = rng.uniform(0.0, mixture.slow_gain)
    phase, turns = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.25, 1.0)
    return np.asarray(np.exp(log_gain) * (1.0 + slow * np.sin(phase + 2.0 * np.pi * turns * np.arange(n) / n)))


def draw_view_mismatch(mixture: Mixture, rng: np.random.Generator) -> ViewMismatch:
    """Draw how the views of one stack differ besides disparity."""
    x, y = rng.normal(0.0, mixture.view_shading_sd, 2)
    gain, offset = rng.normal(0.0, (mixture.view_gain_sd, mixture.view_offset_sd_px))
    return ViewMismatch(float(x), float(y), float(gain), float(offset))


def draw_shifts(mixture: Mixture, rng: np.random.Generator, n: int) -> FloatArray:
    """Draw how far each of ``n`` slices lies off sideways, (n, 2), x and y in pixels: jitter and steady drift."""
    drift = rng.normal(0.0, mixture.drift_px, 2)
    jitter = rng.normal(0.0, mixture.jitter_px, (n, 2))
    return np.asarray(jitter + np.linspace(-0.5, 0.5, n)[:, None] * drift)


def draw_label_error(mixture: Mixture, rng: np.random.Generator) -> float:
    """Draw the error of a label in index, before it is rounded."""
    error = mixture.label_scale * float(rng.standard_t(mixture.label_dof))
    outlier = float(rng.normal(0.0, mixture.label_outlier_sd))
    return outlier if rng.uniform() < mixture.label_outliers else error
