"""Noise of exposures of evenly lit recordings: its variance is a line in the signal, with slope S and offset O."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from afsim.camera import Camera
from afsim.sensor import SENSORS, Sensor
from afsim.stack import FocalStack, Levels
from afsim.stackset import StackSet
from tests.rig import shoot

# So much room below black that no noise is cut off there, which would hide the read noise.
LEVELS = Levels(30_000, 60_000)
SIZE, LANES = 128, 48
QUANTISATION = 1.0 / 12.0 / 959.0**2


def evenly_lit(level: float) -> StackSet:
    """Record a scene of one level (black 0, white 1) without noise, in both views."""
    raw = round(LEVELS.black + level * (LEVELS.white - LEVELS.black))
    return StackSet.from_stacks(
        [FocalStack(np.full((2, 2, SIZE, SIZE), raw, np.uint16), LEVELS, noise=(0.0, 0.0), name="even")]
    )


def exposures(level: float, sensor: Sensor, seed: int) -> npt.NDArray[np.float32]:
    """Expose both views (lanes, 2, H, W) of an evenly lit scene."""
    return shoot(Camera(evenly_lit(level), sensor=sensor), np.zeros(LANES), 0, seed=seed)


@pytest.mark.parametrize("binned", [1, 4])
@pytest.mark.parametrize("iso", [55.0, 1600.0, 6400.0])
@pytest.mark.parametrize("views", [1, 2])
def test_variance_is_a_line_of_slope_shot_and_offset_read_and_rounding(iso: float, binned: int, views: int) -> None:
    sensor = replace(SENSORS["dim"], iso=iso, binned=binned)
    shot, read = sensor.noise(views)
    means, variances = [], []
    # Levels at which neither kind of noise outweighs the other, so that both are measurable, and at which the noise
    # is so much wider than a digit that rounding adds its usual variance.
    for step in range(1, 6):
        images = exposures(step * read / shot, sensor, seed=step).astype(np.float64)
        seen = images.mean(axis=1) if views == 1 else images
        means.append(seen.mean())
        variances.append(seen.var())
    slope, intercept = np.polyfit(means, variances, 1)
    assert slope == pytest.approx(shot, rel=0.01)
    # Green is the mean of two numbers that were rounded each.
    assert intercept == pytest.approx(read + QUANTISATION * views / 2.0, rel=0.02)


def test_noise_of_the_views_is_independent() -> None:
    left, right = exposures(0.3, SENSORS["dark"], seed=1).swapaxes(0, 1)
    assert np.corrcoef(left.ravel(), right.ravel())[0, 1] == pytest.approx(0.0, abs=0.005)
