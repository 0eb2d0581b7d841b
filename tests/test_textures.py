"""Textures, photographs and masks: their means, spectra, edges and sizes."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from afsim import photographs
from afsim.errors import AfsimError
from afsim.masks import MASKS, THIN
from afsim.photographs import PHOTOGRAPHS, Photograph, photograph_crop, read_photograph
from afsim.textures import (
    TEXTURES,
    even,
    highlights,
    leaf_layer,
    luminance_edge,
    power_noise,
    shading,
    smooth_noise,
    text_ink,
    unit_mean,
    with_contrast,
)

FloatArray = npt.NDArray[np.float64]
SIDE = 81


def _rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _gradient(image: FloatArray) -> float:
    return float(np.mean([np.abs(np.diff(image, axis=axis)).mean() for axis in (0, 1)]))


# ---------------------------------------------------------------------- textures
@pytest.mark.parametrize("name", TEXTURES)
def test_a_texture_has_mean_1_is_positive_and_depends_on_the_seed_alone(name: str) -> None:
    image = TEXTURES[name](_rng(1), SIDE)
    assert image.shape == (SIDE, SIDE)
    assert image.dtype == np.float64
    assert image.mean() == pytest.approx(1.0)
    assert image.min() >= 0
    assert image.std() > 0.005
    np.testing.assert_array_equal(TEXTURES[name](_rng(1), SIDE), image)
    assert (TEXTURES[name](_rng(2), SIDE) != image).any()


def test_an_even_surface_has_the_least_texture() -> None:
    gradients = {
        name: np.median([_gradient(draw(_rng(i), SIDE)) for i in range(7)]) for name, draw in TEXTURES.items()
    }
    assert min(gradients, key=lambda name: gradients[name]) == "even"
    for contrast in (0.02, 0.1):
        assert even(_rng(0), SIDE, (contrast, contrast)).std() == pytest.approx(contrast, rel=0.05)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
def test_power_noise_falls_by_its_exponent(exponent: float) -> None:
    image = power_noise(_rng(3), 256, exponent)
    power = np.abs(np.fft.rfft2(image)) ** 2
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None, :])
    edges = np.geomspace(0.02, 0.4, 9)
    rings = [(frequency >= low) & (frequency < high) for low, high in pairwise(edges)]
    slope = np.polyfit(
        [np.log(frequency[ring]).mean() for ring in rings], [np.log(power[ring].mean()) for ring in rings], 1
    )[0]
    assert slope == pytest.approx(-2.0 * exponent, abs=0.1)
    assert image.std() == pytest.approx(1.0)


def test_smooth_noise_forgets_over_its_scale() -> None:
    image = smooth_noise(_rng(4), 512, 6.0)
    for distance in (3, 6, 12):
        # A blurred white noise correlates as exp(-d^2 / (4 s^2)).
        correlation = float((image[:, distance:] * image[:, :-distance]).mean())
        assert correlation == pytest.approx(np.exp(-(distance**2) / 144.0), abs=0.06)


def test_contrast_goes_with_the_exponent() -> None:
    image = TEXTURES["leaves"](_rng(5), SIDE)
    np.testing.assert_allclose(with_contrast(image, 1.0), image, rtol=1e-12)
    deviations = [with_contrast(image, exponent).std() for exponent in (0.5, 1.0, 2.0)]
    assert deviations == sorted(deviations)
    assert with_contrast(image, 2.0).mean() == pytest.approx(1.0)


def test_shading_and_an_edge_have_their_strength() -> None:
    assert np.log(shading(_rng(6), 256, 0.4, 12.0)).std() == pytest.approx(0.4, rel=1e-6)
    step = luminance_edge(_rng(7), SIDE, 0.8, 10.0)
    assert step.max() / step.min() == pytest.approx(np.exp(0.8))
    assert ((step > 1.001 * step.min()) & (step < 0.999 * step.max())).mean() < 0.03


def test_text_is_mostly_paper_with_sharp_print() -> None:
    inks = [text_ink(_rng(8, i), 128) for i in range(6)]
    assert all(ink.shape == (128, 128) and ink.min() == 0 and ink.max() <= 1 for ink in inks)
    assert 0.05 < np.mean(inks) < 0.35
    assert max(np.abs(np.diff(ink, axis=1)).max() for ink in inks) > 0.5


def test_highlights_are_small_and_in_the_middle() -> None:
    image = highlights(_rng(9), 150, 5, (100.0, 100.0), (1.0, 1.0))
    # A disc of radius 1 with soft flanks has the area pi (1 + 0.53).
    assert image.sum() == pytest.approx(5 * 100.0 * np.pi * (1.0 + np.pi**2 / 3.0 * 0.4**2), rel=0.02)
    assert image[:20].max() < 1e-3 * image.max()
    assert highlights(_rng(9), 32, 0, (1.0, 2.0), (1.0, 2.0)).max() == 0


def test_scattered_leaves_are_opaque_inside_and_leave_holes() -> None:
    alpha, light = leaf_layer(_rng(10), SIDE, np.full(6, 12.0))
    assert alpha.min() == 0
    assert alpha.max() == 1
    assert 0.1 < alpha.mean() < 0.9
    assert light[alpha == 0].max() == 0
    assert light[alpha == 1].min() > 0


def test_unit_mean_of_a_constant() -> None:
    np.testing.assert_array_equal(unit_mean(np.full((3, 3), 7.0)), 1.0)


# ---------------------------------------------------------------------- photographs
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_is_linear_light_and_its_crops_have_mean_1(name: str) -> None:
    image = read_photograph(name)
    assert image.ndim == 2
    assert 0 <= image.min() < 0.06
    assert 0.4 < image.max() <= 1
    for scale in ((0.35, 0.35), (1.0, 1.0), (3.0, 3.0)):
        crop = photograph_crop(_rng(0), 240, name, scale)
        assert crop.shape == (240, 240)
        assert crop.min() >= 0
        assert crop.mean() == pytest.approx(1.0, abs=0.02)


def test_the_display_curve_is_undone() -> None:
    import skimage.io

    camera = skimage.io.imread(Path(skimage.__file__).parent / PHOTOGRAPHS["camera"].file)
    at = np.unravel_index(np.argmin(np.abs(camera.astype(int) - 188)), camera.shape)
    # 188 of 255 is half of the light.
    assert read_photograph("camera")[at] == pytest.approx(0.5, abs=0.01)


def test_a_crop_is_turned_mirrored_and_larger_at_a_larger_scale() -> None:
    crops = {photograph_crop(_rng(i), 64, "brick").tobytes() for i in range(20)}
    assert len(crops) == 20
    small, large = (
        np.median([_gradient(photograph_crop(_rng(i), 96, "gravel", (scale, scale))) for i in range(9)])
        for scale in (0.5, 3.0)
    )
    assert small > 2.0 * large


def test_a_photograph_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AfsimError, match="unknown photograph 'lena'; expected one of: astronaut"):
        read_photograph("lena")
    monkeypatch.setitem(photographs.PHOTOGRAPHS, "gone", Photograph("skimage", "data/gone.png"))
    with pytest.raises(AfsimError, match=r"gone.png is missing: .* wheel of skimage"):
        read_photograph("gone")
    assert Path(PHOTOGRAPHS["astronaut"].file).suffix == ".png"


# ---------------------------------------------------------------------- masks
@pytest.mark.parametrize("name", [*MASKS, *THIN])
def test_a_mask_covers_a_part_and_depends_on_the_seed_alone(name: str) -> None:
    draw = (MASKS | THIN)[name]
    covered = []
    for seed in range(12):
        mask = draw(_rng(seed), 121, 64)
        assert mask.shape == (121, 121)
        assert mask.min() >= 0
        assert mask.max() <= 1
        covered.append(mask[28:92, 28:92].mean())
    np.testing.assert_array_equal(draw(_rng(11), 121, 64), mask)
    assert 0.02 < np.mean(covered) < 0.75
    # Edges are soft over a pixel: most pixels are in or out.
    assert ((mask > 0.02) & (mask < 0.98)).mean() < 0.25


def test_half_planes_cover_half_on_average_and_now_and_then_all_or_nothing() -> None:
    covered = [MASKS["half_plane"](_rng(seed), 141, 128)[6:134, 6:134].mean() for seed in range(150)]
    assert np.mean(covered) == pytest.approx(0.5, abs=0.08)
    assert min(covered) < 0.02
    assert max(covered) > 0.98


@pytest.mark.parametrize("name", THIN)
def test_thin_structures_are_thin(name: str) -> None:
    from scipy.ndimage import distance_transform_edt

    widths = [2.0 * distance_transform_edt(THIN[name](_rng(seed), 201, 128) > 0.5).max() for seed in range(8)]
    assert np.median(widths) < 14
    assert max(widths) > 1
