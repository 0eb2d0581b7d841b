"""What noise alone adds to contrast measures: a pedestal that depends on the light and not on the focus."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import convolve

from afsim.camera import Camera
from afsim.measures import laplacian_variance, mean_gradient_magnitude
from afsim.sensor import SENSORS
from afsim.stack import FocalStack, Levels
from afsim.stackset import StackSet
from tests.rig import shoot

FloatArray = npt.NDArray[np.float64]

SIZE, LANES, LEVEL = 128, 32, 0.3
QUANTISATION = 1.0 / 12.0 / 959.0**2
FOUR_NEIGHBOURS = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
# The views' mean, green, has half the variance of each view, rounding included.
LIGHTS = ["bright", "indoor", "dim"]


def greens(light: str) -> tuple[npt.NDArray[np.float32], float]:
    """Expose a flat recording in some light; return green (lanes, H, W) and the variance of its noise."""
    levels = Levels(64, 1023)
    raw = round(levels.black + LEVEL * (levels.white - levels.black))
    stack = FocalStack(np.full((2, 2, SIZE, SIZE), raw, np.uint16), levels, noise=(0.0, 0.0), name="flat")
    images = shoot(Camera(StackSet.from_stacks([stack]), sensor=SENSORS[light]), np.zeros(LANES), 0)
    shot, read = SENSORS[light].noise(1)
    exact = (raw - levels.black) / (levels.white - levels.black)
    return images.mean(axis=1), shot * exact + read + QUANTISATION / 2.0


def inner(images: FloatArray) -> FloatArray:
    """Leave out the borders, where replicated pixels are not independent."""
    return images[..., 1:-1, 1:-1]


@pytest.mark.parametrize("light", LIGHTS)
def test_noise_raises_the_laplacian_of_four_neighbours_to_20_variances(light: str) -> None:
    green, variance = greens(light)
    laplacian = inner(convolve(green.astype(np.float64), FOUR_NEIGHBOURS[None]))
    assert laplacian.var() == pytest.approx(20.0 * variance, rel=0.02)


@pytest.mark.parametrize("light", LIGHTS)
def test_noise_raises_the_laplacian_measure_by_the_squares_of_its_kernel(light: str) -> None:
    green, variance = greens(light)
    # (4 * 4^2 + 4 * 1^2 + 20^2) / 6^2; borders are one pixel in 32.
    assert laplacian_variance(green).mean() == pytest.approx(13.0 * variance, rel=0.03)


@pytest.mark.parametrize("light", LIGHTS)
def test_noise_raises_the_gradient_energy_of_sobel_over_4_to_one_and_a_half_variances(light: str) -> None:
    green, variance = greens(light)
    # The measure's kernels are not over 4.
    assert mean_gradient_magnitude(green).mean() / 16.0 == pytest.approx(1.5 * variance, rel=0.03)


@pytest.mark.parametrize("measure", [laplacian_variance, mean_gradient_magnitude])
def test_the_pedestal_is_the_same_at_every_focus_and_grows_as_light_fades(measure: object) -> None:
    assert callable(measure)
    pedestals = [float(measure(greens(light)[0]).mean()) for light in ("none", *LIGHTS, "dark")]
    assert pedestals[0] == 0.0
    assert (np.diff(pedestals) > 0).all()
