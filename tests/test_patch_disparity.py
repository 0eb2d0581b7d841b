"""The disparity of a patch: known shifts come out, what lies beyond the reach comes out as it, noise as nothing."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter

from afsim.disparity import local_disparity
from afsim.disparitycosts import TILE
from afsim.errors import AfsimError
from afsim.parabola import extreme_offset
from afsim.patch_disparity import ESTIMATORS, get_estimator, ssd_disparity, zncc_disparity

Views = npt.NDArray[np.float32]

every_estimator = pytest.mark.parametrize("name", ESTIMATORS)
every_reach = pytest.mark.parametrize("reach", [3, 16])


def texture(seed: int = 0, *, sigma: float = 1.5, size: tuple[int, int] = (64, 96)) -> npt.NDArray[np.float64]:
    """Return smooth random radiance, mean 0.4, periodic along the rows."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(size), sigma, mode="wrap")
    return np.asarray(0.4 + 0.08 * noise / noise.std())


def pair(shift: float, seed: int = 0, **options: Any) -> Views:
    """Return views of which the right lies ``shift`` pixels farther right."""
    left = texture(seed, **options)
    phase = np.exp(-2j * np.pi * np.fft.rfftfreq(left.shape[1]) * shift)
    right = np.fft.irfft(np.fft.rfft(left) * phase, left.shape[1])
    return np.stack([left, right]).astype(np.float32)


# ---------------------------------------------------------------------- what is found
@every_estimator
@every_reach
@pytest.mark.parametrize("shift", [-2, 0, 1, 2])
def test_whole_shifts_are_found_and_sure(name: str, reach: int, shift: int) -> None:
    found = ESTIMATORS[name](pair(shift), reach=reach)
    assert found.shift == pytest.approx(shift, abs=0.05)
    assert found.confidence > 0.95


@every_estimator
@pytest.mark.parametrize("shift", [-2.3, -0.5, 0.25, 0.7, 2.4])
def test_shifts_of_a_fraction_of_a_pixel_are_found(name: str, shift: float) -> None:
    for sigma in (1.5, 3.0):
        assert ESTIMATORS[name](pair(shift, sigma=sigma)).shift == pytest.approx(shift, abs=0.1)


@every_estimator
@pytest.mark.parametrize("shift", [3.8, 5.0, -4.5])
def test_a_shift_beyond_the_reach_comes_out_as_the_reach_at_no_confidence(name: str, shift: float) -> None:
    views = pair(shift, sigma=4.0)
    near, far = ESTIMATORS[name](views, reach=3), ESTIMATORS[name](views, reach=16)
    assert near.shift == 3 * np.sign(shift)
    assert near.confidence == 0.0
    assert far.shift == pytest.approx(shift, abs=0.1)
    assert far.confidence > 0.5


@every_estimator
@every_reach
def test_exchanging_the_views_changes_the_sign(name: str, reach: int) -> None:
    views = pair(1.7)
    one, other = (ESTIMATORS[name](each, reach=reach).shift for each in (views, views[::-1]))
    assert one == pytest.approx(-other, abs=0.1)


def test_the_correlation_is_that_of_the_windows() -> None:
    rng = np.random.default_rng(3)
    views = (pair(1.4) + 0.05 * rng.standard_normal((2, 64, 96))).astype(np.float32)
    reach, width = 4, 96
    left = views[0, :, reach : width - reach].ravel()
    rho = [
        np.corrcoef(left, views[1, :, reach + s : width - reach + s].ravel())[0, 1]
        for s in range(-reach, reach + 1)
    ]
    best = int(np.argmax(rho))
    before, at, after = rho[best - 1 : best + 2]
    found = zncc_disparity(views, reach=reach)
    assert found.confidence == pytest.approx(at, abs=1e-5)
    assert found.shift == pytest.approx(best - reach + 0.5 * (after - before) / (2 * at - before - after), abs=1e-3)


def test_windows_of_a_patch_agree_with_the_patch() -> None:
    views = pair(1.3, sigma=2.0)
    local = local_disparity(views[0], views[1], window=32, reach=3)
    for of_patch in ESTIMATORS.values():
        assert of_patch(views).shift == pytest.approx(float(np.median(local.shift)), abs=0.07)


def test_gain_and_offset_leave_the_correlation_and_gain_leaves_the_differences() -> None:
    views = pair(1.7)
    brighter = views * np.array([[[1.0]], [[0.8]]], np.float32)
    np.testing.assert_allclose(zncc_disparity(brighter + np.float32(0.1)), zncc_disparity(views), atol=1e-4)
    np.testing.assert_allclose(ssd_disparity(brighter), ssd_disparity(views), atol=2e-2)


def test_tiles_take_the_shift_of_most_of_the_texture() -> None:
    # Two thirds of the patch lie at one depth, one third at another: the median is the first, whatever the second.
    for other in (-2, 2):
        views = pair(1)
        views[:, :24] = pair(other)[:, :24]
        assert ssd_disparity(views).shift == pytest.approx(1.0, abs=0.05)
        assert 0.5 < ssd_disparity(views).confidence < 0.9


@pytest.mark.parametrize("delta", [-0.5, -0.3, 0.0, 0.25, 0.5])
def test_the_parabola_is_exact_on_parabolas_either_way_up(delta: float) -> None:
    values = [(x - delta) ** 2 for x in (-1.0, 0.0, 1.0)]
    assert extreme_offset(*values) == pytest.approx(delta)
    assert extreme_offset(*(-value for value in values)) == pytest.approx(delta)


def test_the_parabola_of_a_plateau_and_of_given_values() -> None:
    assert extreme_offset(4.0, 1.0, 2.0) == pytest.approx(0.25)
    assert extreme_offset(1.0, 1.0, 1.0) == 0.0


# ---------------------------------------------------------------------- what is not there
@every_estimator
@every_reach
@pytest.mark.parametrize(
    ("enlarged", "level"), [(None, 0.0), (None, 0.3), ("rows", 0.3), ("columns", 0.0)], ids=lambda case: str(case)
)
def test_noise_is_no_texture(name: str, reach: int, enlarged: str | None, level: float) -> None:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((300, 2, 64, 96)).astype(np.float32)
    if enlarged == "rows":
        noise = np.repeat(noise[:, :, ::2], 2, axis=2)
    if enlarged == "columns":
        noise = np.repeat(noise[..., ::2], 2, axis=3)
    found = ESTIMATORS[name]((level + 0.02 * noise).astype(np.float32), reach=reach)
    assert np.isnan(found.shift).mean() >= 0.99
    assert (found.confidence[np.isnan(found.shift)] == 0.0).all()


@every_estimator
@every_reach
def test_texture_is_seen_in_as_much_noise_as_itself(name: str, reach: int) -> None:
    rng = np.random.default_rng(2)
    views = np.stack([pair(1, seed) for seed in range(40)])
    noisy = (views + 0.08 * rng.standard_normal(views.shape)).astype(np.float32)
    found = ESTIMATORS[name](noisy, reach=reach)
    assert not np.isnan(found.shift).any()
    assert np.abs(found.shift - 1).mean() < 0.3
    assert found.confidence.mean() < ESTIMATORS[name](views, reach=reach).confidence.mean()


@every_estimator
@every_reach
@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_an_even_patch_has_no_disparity(name: str, reach: int, level: float) -> None:
    shift, confidence = ESTIMATORS[name](np.full((2, 64, 96), level, np.float32), reach=reach)
    assert np.isnan(shift)
    assert confidence == 0.0


def test_a_slope_of_light_has_no_correlation_that_a_shift_would_change() -> None:
    rng = np.random.default_rng(5)
    slope = np.linspace(0.2, 0.6, 96) + 0.01 * rng.standard_normal((50, 2, 64, 96))
    assert np.isnan(zncc_disparity(slope.astype(np.float32)).shift).mean() >= 0.9


@every_estimator
def test_stripes_along_the_shift_have_no_disparity(name: str) -> None:
    rng = np.random.default_rng(6)
    stripes = texture()[:, :1] + 0.01 * rng.standard_normal((50, 2, 64, 96))
    assert np.isnan(ESTIMATORS[name](stripes.astype(np.float32)).shift).mean() >= 0.9


# ---------------------------------------------------------------------- batches and bad input
@every_estimator
@every_reach
def test_a_batch_is_its_pairs_bit_for_bit(name: str, reach: int) -> None:
    views = np.stack([pair(s, seed) for seed, s in enumerate((-1.5, 0.2, 2.0, 0.9))])
    batch = ESTIMATORS[name](views.reshape(2, 2, 2, 64, 96), reach=reach)
    assert batch.shift.shape == batch.confidence.shape == (2, 2)
    for i, each in enumerate(views):
        alone = ESTIMATORS[name](each, reach=reach)
        assert alone.shift.shape == ()
        assert alone.shift == batch.shift.flat[i]
        assert alone.confidence == batch.confidence.flat[i]


@every_estimator
def test_views_are_left_as_they_are_and_need_not_be_contiguous(name: str) -> None:
    views = pair(1.2)
    upright = np.ascontiguousarray(views.swapaxes(-1, -2))
    before = upright.copy()
    turned = ESTIMATORS[name](upright.swapaxes(-1, -2))
    np.testing.assert_array_equal(upright, before)
    for same in (views, views.astype(np.float64)):
        np.testing.assert_array_equal(turned, ESTIMATORS[name](same))


@every_estimator
@pytest.mark.parametrize(
    ("shape", "dtype", "reach", "message"),
    [
        ((3, 64, 96), np.float32, 3, "views must be"),
        ((64, 96), np.float32, 3, "views must be"),
        ((2, 64, 96), np.uint16, 3, "views must be .* of normalised floats"),
        (
            (2, 32, 32),
            np.float32,
            16,
            "a reach of 16 pixels needs patches of at least 8 pixels across and 40 along",
        ),
        ((2, 6, 96), np.float32, 3, "got 6 and 96"),
        ((2, 64, 96), np.float32, 0, "reach must be at least 1, got 0"),
        ((2, 64, 96), np.float32, 2.5, "reach must be a whole number"),
    ],
)
def test_what_is_no_pair_or_too_small_is_refused(
    name: str, shape: tuple[int, ...], dtype: Any, reach: Any, message: str
) -> None:
    with pytest.raises(AfsimError, match=message):
        ESTIMATORS[name](np.zeros(shape, dtype), reach=reach)


@every_estimator
def test_the_smallest_patch_is_one_tile(name: str) -> None:
    views = pair(1, size=(TILE, 48))[..., : TILE + 6]
    assert ESTIMATORS[name](views).shift.shape == ()


def test_an_estimator_that_is_none_is_refused() -> None:
    with pytest.raises(AfsimError, match="unknown disparity estimator 'luck'; expected one of: ssd, zncc"):
        get_estimator("luck")
