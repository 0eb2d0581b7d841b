"""Noise of a recording: known noise is found again, whatever the scene; nothing breaks on what has none to find."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter

from afsim.noisefit import estimate_noise, noise_spectrum, rounding_variance
from afsim.read_patches import LearnAfPatchesReader
from afsim.stack import FocalStack, Levels

LEVELS = Levels(64, 1023)
FloatArray = npt.NDArray[np.float64]


def texture(kind: str, rng: np.random.Generator, shape: tuple[int, int] = (96, 96)) -> FloatArray:
    """Return radiance of mean about 0.3, all of it in 0.02 ... 0.95."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    if kind == "shading":
        picture = 0.05 + 0.6 * x * (0.5 + y)
    elif kind == "blobs":
        picture = 0.3 + 2.0 * gaussian_filter(rng.standard_normal(shape), 3.0)
    elif kind == "edges":
        picture = np.where((np.sin(25.0 * x + 9.0 * y) > 0) ^ (y > 0.6), 0.5, 0.1)
    elif kind == "cloth":
        picture = 0.3 + 0.15 * rng.standard_normal(shape)
    else:
        raise ValueError(kind)
    return np.asarray(picture.clip(0.02, 0.95))


def upsampled(images: FloatArray) -> FloatArray:
    """Double the rows: weights 3/4 and 1/4, half-pixel centres; the first and last native rows are spare."""
    before, here, after = images[..., :-2, :], images[..., 1:-1, :], images[..., 2:, :]
    pair = np.stack((0.75 * here + 0.25 * before, 0.75 * here + 0.25 * after), axis=-2)
    return np.asarray(pair.reshape(*images.shape[:-2], 2 * here.shape[-2], images.shape[-1]))


def recording(
    kind: str,
    noise: tuple[float, float],
    *,
    n: int = 24,
    views: int = 2,
    native: bool = False,
    flicker: float = 0.0,
    light: float = 1.0,
    seed: int = 0,
) -> FocalStack:
    """Make a stack that is sharp at slice 8 and blurred by 0.25 px more with every slice from there."""
    rng = np.random.default_rng(seed)
    shape = (50, 96) if native else (96, 96)
    scene = light * texture(kind, rng, shape)
    slices = np.stack([gaussian_filter(scene, 0.3 + 0.25 * abs(k - 8), mode="nearest") for k in range(n)])
    slices *= np.exp(flicker * rng.standard_normal(n))[:, None, None]
    signal = np.repeat(slices[:, None], views, axis=1)
    shot, read = noise
    noisy = signal + np.sqrt(shot * signal + read) * rng.standard_normal(signal.shape)
    noisy = upsampled(noisy) if native else noisy
    raw = np.rint(LEVELS.black + noisy * (LEVELS.white - LEVELS.black)).clip(0, LEVELS.white)
    return FocalStack(raw.astype(np.uint16), LEVELS, name=kind, direction="unknown")


def variance_at(noise: tuple[float, float], signal: float) -> float:
    return noise[0] * signal + noise[1]


@pytest.mark.parametrize("kind", ["shading", "blobs", "edges", "cloth"])
@pytest.mark.parametrize("noise", [(3e-4, 1e-6), (2e-3, 2e-5)])
def test_known_noise_is_found_in_any_texture(kind: str, noise: tuple[float, float]) -> None:
    stack = recording(kind, noise)
    shot, read = estimate_noise(stack)
    assert shot == pytest.approx(noise[0], rel=0.15)
    mean = float(stack.normalized().mean())
    expected = variance_at((noise[0], noise[1] + rounding_variance(LEVELS)), mean)
    assert variance_at((shot, read), mean) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("kind", ["shading", "blobs", "edges"])
def test_noise_that_was_interpolated_is_that_of_a_stored_pixel(kind: str) -> None:
    shot, _ = estimate_noise(recording(kind, (3e-4, 1e-7), native=True))
    assert shot == pytest.approx(0.625 * 3e-4, rel=0.15)


def test_flicker_of_the_light_is_no_noise() -> None:
    shot, _ = estimate_noise(recording("blobs", (3e-4, 1e-6), flicker=0.2))
    assert shot == pytest.approx(3e-4, rel=0.15)


def test_one_view_is_as_good_as_two() -> None:
    shot, _ = estimate_noise(recording("blobs", (3e-4, 1e-6), views=1))
    assert shot == pytest.approx(3e-4, rel=0.15)


def test_read_noise_is_told_from_shot_noise_where_levels_differ() -> None:
    shot, read = estimate_noise(recording("shading", (1e-4, 2e-5), light=0.4))
    assert read == pytest.approx(2e-5, rel=0.15)
    assert shot == pytest.approx(1e-4, rel=0.3)


def test_at_one_level_all_noise_is_laid_to_light() -> None:
    rng = np.random.default_rng(0)
    raw = np.rint(LEVELS.black + 400 + 8.0 * rng.standard_normal((12, 1, 64, 64))).astype(np.uint16)
    shot, read = estimate_noise(FocalStack(raw, LEVELS, direction="unknown"))
    assert read == rounding_variance(LEVELS)
    assert variance_at((shot, read), 400 / 959) == pytest.approx((64 + 1 / 12) / 959**2, rel=0.05)


def test_more_noise_gives_a_larger_estimate() -> None:
    found = [estimate_noise(recording("blobs", (shot, 0.0)))[0] for shot in (1e-4, 2e-4, 4e-4, 8e-4)]
    assert found == sorted(found)


def test_the_estimate_scales_with_the_white_level() -> None:
    stack = recording("blobs", (3e-4, 1e-5))
    twice = FocalStack(stack.images, Levels(64, 64 + 2 * (1023 - 64)), direction="unknown")
    shot, read = estimate_noise(stack)
    np.testing.assert_allclose(estimate_noise(twice), (shot / 2, read / 4), rtol=0.03)


def test_rows_and_columns_are_alike() -> None:
    stack = recording("blobs", (3e-4, 1e-6), native=True)
    turned = FocalStack(stack.images.swapaxes(2, 3).copy(), LEVELS, direction="unknown")
    np.testing.assert_allclose(estimate_noise(turned), estimate_noise(stack), rtol=0.02)
    one, other = noise_spectrum(stack), noise_spectrum(turned)
    np.testing.assert_allclose(one.along_rows, other.along_columns, rtol=0.02)


# ---------------------------------------------------------------------- spectrum
def test_white_noise_has_a_flat_spectrum() -> None:
    spectrum = noise_spectrum(recording("shading", (1e-3, 0.0)))
    assert spectrum.frequency.tolist() == [k / 32 for k in range(17)]
    np.testing.assert_allclose(spectrum.along_rows, 1.0, atol=0.12)
    np.testing.assert_allclose(spectrum.along_columns, 1.0, atol=0.12)


def test_interpolated_rows_show_along_the_columns() -> None:
    spectrum = noise_spectrum(recording("shading", (1e-3, 0.0), native=True))
    np.testing.assert_allclose(spectrum.along_rows, 1.0, atol=0.15)
    law = np.cos(np.pi * spectrum.frequency) ** 6
    window = np.convolve(np.concatenate((law[1::-1][:1], law, law[-2:-1])), (1 / 6, 2 / 3, 1 / 6), "valid")
    found = spectrum.along_columns / spectrum.along_columns[:3].mean() * window[:3].mean()
    np.testing.assert_allclose(found[:13], window[:13], rtol=0.25)
    assert spectrum.along_columns[-1] < 1e-3


# ---------------------------------------------------------------------- nothing to find
def constant(value: int, shape: tuple[int, ...] = (8, 1, 64, 64)) -> FocalStack:
    return FocalStack(np.full(shape, value, dtype=np.uint16), LEVELS, direction="unknown")


@pytest.mark.parametrize(
    "stack",
    [constant(0), constant(64), constant(500), constant(1023), constant(65535), constant(500, (2, 2, 4, 4))],
    ids=["zero", "black", "grey", "white", "beyond", "tiny"],
)
def test_without_anything_to_measure_it_is_the_rounding(stack: FocalStack) -> None:
    assert estimate_noise(stack) == (0.0, rounding_variance(LEVELS))
    assert (noise_spectrum(stack).along_rows == 1.0).all()


@pytest.mark.parametrize("seed", range(12))
def test_any_stack_gives_finite_values_in_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(2, 6)), int(rng.integers(1, 3)), int(rng.integers(1, 70)), int(rng.integers(1, 70)))
    top = int(rng.choice([1, 3, 200, 1024, 65536]))
    raw = rng.integers(0, top, shape, dtype=np.uint16)
    if seed % 3 == 0:
        raw[1:] = raw[:1]
    shot, read = estimate_noise(FocalStack(raw, LEVELS, direction="unknown"))
    assert np.isfinite([shot, read]).all()
    assert shot >= 0
    assert read >= rounding_variance(LEVELS)
    spectrum = noise_spectrum(FocalStack(raw, LEVELS, direction="unknown"))
    assert all(np.isfinite(values).all() and (values >= 0).all() for values in spectrum)


# ---------------------------------------------------------------------- real recordings
@pytest.mark.parametrize(
    ("scene", "low", "high"),
    [("apt2_1", 8e-5, 11e-5), ("books_5", 1.25e-4, 2.2e-4), ("test_home1_6", 6e-5, 7.5e-5)],
)
def test_real_patches_have_the_known_noise(real_data: Path, scene: str, low: float, high: float) -> None:
    found = {r.name: r for r in LearnAfPatchesReader(real_data / "learnaf_patches").recordings()}
    for patch in ("A", "B"):
        [stack] = found[f"{scene}/{patch}"].stacks()
        shot, read = estimate_noise(stack)
        assert low < shot < high
        assert read < 3e-6
        spectrum = noise_spectrum(stack)
        # Stored upright: interpolated along the rows, white along the columns.
        assert spectrum.along_rows[7] / spectrum.along_rows[0] == pytest.approx(0.24, abs=0.04)
        np.testing.assert_allclose(spectrum.along_columns[4:], 1.0, atol=0.15)
