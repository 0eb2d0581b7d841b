"""Transfer functions against closed forms, against an independent quadrature and against direct sums."""

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import j1, struve

from afsim.optics import Optics
from afsim.pupil import PUPILS, Pupil, alpha_of, make_pupil, transmission
from afsim.transfer import defocus_parts, defocus_transfer, diffraction_transfer, sampling_transfer, waves

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

FREQUENCIES = np.linspace(-0.5, 0.5, 41)
POSITIVE = np.linspace(0.0125, 0.5, 40)
DIAMETERS = [0.02, 0.5, -5.0, 39.0]
HALF_DISC_SHIFT = 4.0 / (3.0 * np.pi)  # centroid of a half disc of radius 1
FINE = 256  # cells of a pupil that stands for a continuous one


@cache
def _pupil(model: str) -> Pupil:
    return make_pupil(model, cells=FINE)


def _half_disc_quadrature(diameter: float, fy: npt.ArrayLike, fx: npt.ArrayLike) -> ComplexArray:
    """Return the left view's transfer function of ideal half discs, by Gauss-Legendre quadrature.

    With a = pi c fx, b = pi c fy and u_x = -sin t the integral over the half disc is
    2/pi int_0^(pi/2) exp(i a sin t) 2 cos(t)^2 sinc(b cos t) dt.
    """
    cycles_y, cycles_x = diameter * np.asarray(fy), diameter * np.asarray(fx)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    t, weight = np.pi / 4.0 * (nodes + 1.0), np.pi / 4.0 * weights
    rows = 4.0 / np.pi * weight * np.cos(t) ** 2 * np.sinc(cycles_y[:, None] * np.cos(t))
    return np.asarray(rows @ np.exp(1j * np.pi * cycles_x * np.sin(t)[:, None]))


def _disc_bessel(diameter: float, fy: FloatArray, fx: FloatArray) -> FloatArray:
    z = np.pi * diameter * np.hypot(fy[:, None], fx)
    return np.divide(2.0 * j1(z), z, out=np.ones_like(z), where=z != 0)


@pytest.mark.parametrize("model", ["disc", "half_disc", "soft_split", "linear_ramp"])
@pytest.mark.parametrize("diameter", DIAMETERS)
def test_mean_of_the_views_is_the_disc(model: str, diameter: float) -> None:
    green = defocus_transfer(_pupil(model), diameter, FREQUENCIES, FREQUENCIES).mean(axis=0)
    np.testing.assert_allclose(green, _disc_bessel(diameter, FREQUENCIES, FREQUENCIES), atol=1e-3)


@pytest.mark.parametrize("diameter", DIAMETERS)
def test_half_disc_agrees_with_the_quadrature(diameter: float) -> None:
    left, right = defocus_transfer(_pupil("half_disc"), diameter, FREQUENCIES, FREQUENCIES)
    expected = _half_disc_quadrature(diameter, FREQUENCIES, FREQUENCIES)
    np.testing.assert_allclose(left, expected, atol=1e-3)
    np.testing.assert_allclose(right, expected.conj(), atol=1e-3)


def test_the_default_cells_are_enough_for_a_whole_stack() -> None:
    for diameter in (5.0, 39.0):
        coarse = defocus_transfer(make_pupil("half_disc"), diameter, FREQUENCIES, FREQUENCIES)[0]
        expected = _half_disc_quadrature(diameter, FREQUENCIES, FREQUENCIES)
        np.testing.assert_allclose(coarse, expected, atol=5e-3)


@pytest.mark.parametrize("diameter", DIAMETERS)
def test_difference_of_half_discs_along_the_split_is_a_struve_function(diameter: float) -> None:
    left = defocus_transfer(_pupil("half_disc"), diameter, [0.0], POSITIVE)[0, 0]
    z = np.pi * diameter * POSITIVE
    np.testing.assert_allclose(left.imag, 2.0 * struve(1, z) / z, atol=1e-3)


@pytest.mark.parametrize("diameter", [0.5, 3.0, -20.0])
def test_gaussian_is_a_gaussian(diameter: float) -> None:
    left = defocus_transfer(_pupil("gaussian"), diameter, FREQUENCIES, FREQUENCIES)[0]
    squared = FREQUENCIES[:, None] ** 2 + FREQUENCIES**2
    np.testing.assert_allclose(left, np.exp(-2.0 * (np.pi * diameter / 4.0) ** 2 * squared), atol=5e-4)


def test_a_cell_is_exact() -> None:
    # A pupil of one cell blurs by a square; of two, by squares beside each other.
    square = Pupil(np.ones((1, 1)), np.ones((1, 1)))
    expected = np.sinc(7.3 * FREQUENCIES)[:, None] * np.sinc(7.3 * FREQUENCIES)
    np.testing.assert_allclose(defocus_transfer(square, 7.3, FREQUENCIES, FREQUENCIES)[0], expected, atol=1e-14)
    halves = Pupil(np.array([[0.5, 0.0], [0.5, 0.0]]), np.array([[0.0, 0.5], [0.0, 0.5]]))
    left, right = defocus_transfer(halves, 7.3, FREQUENCIES, FREQUENCIES)
    np.testing.assert_allclose((left + right) / 2.0, expected, atol=1e-14)


def test_any_pupil_is_a_sum_over_its_cells() -> None:
    rng = np.random.default_rng(0)
    light, diameter, fy, fx = (
        rng.uniform(size=(2, 12, 12)),
        -6.0,
        np.array([0.0, 0.11, -0.37]),
        np.array([0.08, 0.41]),
    )
    pupil = Pupil(light[0], light[1], support=1.3)
    # Each cell as 20 x 20 points.
    line = 1.3 * ((np.arange(240) + 0.5) / 120.0 - 1.0) * diameter / 2.0
    points = np.kron(light, np.full((20, 20), 1.0 / 400.0))
    wave_y, wave_x = (np.exp(-2j * np.pi * np.multiply.outer(f, line)) for f in (fy, fx))
    np.testing.assert_allclose(defocus_transfer(pupil, diameter, fy, fx), wave_y @ points @ wave_x.T, rtol=1e-3)


def test_a_pupil_may_have_a_middle_cell() -> None:
    light = np.random.default_rng(0).uniform(size=(2, 3, 3))
    finer = np.kron(light, np.full((2, 2), 0.25))
    odd, even = (defocus_transfer(Pupil(*views), 5.0, FREQUENCIES, FREQUENCIES) for views in (light, finer))
    np.testing.assert_allclose(odd, even, atol=1e-12)


@pytest.mark.parametrize("model", PUPILS)
@pytest.mark.parametrize("diameter", [0.5, 3.0, -20.0])
def test_disparity_is_alpha_times_the_blur_diameter_however_small(model: str, diameter: float) -> None:
    # A shift of the centroid by d is a phase of -2 pi f d near frequency zero.
    pupil = make_pupil(model, field=(0.4, 0.3))
    f = 1e-4 / diameter
    left, right = defocus_transfer(pupil, diameter, [0.0], [f])[:, 0, 0]
    disparity = np.angle(left / right) / (2.0 * np.pi * f)
    assert disparity == pytest.approx(alpha_of(pupil) * diameter, rel=1e-6, abs=1e-9)


def test_half_a_pixel_of_blur_has_its_disparity() -> None:
    left = defocus_transfer(make_pupil("half_disc"), 0.5, [0.0], [1e-4])[0, 0, 0]
    assert 2.0 * np.angle(left) / (2.0 * np.pi * 1e-4) == pytest.approx(0.21, abs=0.003)
    assert np.angle(left) / (np.pi * 1e-4) == pytest.approx(HALF_DISC_SHIFT * 0.5, rel=1e-3)


@pytest.mark.parametrize("model", ["disc", "soft_split"])
def test_second_moment_of_the_disc_is_a_sixteenth_of_its_diameter_squared(model: str) -> None:
    for diameter in (0.5, 20.0):
        f = 1e-3 / diameter
        for fy, fx in ((f, 0.0), (0.0, f)):
            disc = defocus_transfer(make_pupil(model), diameter, [fy], [fx])[:, 0, 0].mean().real
            assert (1.0 - disc) / (2.0 * np.pi**2 * f**2) == pytest.approx(diameter**2 / 16.0, rel=2e-3)


@pytest.mark.parametrize("diameter", [2.0, 5.0, 10.0, 20.0])
def test_matching_half_discs_measures_a_little_more_than_their_centroids(diameter: float) -> None:
    # The best sum of squared differences for natural images (amplitude 1/f): 1 to 2 % above the centroids' 0.4244.
    fy, fx = np.fft.fftfreq(255), np.fft.rfftfreq(255)
    left = defocus_transfer(make_pupil("half_disc"), diameter, fy, fx)[0]
    power = (fx > 0) / np.maximum(fy[:, None] ** 2 + fx**2, 1e-9)
    shifts = diameter * np.linspace(0.40, 0.50, 201)
    differences = [(power * np.abs(left * np.exp(-2j * np.pi * fx * s) - left.conj()) ** 2).sum() for s in shifts]
    assert shifts[np.argmin(differences)] / diameter == pytest.approx(0.431, abs=0.005)


@pytest.mark.parametrize("model", PUPILS)
def test_blur_of_the_other_sign_swaps_the_views(model: str) -> None:
    left, right = defocus_transfer(make_pupil(model), 7.0, FREQUENCIES, FREQUENCIES)
    swapped = defocus_transfer(make_pupil(model), -7.0, FREQUENCIES, FREQUENCIES)
    if model != "hexagon":
        np.testing.assert_allclose(swapped, [right, left], atol=1e-12)
    # Of any pupil, it mirrors the blur through its centre.
    np.testing.assert_allclose(swapped, [left.conj(), right.conj()], atol=1e-12)


@pytest.mark.parametrize("model", PUPILS)
@pytest.mark.parametrize("diameter", [0.0, *DIAMETERS])
def test_energy_is_the_light_let_through(model: str, diameter: float) -> None:
    pupil = make_pupil(model, field=(0.6, -0.2))
    both = defocus_transfer(pupil, diameter, [0.0], [0.0])[:, 0, 0]
    assert both.mean() == pytest.approx(transmission(pupil), abs=1e-12)
    assert both[0] == pytest.approx(pupil.left.sum(), abs=1e-12)


def test_no_blur_is_no_change() -> None:
    np.testing.assert_allclose(defocus_transfer(make_pupil(), 0.0, FREQUENCIES, FREQUENCIES), 1.0, atol=1e-12)
    tiny = defocus_transfer(make_pupil(), 0.01, FREQUENCIES, FREQUENCIES)
    np.testing.assert_allclose(tiny, 1.0, atol=0.01)


def test_batched_is_single() -> None:
    pupil, diameters = make_pupil(field=(0.3, 0.5)), np.array([-3.0, 0.4, 12.0])
    f = np.array([0.98, 1.0, 1.02])[:, None] * FREQUENCIES
    batched = defocus_transfer(pupil, diameters, f, f)
    assert batched.shape == (3, 2, 41, 41)
    for i in range(3):
        np.testing.assert_allclose(batched[i], defocus_transfer(pupil, diameters[i], f[i], f[i]), atol=1e-13)


def test_single_precision_is_double_rounded() -> None:
    f = np.arange(60) / 119.0
    double = defocus_parts(make_pupil(), [39.0], f, f)
    single = defocus_parts(make_pupil(), [39.0], f, f, dtype=np.float32)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_waves_are_cosines_and_sines(dtype: type) -> None:
    f, weights = np.arange(6.0).reshape(2, 3) / 13.0, np.arange(1.0, 7.0).reshape(2, 3)
    for count, positions in ((200, 0.35 + 0.7 * np.arange(100)), (5, 0.7 * np.arange(3))):
        found = waves(f, 0.7, count, weights=weights, dtype=dtype)
        angle = 2.0 * np.pi * f[:, None, :] * positions[:, None]
        expected = np.stack((np.cos(angle), np.sin(angle)), axis=1) * weights[:, None, None]
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_allclose(found, expected, atol=1e-12 if dtype is np.float64 else 1e-6)


def _sharp(f: npt.ArrayLike) -> FloatArray:
    return np.asarray(diffraction_transfer([0.0], f)[0] * sampling_transfer(f))


def test_lens_and_pixel_in_focus() -> None:
    np.testing.assert_allclose(_sharp([0.0, 0.25, 0.5]), [1.0, 0.80, 0.50], atol=0.005)
    assert (np.diff(_sharp(np.linspace(0.0, 0.5, 50))) < 0).all()


def test_diffraction_ends_at_the_cutoff_of_the_aperture() -> None:
    cutoff = 2.8e-6 / (530e-9 * 1.8)
    assert cutoff == pytest.approx(2.94, abs=0.005)
    assert diffraction_transfer([0.0], [0.999 * cutoff])[0, 0] > 0
    np.testing.assert_array_equal(diffraction_transfer([cutoff], [0.0, cutoff]), 0.0)


def test_a_smaller_aperture_diffracts_more() -> None:
    f = np.linspace(0.05, 0.5, 10)
    wide, narrow = (diffraction_transfer([0.0], f, optics=Optics(f_number=n)) for n in (1.8, 4.0))
    assert (narrow < wide).all()


def test_pixel_is_blind_to_whole_cycles_of_its_aperture() -> None:
    np.testing.assert_allclose(sampling_transfer([1.0, 2.0]), 0.0, atol=1e-15)
    np.testing.assert_allclose(sampling_transfer([0.5, 1.0], aperture_px=2.0), 0.0, atol=1e-15)


def test_additional_blur_is_a_gaussian_of_its_sigma() -> None:
    f = np.linspace(0.0, 0.5, 11)
    ratio = sampling_transfer(f, sigma_px=0.8) / sampling_transfer(f)
    np.testing.assert_allclose(ratio, np.exp(-2.0 * (np.pi * 0.8 * f) ** 2), rtol=1e-12)
