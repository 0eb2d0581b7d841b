"""Images as real Fourier series: exact at the pixels, between them, and under blur."""

import numpy as np
import numpy.typing as npt
import pytest

from afsim.fourier import TAPER_PX, blur_series, fade_border, fourier_series
from afsim.pupil import make_pupil
from afsim.transfer import defocus_parts, defocus_transfer, waves

FloatArray = npt.NDArray[np.float64]
SIDE = 45


def _smooth(seed: int = 0) -> FloatArray:
    """Return noise that repeats and has no frequency above 0.4 cycles per pixel."""
    f = np.fft.fftfreq(SIDE)
    noise = np.fft.fft2(np.random.default_rng(seed).standard_normal((SIDE, SIDE)))
    return np.fft.ifft2(noise * (np.abs(f[:, None]) < 0.4) * (np.abs(f) < 0.4)).real


def _evaluate(series: FloatArray, first: float, step: float, count: int) -> FloatArray:
    """Evaluate a series (..., 2, h, 2, h) at count x count points, the first of them at (first, first)."""
    h = series.shape[-1]
    basis = waves(np.arange(h) / SIDE, first, step, count)
    return np.asarray(basis @ series.reshape(*series.shape[:-4], 2 * h, 2 * h) @ basis.T)


def test_a_series_is_the_image_at_its_pixels() -> None:
    image = _smooth()
    np.testing.assert_allclose(_evaluate(fourier_series(image), -(SIDE // 2), 1.0, SIDE), image, atol=1e-12)


def test_a_series_interpolates_exactly() -> None:
    x = np.arange(SIDE) - SIDE // 2
    wave = 2.0 * np.pi * 9 / SIDE
    image = 3.0 + np.cos(wave * x)[:, None] * np.sin(wave * x + 0.4)
    at = -7.3 + 0.37 * np.arange(40)
    expected = 3.0 + np.cos(wave * at)[:, None] * np.sin(wave * at + 0.4)
    np.testing.assert_allclose(_evaluate(fourier_series(image), -7.3, 0.37, 40), expected, atol=1e-12)


def test_detail_fades_towards_the_highest_frequency() -> None:
    x = np.arange(SIDE) - SIDE // 2
    contrast = []
    for cycles in (17, 18, 20, 22):
        series = fourier_series(np.broadcast_to(np.cos(2.0 * np.pi * cycles / SIDE * x), (SIDE, SIDE)))
        contrast.append(np.abs(series).max())
    assert contrast[0] == pytest.approx(1.0)
    assert contrast[1] == pytest.approx(1.0)
    assert contrast[2] == pytest.approx(0.5, abs=0.1)
    assert contrast[3] == pytest.approx(0.0, abs=0.05)


def test_blurring_a_series_multiplies_its_spectrum() -> None:
    pupil, image, blur = make_pupil(field=(0.4, 0.7)), _smooth(), -6.5
    h, f = SIDE // 2 + 1, np.fft.fftfreq(SIDE)
    half = np.arange(h) / SIDE
    result = np.empty((1, 2, 2, h, 2, h))
    blur_series(
        fourier_series(image[None, None]), defocus_parts(pupil, [blur], half, half), np.ones((h, h)), result
    )
    expected = np.fft.ifft2(np.fft.fft2(image) * defocus_transfer(pupil, blur, f, f)).real
    np.testing.assert_allclose(_evaluate(result[0], -(SIDE // 2), 1.0, SIDE), expected, atol=1e-12)


def test_strips_add_up() -> None:
    pupil, h = make_pupil(), SIDE // 2 + 1
    half = np.arange(h) / SIDE
    images = np.stack([_smooth(0), _smooth(1), _smooth(2)])[:, None]
    parts, sharp = defocus_parts(pupil, [3.0, 0.0, -4.0], half, half), np.random.default_rng(0).uniform(size=(h, h))
    together, alone = np.empty((1, 2, 2, h, 2, h)), np.empty((3, 1, 2, 2, h, 2, h))
    series = fourier_series(images)
    blur_series(series, parts, sharp, together)
    for s in range(3):
        blur_series(series[s : s + 1], parts[s : s + 1], sharp, alone[s])
    np.testing.assert_allclose(together, alone.sum(axis=0), atol=1e-12)


def test_fading_leaves_the_middle_and_takes_the_edge_to_the_mean() -> None:
    textures = np.random.default_rng(0).uniform(size=(2, 65, 65))
    faded, middle = fade_border(textures), slice(TAPER_PX, -TAPER_PX)
    np.testing.assert_allclose(faded[:, middle, middle], textures[:, middle, middle], rtol=1e-12)
    for texture, one in zip(textures, faded, strict=True):
        np.testing.assert_allclose(one[[0, -1]], texture.mean(), atol=0.01)
        np.testing.assert_allclose(fade_border(texture), one)
