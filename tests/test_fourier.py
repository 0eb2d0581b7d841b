"""Images as real Fourier series: exact at the pixels, between them, and under blur."""

import numpy as np
import numpy.typing as npt
import pytest

from afsim.fourier import TAPER_PX, blur_series, evaluate, fade_border, fourier_series
from afsim.pupil import make_pupil
from afsim.transfer import defocus_parts, defocus_transfer, waves

FloatArray = npt.NDArray[np.float64]
SIDE = 45
PUPIL = make_pupil(field=(0.4, 0.7))


def _smooth(seed: int = 0) -> FloatArray:
    """Return noise that repeats and has no frequency above 0.4 cycles per pixel."""
    f = np.fft.fftfreq(SIDE)
    noise = np.fft.fft2(np.random.default_rng(seed).standard_normal((SIDE, SIDE)))
    return np.fft.ifft2(noise * (np.abs(f[:, None]) < 0.4) * (np.abs(f) < 0.4)).real


def _evaluate(series: FloatArray, step: float, count: int) -> FloatArray:
    """Evaluate a series (..., 2, h, 2, h) at count x count points around its middle."""
    to_points = waves(np.arange(series.shape[-1]) / SIDE, step, count)
    return np.asarray(evaluate(np.moveaxis(series, (-4, -3), (0, 1)), to_points, count, to_points, count))


def test_a_series_is_the_image_at_its_pixels() -> None:
    image = _smooth()
    np.testing.assert_allclose(_evaluate(fourier_series(image), 1.0, SIDE), image, atol=1e-12)


def test_a_series_interpolates_exactly() -> None:
    x = np.arange(SIDE) - SIDE // 2
    wave = 2.0 * np.pi * 9 / SIDE
    image = 3.0 + np.cos(wave * x)[:, None] * np.sin(wave * x + 0.4)
    at = 0.37 * (np.arange(40) - 19.5)
    expected = 3.0 + np.cos(wave * at)[:, None] * np.sin(wave * at + 0.4)
    np.testing.assert_allclose(_evaluate(fourier_series(image), 0.37, 40), expected, atol=1e-12)


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


def _blurred(images: FloatArray, blurs: list[float], sharp: FloatArray, at: tuple[float, float]) -> FloatArray:
    """Blur strips (S, N, N), add them up, and return both views (2, 2, h, 2, h) as series around a point (y, x)."""
    half = np.arange(SIDE // 2 + 1) / SIDE
    parts = defocus_parts(PUPIL, blurs, half, half)
    turn_y, turn_x = (np.stack((np.cos(2.0 * np.pi * half * a), np.sin(2.0 * np.pi * half * a))) for a in at)
    result = np.full((2, len(half), 1, 2, 2, len(half)), np.nan)
    blur_series(fourier_series(images[:, None]), parts, sharp, turn_y, turn_x, result)
    return np.moveaxis(result[:, :, 0], 2, 0)


def test_blurring_a_series_multiplies_its_spectrum() -> None:
    image, f = _smooth(), np.fft.fftfreq(SIDE)
    series = _blurred(image[None], [-6.5], np.ones((SIDE // 2 + 1,) * 2), (0.0, 0.0))
    expected = np.fft.ifft2(np.fft.fft2(image) * defocus_transfer(PUPIL, -6.5, f, f)).real
    np.testing.assert_allclose(_evaluate(series, 1.0, SIDE), expected, atol=1e-12)


def test_a_series_around_another_point_is_the_image_moved() -> None:
    image, ones = _smooth(), np.ones((SIDE // 2 + 1,) * 2)
    here, there = (_blurred(image[None], [3.0], ones, at) for at in ((0.0, 0.0), (4.0, -7.0)))
    moved = np.roll(_evaluate(here, 1.0, SIDE), (-4, 7), axis=(-2, -1))
    np.testing.assert_allclose(_evaluate(there, 1.0, SIDE), moved, atol=1e-12)


def test_strips_add_up() -> None:
    images, blurs = np.stack([_smooth(0), _smooth(1), _smooth(2)]), [3.0, 0.0, -4.0]
    sharp = np.random.default_rng(0).uniform(size=(SIDE // 2 + 1,) * 2)
    together = _blurred(images, blurs, sharp, (1.3, 0.4))
    alone = [_blurred(images[[s]], blurs[s : s + 1], sharp, (1.3, 0.4)) for s in range(3)]
    np.testing.assert_allclose(together, np.sum(alone, axis=0), atol=1e-12)


@pytest.mark.parametrize("count", [6, 7])
def test_evaluating_keeps_the_axes_between(count: int) -> None:
    rng = np.random.default_rng(0)
    series = rng.standard_normal((3, 2, 2, 9, 2, 9))
    f = np.arange(9) / 17.0
    basis, at = waves(f, 0.6, count), 0.6 * (np.arange(count) - (count - 1) / 2.0)
    together = evaluate(np.moveaxis(series, (-4, -3), (0, 1)), basis, count, basis, count)
    assert together.shape == (3, 2, count, count)
    wave = 2.0 * np.pi * f * at[:, None]
    full = np.stack((np.cos(wave), np.sin(wave)))
    np.testing.assert_allclose(together, np.einsum("pyi,abpiqj,qxj->abyx", full, series, full), atol=1e-12)


def test_fading_leaves_the_middle_and_takes_the_edge_to_the_mean() -> None:
    textures = np.random.default_rng(0).uniform(size=(2, 65, 65))
    faded, middle = fade_border(textures), slice(TAPER_PX, -TAPER_PX)
    np.testing.assert_allclose(faded[:, middle, middle], textures[:, middle, middle], rtol=1e-12)
    for texture, one in zip(textures, faded, strict=True):
        np.testing.assert_allclose(one[[0, -1]], texture.mean(), atol=0.01)
        np.testing.assert_allclose(fade_border(texture), one)
