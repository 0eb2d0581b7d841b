"""Local disparity: known shifts are found to a fraction of a pixel, with sign, confidence and an honest error."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from afsim.disparity import local_disparity, without_shading
from afsim.errors import AfsimError
from afsim.kernelfit import render_kernels
from afsim.pupil import alpha_of, make_pupil

FloatArray = npt.NDArray[np.float64]


def texture(sigma: float = 2.0, shape: tuple[int, int] = (96, 160), seed: int = 0) -> FloatArray:
    """Return smooth random radiance, mean 0.4; periodic, so that it can be shifted exactly."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), sigma, mode="wrap")
    return np.asarray(0.4 + 0.1 * noise / noise.std())


def shifted(image: FloatArray, x: float) -> FloatArray:
    """Move an image to the right by ``x`` pixels, by its Fourier series."""
    phase = np.exp(-2j * np.pi * np.fft.rfftfreq(image.shape[-1]) * x)
    return np.asarray(np.fft.irfft(np.fft.rfft(image) * phase, image.shape[-1]))


@pytest.mark.parametrize("shift", [0.0, 0.3, -1.5, 4.25, -7.8, 15.4])
@pytest.mark.parametrize("sigma", [1.5, 3.0])
def test_a_shift_is_found_to_a_twentieth_of_a_pixel(shift: float, sigma: float) -> None:
    image = texture(sigma)
    found = local_disparity(image, shifted(image, shift))
    np.testing.assert_allclose(found.shift, shift, atol=0.05)
    assert (found.confidence > 0.9).all()
    assert found.shift.shape == (len(found.rows), len(found.columns)) == (5, 7)


def test_exchanging_the_views_changes_the_sign() -> None:
    image = texture()
    one, other = image, shifted(image, 2.3)
    np.testing.assert_allclose(local_disparity(one, other).shift, -local_disparity(other, one).shift, atol=0.05)


def test_along_rows_is_the_transposed_problem() -> None:
    left, right = texture(), shifted(texture(), 3.6)
    across, down = local_disparity(left, right), local_disparity(left.T, right.T, axis="rows")
    np.testing.assert_allclose(down.shift, across.shift.T)
    np.testing.assert_allclose(down.confidence, across.confidence.T)
    assert (down.rows == across.columns).all()
    assert (down.columns == across.rows).all()


def test_gain_and_offset_of_a_view_change_nothing() -> None:
    image = texture()
    right = shifted(image, 1.7)
    plain, changed = local_disparity(image, right), local_disparity(image, 0.3 + 2.5 * right)
    np.testing.assert_allclose(changed.shift, plain.shift, atol=1e-6)
    np.testing.assert_allclose(changed.confidence, plain.confidence, atol=1e-6)


def test_a_batch_is_its_pairs() -> None:
    lefts = np.stack([texture(seed=k) for k in range(3)])
    rights = np.stack([shifted(image, 2.0 * k) for k, image in enumerate(lefts)])
    together = local_disparity(lefts, rights)
    for k in range(3):
        alone = local_disparity(lefts[k], rights[k])
        for name in ("shift", "confidence", "error"):
            np.testing.assert_array_equal(getattr(together, name)[k], getattr(alone, name))


def test_windows_see_what_is_there() -> None:
    image = texture()
    right = np.concatenate((shifted(image, -2.0)[:48], shifted(image, 5.0)[48:]))
    found = local_disparity(image, right, window=32, stride=16)
    np.testing.assert_allclose(found.shift[found.rows < 32], -2.0, atol=0.05)
    np.testing.assert_allclose(found.shift[found.rows > 64], 5.0, atol=0.05)


def test_the_error_is_that_of_noise() -> None:
    image = texture(shape=(256, 256))
    rng = np.random.default_rng(1)
    views = [view + 0.05 * rng.standard_normal(view.shape) for view in (image, shifted(image, 3.3))]
    found = local_disparity(*views, window=16, stride=16)
    actual = float(np.sqrt(np.mean((found.shift - 3.3) ** 2)))
    assert 0.7 < actual / float(np.median(found.error)) < 1.5
    assert (found.confidence < 1.0).all()


def test_a_shift_beyond_the_reach_has_no_confidence() -> None:
    image = texture(sigma=4.0)
    found = local_disparity(image, shifted(image, 7.0), reach=4)
    assert (found.confidence[found.shift == 4.0] == 0.0).all()
    assert np.isinf(found.error[found.confidence == 0.0]).all()
    assert (found.shift == 4.0).mean() > 0.5


@pytest.mark.parametrize("image", [np.zeros((64, 96)), np.full((64, 96), 0.4)])
def test_without_texture_nothing_is_claimed(image: FloatArray) -> None:
    found = local_disparity(image, image)
    assert np.isnan(found.shift).all()
    assert (found.confidence == 0.0).all()
    assert np.isinf(found.error).all()


@pytest.mark.parametrize("diameter", [8.0, -12.0])
def test_defocus_shows_with_its_sign(diameter: float) -> None:
    pupil = make_pupil("soft_split")
    image = texture(4.0, (160, 192))
    left, right = (fftconvolve(image, kernel, "same") for kernel in render_kernels(pupil, diameter, 31))
    found = local_disparity(left[16:-16, 16:-16], right[16:-16, 16:-16], window=64, stride=64)
    np.testing.assert_allclose(found.shift, alpha_of(pupil) * diameter, rtol=0.15)


def test_shading_is_taken_out() -> None:
    y, x = np.mgrid[:96, :160] / 100.0
    white = [np.exp(-((x - centre) ** 2) - y**2) for centre in (0.3, 1.3)]
    image = texture()
    scene = (image, shifted(image, 2.6))
    views = [without_shading(view * sheet, 1000.0 * sheet) for view, sheet in zip(scene, white, strict=True)]
    np.testing.assert_allclose(local_disparity(*views).shift, 2.6, atol=0.05)
    even = without_shading(image, np.full((96, 160), 7.0))
    np.testing.assert_allclose(even, image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 97}, "no window of 97 pixels"),
        ({"reach": 65}, "a reach of 65"),
        ({"stride": 0}, "every 0"),
        ({"reach": 0}, "a reach of 0"),
    ],
)
def test_what_does_not_fit_is_named(options: dict[str, int], message: str) -> None:
    image = texture()
    with pytest.raises(AfsimError, match=message):
        local_disparity(image, image, **options)  # type: ignore[arg-type]


def test_views_of_two_shapes_and_black_sheets_are_refused() -> None:
    image = texture()
    with pytest.raises(AfsimError, match=r"one shape, got \(96, 160\) and \(96, 159\)"):
        local_disparity(image, image[:, 1:])
    with pytest.raises(AfsimError, match="must be positive"):
        without_shading(image, np.zeros((96, 160)))
    with pytest.raises(AfsimError, match="as the view"):
        without_shading(image, np.ones((96, 150)))
