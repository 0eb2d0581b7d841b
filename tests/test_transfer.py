"""Transfer functions against closed forms and against direct sums over the pupil."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import j1, struve

from afsim.transfer import diffraction_transfer, half_disc_transfer, pixel_transfer

FREQUENCIES = np.linspace(-0.5, 0.5, 41)
POSITIVE = np.linspace(0.0125, 0.5, 40)
DIAMETERS = [0.02, 0.5, -5.0, 39.0]
HALF_DISC_SHIFT = 4.0 / (3.0 * np.pi)  # centroid of a half disc of radius 1


@pytest.mark.parametrize("diameter", DIAMETERS)
def test_mean_of_the_views_is_the_disc(diameter: float) -> None:
    left = half_disc_transfer(diameter, FREQUENCIES, FREQUENCIES)
    z = np.pi * diameter * np.hypot(FREQUENCIES[:, None], FREQUENCIES[None, :])
    disc = np.divide(2.0 * j1(z), z, out=np.ones_like(z), where=z != 0)
    np.testing.assert_allclose((left + left.conj()) / 2.0, disc, atol=1e-12)


@pytest.mark.parametrize("diameter", DIAMETERS)
def test_difference_of_the_views_along_the_split_is_a_struve_function(diameter: float) -> None:
    left = half_disc_transfer(diameter, [0.0], POSITIVE)[0]
    z = np.pi * diameter * POSITIVE
    np.testing.assert_allclose(left.imag, 2.0 * struve(1, z) / z, atol=1e-12)


def test_half_disc_is_a_sum_over_half_the_pupil() -> None:
    diameter, fy, fx = 6.0, np.array([0.0, 0.11, -0.37]), np.array([0.0, 0.08, 0.41])
    middle = (np.arange(1000) + 0.5) / 500.0 - 1.0
    u_y, u_x = np.meshgrid(middle, middle, indexing="ij")
    inside = (u_x < 0) & (u_x**2 + u_y**2 <= 1.0)
    y, x = diameter / 2.0 * u_y[inside], diameter / 2.0 * u_x[inside]
    sums = [[np.exp(-2j * np.pi * (a * y + b * x)).mean() for b in fx] for a in fy]
    np.testing.assert_allclose(half_disc_transfer(diameter, fy, fx), sums, atol=1e-4)


@pytest.mark.parametrize("diameter", [0.5, 3.0, 20.0])
def test_disparity_is_0_42_of_the_blur_diameter_however_small(diameter: float) -> None:
    # A shift of the centroid by d is a phase of -2 pi f d near frequency zero.
    f = 1e-4 / diameter
    left = half_disc_transfer(diameter, [0.0], [f])[0, 0]
    disparity = 2.0 * np.angle(left) / (2.0 * np.pi * f)
    assert disparity == pytest.approx(HALF_DISC_SHIFT * diameter, rel=1e-6)
    assert disparity == pytest.approx(0.4244 * diameter, rel=1e-3)


@pytest.mark.parametrize("diameter", [0.5, 3.0, 20.0])
def test_second_moment_of_the_disc_is_a_sixteenth_of_its_diameter_squared(diameter: float) -> None:
    f = 1e-3 / diameter
    for fy, fx in ((f, 0.0), (0.0, f)):
        disc = half_disc_transfer(diameter, [fy], [fx])[0, 0].real
        assert (1.0 - disc) / (2.0 * np.pi**2 * f**2) == pytest.approx(diameter**2 / 16.0, rel=1e-4)


@pytest.mark.parametrize("diameter", [2.0, 5.0, 10.0, 20.0])
def test_matching_the_views_measures_a_little_more_than_their_centroids(diameter: float) -> None:
    # The best sum of squared differences for natural images (amplitude 1/f): 1 to 2 % above the centroids' 0.4244.
    fy, fx = np.fft.fftfreq(255), np.fft.rfftfreq(255)
    left = half_disc_transfer(diameter, fy, fx)
    power = (fx > 0) / np.maximum(fy[:, None] ** 2 + fx**2, 1e-9)
    shifts = diameter * np.linspace(0.40, 0.50, 201)
    differences = [(power * np.abs(left * np.exp(-2j * np.pi * fx * s) - left.conj()) ** 2).sum() for s in shifts]
    assert shifts[np.argmin(differences)] / diameter == pytest.approx(0.431, abs=0.005)


def test_blur_of_the_other_sign_swaps_the_views() -> None:
    left = half_disc_transfer(7.0, FREQUENCIES, FREQUENCIES)
    np.testing.assert_array_equal(half_disc_transfer(-7.0, FREQUENCIES, FREQUENCIES), left.conj())


@pytest.mark.parametrize("diameter", [0.0, *DIAMETERS])
def test_energy_is_kept(diameter: float) -> None:
    assert half_disc_transfer(diameter, [0.0], [0.0])[0, 0] == pytest.approx(1.0, abs=1e-14)


def test_no_blur_is_no_change() -> None:
    np.testing.assert_allclose(half_disc_transfer(0.0, FREQUENCIES, FREQUENCIES), 1.0, atol=1e-14)


def test_batched_is_single() -> None:
    diameters = np.array([-3.0, 0.4, 12.0])
    zooms = np.array([0.98, 1.0, 1.02])[:, None]
    batched = half_disc_transfer(diameters, zooms * FREQUENCIES, zooms * FREQUENCIES)
    assert batched.shape == (3, 41, 41)
    for i in range(3):
        single = half_disc_transfer(diameters[i], zooms[i] * FREQUENCIES, zooms[i] * FREQUENCIES)
        np.testing.assert_allclose(batched[i], single, atol=1e-12)


def _sharp(f: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.asarray((diffraction_transfer([0.0], f) * pixel_transfer([0.0], f))[0])


def test_lens_and_pixel_in_focus() -> None:
    np.testing.assert_allclose(_sharp([0.0, 0.25, 0.5]), [1.0, 0.80, 0.50], atol=0.005)
    assert (np.diff(_sharp(np.linspace(0.0, 0.5, 50))) < 0).all()


def test_diffraction_ends_at_the_cutoff_of_the_aperture() -> None:
    cutoff = 2.8e-6 / (530e-9 * 1.8)
    assert cutoff == pytest.approx(2.94, abs=0.005)
    assert diffraction_transfer([0.0], [0.999 * cutoff])[0, 0] > 0
    np.testing.assert_array_equal(diffraction_transfer([cutoff], [0.0, cutoff]), 0.0)


def test_pixel_is_blind_to_whole_cycles() -> None:
    np.testing.assert_allclose(pixel_transfer([1.0, 0.3], [2.0]), 0.0, atol=1e-15)
