"""The planar renderer: where light goes, how views and slices differ."""

import numpy as np
import numpy.typing as npt
import pytest

from afsim.optics import blur_diameter_px, lta49_diopters, magnification
from afsim.planar import crop_size, fade_border, planar_views

FloatArray = npt.NDArray[np.float64]
FOCUS = lta49_diopters()
CENTRE = np.zeros(2)
ALPHA = 8.0 / (6.0 * np.pi)  # disparity of the views' centroids over the blur diameter


def _blob(side: int, sigma: float = 2.0) -> FloatArray:
    offset = np.arange(side) - side // 2
    profile = np.exp(-0.5 * (offset / sigma) ** 2)
    return np.outer(profile, profile)


def _texture(side: int, seed: int = 0) -> FloatArray:
    return fade_border(np.random.default_rng(seed).uniform(0.2, 1.0, (side, side)))


def _centroids(images: FloatArray) -> FloatArray:
    """Return the centroid in x of images (..., H, W), from their middle."""
    offset = np.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2.0
    return np.asarray((images * offset).sum(axis=(-2, -1)) / images.sum(axis=(-2, -1)))


def test_disparity_over_a_stack_is_0_42_of_the_signed_blur() -> None:
    truth = 17.3
    depth = float(np.interp(truth, np.arange(49), FOCUS))
    views = planar_views(_blob(161), FOCUS, depth, CENTRE, 128)
    left, right = _centroids(views).T
    blur = blur_diameter_px(FOCUS, depth)
    # The window cuts a thousandth off the tails of the Airy pattern, here and in the tests below.
    np.testing.assert_allclose(right - left, ALPHA * blur, rtol=2e-3, atol=1e-6)
    assert (np.sign(right - left) == np.sign(np.arange(49) - truth)).all()


def test_disparity_of_half_a_pixel_of_blur() -> None:
    depth = FOCUS[24] - 0.5 / (blur_diameter_px(FOCUS[24], 0.0) / FOCUS[24])
    assert blur_diameter_px(FOCUS[24], depth) == pytest.approx(0.5)
    left, right = _centroids(planar_views(_blob(129), FOCUS[24:25], float(depth), CENTRE, 96))[0]
    assert right - left == pytest.approx(0.2122, abs=1e-3)


def test_energy_is_kept_through_blur() -> None:
    views = planar_views(_blob(161), FOCUS, FOCUS[20], CENTRE, 128)
    scale = magnification(FOCUS) / magnification(FOCUS[24])
    np.testing.assert_allclose(views.sum(axis=(-2, -1)) / scale[:, None] ** 2, _blob(161).sum(), rtol=1e-3)


def test_an_even_plane_looks_even_at_all_distances() -> None:
    views = planar_views(np.full((65, 65), 0.3), FOCUS, FOCUS[10], np.array([900.0, -600.0]), 16)
    np.testing.assert_allclose(views, 0.3, rtol=1e-12)


def test_object_behind_and_before_the_focus_differ_by_swapped_views() -> None:
    texture, focus = _texture(101), FOCUS[[20]]
    behind, before = (planar_views(texture, focus, float(focus[0]) + d, CENTRE, 32) for d in (-1.5, 1.5))
    np.testing.assert_allclose(behind[:, 0], before[:, 1], atol=1e-12)
    np.testing.assert_allclose(behind.mean(axis=1), before.mean(axis=1), atol=1e-12)
    assert np.abs(behind[:, 0] - behind[:, 1]).max() > 0.01


def test_a_mirrored_scene_gives_mirrored_and_swapped_views() -> None:
    texture, field = _texture(141), np.array([300.0, 200.0])
    views = planar_views(texture, FOCUS[::8], FOCUS[12], field, 32)
    mirrored = planar_views(texture[:, ::-1], FOCUS[::8], FOCUS[12], field * [-1.0, 1.0], 32)
    np.testing.assert_allclose(mirrored[:, ::-1, :, ::-1], views, atol=1e-12)


def test_content_moves_outward_as_the_lens_focuses_nearer() -> None:
    field = np.array([700.0, -300.0])
    views = planar_views(_blob(161), FOCUS, FOCUS[24], field, 128).mean(axis=1)
    scale = magnification(FOCUS) / magnification(FOCUS[24])
    np.testing.assert_allclose(_centroids(views), field[0] * (scale - 1.0), rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(_centroids(views.swapaxes(-1, -2)), field[1] * (scale - 1.0), rtol=2e-3, atol=1e-6)


def test_in_focus_the_middle_slice_shows_the_plane_through_lens_and_pixel() -> None:
    # A cosine at a quarter of the sampling rate keeps 0.80 of its contrast, at half a pixel's offset.
    side = 64 * 4 + 1
    x = np.arange(side) - side // 2
    cycles = 64 / side
    radiance = np.broadcast_to(1.0 + 0.5 * np.cos(2.0 * np.pi * cycles * x), (side, side))
    views = planar_views(radiance, FOCUS[[24]], FOCUS[24], CENTRE, 32)
    expected = 1.0 + 0.5 * 0.803 * np.cos(2.0 * np.pi * cycles * (np.arange(32) - 15.5))
    np.testing.assert_allclose(views, np.broadcast_to(expected, views.shape), atol=2e-3)


@pytest.mark.parametrize("field", [(0.0, 0.0), (944.0, 692.0), (-944.0, 692.0)])
def test_a_crop_holds_all_that_the_patch_sees(field: tuple[float, float]) -> None:
    depth, size = FOCUS[6], 48
    side = crop_size(FOCUS, depth, np.array(field), size)
    plane = np.random.default_rng(1).uniform(0.2, 1.0, (side + 80, side + 80))
    ends = FOCUS[[0, 24, 48]]
    wide, narrow = (
        planar_views(fade_border(crop), ends, depth, np.array(field), size)
        for crop in (plane, plane[40:-40, 40:-40])
    )
    # What is left of the border are the fading tails of sampled discs.
    np.testing.assert_allclose(narrow, wide, atol=5e-3)


def test_fading_leaves_the_middle_and_takes_the_edge_to_the_mean() -> None:
    texture = np.random.default_rng(0).uniform(size=(65, 65))
    faded = fade_border(texture)
    np.testing.assert_allclose(faded[12:-12, 12:-12], texture[12:-12, 12:-12], rtol=1e-12)
    np.testing.assert_allclose(faded[[0, -1]], texture.mean(), atol=0.01)


@pytest.mark.parametrize("shape", [(64, 64), (65, 63)])
def test_a_crop_that_is_even_or_oblong_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="square with an odd side"):
        planar_views(np.ones(shape), FOCUS, 1.0, CENTRE, 8)
