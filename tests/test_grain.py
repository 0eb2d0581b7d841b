"""The grain of images: normal numbers from counters, and noise that an enlarged recording correlates."""

import math

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.grain import draw_normals, normal_quantiles
from afsim.optics import lta49_diopters
from afsim.sensor import SENSORS, make_sensor
from afsim.stack import FocalStack, Levels
from afsim.stackset import StackSet
from tests.rig import SHIFTING, make_flat, shoot, variance


# ---------------------------------------------------------------------- normal numbers
def test_the_table_of_normal_numbers_is_normal() -> None:
    table = normal_quantiles().astype(np.float64)
    assert table.shape == (65536,)
    assert table.mean() == pytest.approx(0.0, abs=1e-6)
    assert table.var() == pytest.approx(1.0, abs=1e-6)
    assert (table**4).mean() == pytest.approx(3.0, abs=0.003)
    assert 4.3 < table.max() == pytest.approx(-table.min())
    assert (np.diff(table) >= 0).all()


def test_drawn_numbers_are_normal_and_independent() -> None:
    drawn = np.empty(1 << 20, np.float32)
    draw_normals(np.uint64(5), normal_quantiles(), drawn)
    values = drawn.astype(np.float64)
    count = len(values)
    assert abs(values.mean()) < 4.0 / math.sqrt(count)
    assert values.var() == pytest.approx(1.0, abs=4.0 * math.sqrt(2.0 / count))
    assert (values**4).mean() == pytest.approx(3.0, abs=4.0 * math.sqrt(96.0 / count))
    # Correlation at every distance, by Wiener and Khinchin.
    correlation = np.fft.irfft(np.abs(np.fft.rfft(values)) ** 2)[1 : count // 2] / count
    assert np.abs(correlation).max() < 6.0 / math.sqrt(count)


def test_drawn_numbers_do_not_depend_on_how_many_are_drawn_but_on_their_key() -> None:
    first, second, other = (np.empty(64, np.float32) for _ in range(3))
    for key, out in ((5, first), (5, second), (6, other)):
        draw_normals(np.uint64(key), normal_quantiles(), out)
    np.testing.assert_array_equal(first, second)
    assert (first != other).all()


# ---------------------------------------------------------------------- enlarged recordings
def make_enlarged(axis: str, noise: tuple[float, float], *, count: int = 24, size: int = 64) -> StackSet:
    """Make flat stacks whose noise is that of dual pixels, enlarged bilinearly along an axis as recordings are."""
    rng = np.random.default_rng(1)
    native = rng.standard_normal((count, 4, 2, size // 2 + 2, size)) * math.sqrt(noise[0] * 0.4 + noise[1])
    stored = np.empty((count, 4, 2, size, size))
    stored[..., 0::2, :] = 0.75 * native[..., 1:-1, :] + 0.25 * native[..., :-2, :]
    stored[..., 1::2, :] = 0.75 * native[..., 1:-1, :] + 0.25 * native[..., 2:, :]
    images = 0.4 + (stored if axis == "rows" else stored.swapaxes(-1, -2))
    scale = Levels(1024, 16368)
    raw = np.rint(scale.black + (scale.white - scale.black) * images).astype(np.uint16)
    told = (0.625 * noise[0], 0.625 * noise[1])
    return StackSet.from_stacks(
        [
            FocalStack(each, scale, diopters=lta49_diopters()[:4], noise=told, name=str(i))
            for i, each in enumerate(raw)
        ],
        {"upsampled": axis},
    )


@pytest.mark.parametrize("shift", [(0.5, 0.0), (0.0, 0.25), (0.0, 0.5), (0.5, 0.5), (1.3, -2.8)])
@pytest.mark.parametrize("axis", ["rows", "columns"])
@pytest.mark.parametrize("sensor", ["recorded", "dark"])
def test_shifts_leave_the_noise_of_enlarged_recordings_as_it_should_be(
    sensor: str, axis: str, shift: tuple[float, float]
) -> None:
    native = (2e-3, 1e-5)
    camera = Camera(make_enlarged(axis, native), SHIFTING, SENSORS[sensor], margin=4)
    images = shoot(camera, np.arange(24), 1.5, shifts=shift)
    shot, read = np.maximum(native, SENSORS[sensor].noise(2))
    assert variance(images) == pytest.approx(0.625 * (shot * 0.4 + read), rel=0.03)


@pytest.mark.parametrize("margin", [0, 3, 4])
@pytest.mark.parametrize(("axis", "number"), [("rows", 2), ("columns", 3)])
def test_noise_of_an_enlarged_recording_is_correlated_along_that_axis_alone(
    axis: str, number: int, margin: int
) -> None:
    flat = make_flat([0.4], size=128)
    stacks = StackSet(flat.geometry, flat.images, flat._index, {"upsampled": axis})
    images = shoot(Camera(stacks, sensor=make_sensor("dim,bits=16"), margin=margin), [0] * 12, 1.0)
    noise = np.moveaxis(images.astype(np.float64) - images.mean(), number, 0)
    native = make_sensor("dim").noise(2)
    # Bilinear enlargement by two, half-pixel centres: neighbours share 0.5625 and 0.375 in turn, the next 0.1875.
    shares = [noise.var(), (noise[1:] * noise[:-1]).mean(), (noise[2:] * noise[:-2]).mean()]
    expected = np.array([0.625, 0.46875, 0.1875]) * (native.shot * 0.4 + native.read)
    np.testing.assert_allclose(shares, expected, rtol=0.02)
    across = np.moveaxis(images.astype(np.float64) - images.mean(), 5 - number, 0)
    assert abs((across[1:] * across[:-1]).mean()) < 0.02 * expected[0]
    # Which neighbours share more is fixed in the recording, whatever is cut off.
    pairs = (noise[1:] * noise[:-1]).reshape(len(noise) - 1, -1).mean(axis=1)
    twins, strangers = pairs[margin % 2 :: 2], pairs[1 - margin % 2 :: 2]
    assert twins.min() > strangers.max()
