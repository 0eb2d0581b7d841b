"""From views to raw data: levels, upsampling, noise, and how the views are made to differ."""

import numpy as np
import numpy.typing as npt
import pytest

from afsim.draws import Light, ViewMismatch
from afsim.exposure import LEVELS, add_noise, digitise, expose, offset_views, stored_noise, upsample, view_gains

FloatArray = npt.NDArray[np.float64]
SAME = ViewMismatch(0.0, 0.0, 0.0, 0.0)


def _exposed(
    views: FloatArray,
    light: Light,
    *,
    gains: FloatArray | None = None,
    mismatch: ViewMismatch = SAME,
    seed: int = 0,
) -> npt.NDArray[np.uint16]:
    gains = np.ones(len(views)) if gains is None else gains
    return expose(views, light, gains, mismatch, np.random.default_rng(seed), size=views.shape[3])


def _flat(level: float = 1.0, n: int = 1, size: int = 128) -> FloatArray:
    return np.full((n, 2, size // 2 + 2, size), level)


# ---------------------------------------------------------------------- bits and rows
def test_levels_are_those_of_the_recordings() -> None:
    assert LEVELS == (1024, 16368)
    assert digitise(np.array([-1.0, 0.0, 0.5, 1.0, 9.0])).tolist() == [0, 64, 544, 1023, 1023]


def test_stored_values_are_multiples_of_4_and_reach_both_ends() -> None:
    rng = np.random.default_rng(1)
    raw = _exposed(rng.uniform(-0.2, 1.4, (3, 2, 34, 64)), Light(1.0, 0.0, 0.0))
    assert raw.shape == (3, 2, 64, 64)
    assert raw.dtype == np.uint16
    assert (raw % 4 == 0).all()
    assert raw.max() == LEVELS.white
    assert raw.min() < LEVELS.black
    # Before the upsampling they were multiples of 16: so they are still where neighbours are equal.
    assert (raw % 16 != 0).any()
    assert (_exposed(_flat(), Light(0.3, 0.0, 0.0)) % 16 == 0).all()


def test_upsampling_is_bilinear_with_half_pixel_centres() -> None:
    from scipy.ndimage import map_coordinates

    native = np.random.default_rng(2).integers(0, 1024, (10, 6))
    rows = (np.arange(16) + 0.5) / 2.0 - 0.5 + 1.0  # the first native row lies outside
    grid = np.meshgrid(rows, np.arange(6.0), indexing="ij")
    np.testing.assert_allclose(
        upsample(native) / 16.0, map_coordinates(native.astype(float), grid, order=1), atol=1e-9
    )


def test_a_noise_free_patch_is_exposed_to_its_level() -> None:
    raw = _exposed(_flat(), Light(0.25, 0.0, 0.0))
    np.testing.assert_array_equal(raw, 16 * round(64 + 0.25 * 959))


def test_frames_are_as_bright_as_their_gains() -> None:
    gains = np.array([1.0, 0.8, 1.3])
    images = LEVELS.normalize(_exposed(_flat(n=3), Light(0.3, 0.0, 0.0), gains=gains))
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), 0.3 * gains, atol=1.0 / 959)


# ---------------------------------------------------------------------- noise
def test_stored_noise_is_the_slope_and_floor_of_flat_patches() -> None:
    light = Light(1.0, 6e-4, 3e-5)
    levels = np.linspace(0.05, 0.7, 8)
    images = LEVELS.normalize(_exposed(levels[:, None, None, None] * _flat(), light)).astype(np.float64)
    shot, read = stored_noise(light)
    variance = images.var(axis=(2, 3)).mean(axis=1)
    slope, floor = np.polyfit(images.mean(axis=(1, 2, 3)), variance, 1)
    assert slope == pytest.approx(shot, rel=0.02)
    assert floor == pytest.approx(read, abs=0.01 * shot)
    assert shot == 0.625 * light.shot
    assert read == pytest.approx(0.625 * (light.read + 9.06e-8), rel=1e-3)


def test_noise_is_independent_in_views_slices_and_columns_and_shared_by_rows() -> None:
    residual = LEVELS.normalize(_exposed(_flat(n=2), Light(0.4, 1e-3, 0.0))).astype(np.float64)
    residual -= residual.mean(axis=(2, 3), keepdims=True)

    def correlation(a: FloatArray, b: FloatArray) -> float:
        return float((a * b).mean() / residual.var())

    assert abs(correlation(residual[:, 0], residual[:, 1])) < 0.02
    assert abs(correlation(residual[0], residual[1])) < 0.02
    assert abs(correlation(residual[..., 1:], residual[..., :-1])) < 0.02
    # Rows 2 i and 2 i + 1 share three quarters of each, 2 i + 1 and 2 i + 2 a quarter and three quarters twice.
    assert correlation(residual[..., ::2, :], residual[..., 1::2, :]) == pytest.approx(0.5625 / 0.625, abs=0.02)
    assert correlation(residual[..., 1:-1:2, :], residual[..., 2::2, :]) == pytest.approx(0.375 / 0.625, abs=0.03)


def test_shot_noise_is_poisson_in_the_dark() -> None:
    rng, shot, level = np.random.default_rng(3), 2e-3, 4e-3
    noisy = add_noise(np.full(200_000, level), shot, 0.0, rng)
    assert noisy.mean() == pytest.approx(level, rel=0.01)
    assert noisy.var() == pytest.approx(shot * level, rel=0.01)
    # Two photons on average: skewness 1 / sqrt(2), and one pixel in seven is empty.
    assert ((noisy - level) ** 3).mean() / noisy.var() ** 1.5 == pytest.approx(2.0**-0.5, rel=0.03)
    assert (noisy == 0).mean() == pytest.approx(np.exp(-2.0), abs=0.005)


def test_no_noise_draws_nothing_and_a_seed_repeats() -> None:
    views = np.random.default_rng(4).uniform(0.5, 1.5, (2, 2, 18, 32))
    light = Light(0.2, 1e-3, 1e-5)
    np.testing.assert_array_equal(_exposed(views, light, seed=5), _exposed(views, light, seed=5))
    assert (_exposed(views, light, seed=5) != _exposed(views, light, seed=6)).any()
    clean = Light(0.2, 0.0, 0.0)
    np.testing.assert_array_equal(_exposed(views, clean, seed=5), _exposed(views, clean, seed=6))


# ---------------------------------------------------------------------- views that differ
def _blob(columns: int = 64, at: float = 31.5) -> FloatArray:
    profile = np.exp(-0.5 * ((np.arange(columns) - at) / 2.5) ** 2)
    return np.broadcast_to(profile, (1, 2, 4, columns)).copy()


@pytest.mark.parametrize("offset", [-0.6, 0.1, 0.5, 1.0])
def test_an_offset_moves_the_right_view_to_the_right_and_the_left_one_to_the_left(offset: float) -> None:
    left, right = offset_views(_blob(), offset)[0, :, 0]
    np.testing.assert_allclose(left, _blob(at=31.5 - offset / 2)[0, 0, 0], atol=2e-3)
    np.testing.assert_allclose(right, _blob(at=31.5 + offset / 2)[0, 0, 0], atol=2e-3)


def test_an_offset_keeps_even_light_up_to_the_border() -> None:
    np.testing.assert_allclose(offset_views(np.full((1, 2, 3, 9), 0.7), 0.3), 0.7, rtol=1e-12)
    views = _blob()
    same = offset_views(views, 0.0)
    np.testing.assert_array_equal(same, views)
    assert same is not views


def test_views_are_shaded_against_each_other_and_green_keeps_its_own() -> None:
    gains = view_gains(ViewMismatch(0.2, -0.1, 0.04, 0.0), 66, 128, 128)
    np.testing.assert_allclose(gains.mean(axis=0), 1.0, rtol=1e-12)
    difference = gains[0] - gains[1]
    assert difference.mean() == pytest.approx(0.04)
    assert difference[0, -1] - difference[0, 0] == pytest.approx(0.2 * 127 / 128)
    # Two spare rows, of two pixels' height, lie outside the patch.
    assert difference[-2, 0] - difference[1, 0] == pytest.approx(-0.1 * 126 / 128)


def test_a_mismatch_leaves_green_and_shows_in_the_views() -> None:
    mismatch = ViewMismatch(0.3, 0.0, 0.1, 0.0)
    plain, shaded = (
        LEVELS.normalize(_exposed(_flat(), Light(0.4, 0.0, 0.0), mismatch=given)) for given in (SAME, mismatch)
    )
    np.testing.assert_allclose(shaded.mean(axis=1), plain.mean(axis=1), atol=1.0 / 959)
    assert shaded[0, 0].mean() / shaded[0, 1].mean() == pytest.approx(1.05 / 0.95, rel=0.01)
