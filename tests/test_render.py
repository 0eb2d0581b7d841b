"""The renderer: where light goes, how views and slices differ, what hides what."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

from afsim.canvas import Surface, canvas_size
from afsim.errors import AfsimError
from afsim.optics import blur_diameter_px, magnification
from afsim.pupil import alpha_of, make_pupil
from afsim.render import render_views
from tests.canvases import (
    CENTRE,
    FOCUS,
    HALF_DISC,
    PUPIL,
    FloatArray,
    blob,
    centroids,
    half_plane,
    random_light,
    square,
)


# ---------------------------------------------------------------------- disparity
def test_disparity_over_a_stack_is_alpha_of_the_signed_blur() -> None:
    truth = 17.3
    depth = float(np.interp(truth, np.arange(49), FOCUS))
    for pupil in (HALF_DISC, PUPIL):
        left, right = centroids(square([Surface(blob(205), depth)], FOCUS, CENTRE, size=128, pupil=pupil)).T
        # The window cuts a thousandth off the tails of the Airy pattern, here and in the tests below.
        expected = alpha_of(pupil) * blur_diameter_px(FOCUS, depth)
        np.testing.assert_allclose(right - left, expected, rtol=3e-3, atol=1e-6)
        assert (np.sign(right - left) == np.sign(np.arange(49) - truth)).all()


def test_disparity_of_half_a_pixel_of_blur() -> None:
    depth = FOCUS[24] - 0.5 / (blur_diameter_px(FOCUS[24], 0.0) / FOCUS[24])
    assert blur_diameter_px(FOCUS[24], depth) == pytest.approx(0.5)
    views = square([Surface(blob(135), float(depth))], FOCUS[24:25], CENTRE, size=96, pupil=HALF_DISC)
    left, right = centroids(views)[0]
    assert right - left == pytest.approx(0.2122, abs=1e-3)


def _best_shift(left: FloatArray, right: FloatArray) -> float:
    """Return the shift of the right view against the left one with the least squared difference, to sub-pixels."""
    f, shifts = np.fft.rfftfreq(left.shape[1]), np.arange(-14.0, 18.01, 0.25)
    spectra = np.fft.rfft(left), np.fft.rfft(right)
    costs = []
    for shift in shifts:
        turn = np.exp(1j * np.pi * f * shift)
        difference = np.fft.irfft(spectra[0] / turn - spectra[1] * turn, left.shape[1])
        costs.append(float((difference[:, 24:-24] ** 2).mean()))
    i = int(np.clip(np.argmin(costs), 1, len(costs) - 2))
    before, at, after = costs[i - 1 : i + 2]
    return float(shifts[i] + 0.125 * (before - after) / (before - 2.0 * at + after))


def test_matching_the_views_finds_a_line_through_zero_at_the_truth() -> None:
    truth, slices = 20, np.array([0, 8, 14, 18, 20, 22, 27, 36, 48])
    depth = float(FOCUS[truth])
    scene = [Surface(random_light(225), depth)]
    views = square(scene, FOCUS[slices], CENTRE, pupil=HALF_DISC, reference=FOCUS[24])
    found = np.array([_best_shift(left, right) for left, right in views])
    blur = blur_diameter_px(FOCUS[slices], depth)
    assert found @ blur / (blur @ blur) == pytest.approx(0.445, abs=0.01)
    np.testing.assert_allclose(found, 0.441 * blur, rtol=0.04, atol=1e-6)
    assert (np.sign(found.round(6)) == np.sign(slices - truth)).all()


def test_object_behind_and_before_the_focus_differ_by_swapped_views() -> None:
    texture, focus = random_light(99), FOCUS[[20]]
    for pupil in (HALF_DISC, PUPIL):
        behind, before = (
            square([Surface(texture, float(focus[0]) + d)], focus, CENTRE, size=32, pupil=pupil)
            for d in (-1.5, 1.5)
        )
        np.testing.assert_allclose(behind[:, 0], before[:, 1], atol=1e-12)
        # Green alone cannot tell them apart: the paper's reason for dual pixels.
        np.testing.assert_allclose(behind.mean(axis=1), before.mean(axis=1), atol=1e-12)
        assert np.abs(behind[:, 0] - behind[:, 1]).max() > 0.01


def test_the_mean_of_the_views_is_green() -> None:
    field, scene = (400.0, -300.0), [Surface(random_light(135), FOCUS[9])]
    where = (400.0 / 1260.0, -300.0 / 1260.0)
    views, green = (
        render_views(scene, FOCUS[::12], field, size=32, pupil=make_pupil(model, field=where))
        for model in ("soft_split", "disc")
    )
    np.testing.assert_allclose(views.mean(axis=1), green[:, 0], atol=1e-12)


# ---------------------------------------------------------------------- light and symmetry
def test_energy_is_kept_through_blur() -> None:
    views = square([Surface(blob(205), FOCUS[20])], FOCUS, CENTRE, size=128, pupil=PUPIL)
    scale = magnification(FOCUS) / magnification(FOCUS[24])
    np.testing.assert_allclose(views.sum(axis=(-2, -1)) / scale[:, None] ** 2, blob(205).sum(), rtol=1e-3)


def test_an_even_plane_shows_the_light_that_the_pupil_lets_through() -> None:
    pupil = make_pupil(field=(900.0 / 1260.0, -600.0 / 1260.0))
    views = render_views(
        [Surface(np.full((135, 135), 0.3), FOCUS[10])], FOCUS, (900.0, -600.0), size=16, pupil=pupil
    )
    assert views.shape == (49, 2, 10, 16)
    np.testing.assert_allclose(views[:, 0], 0.3 * pupil.left.sum(), rtol=1e-12)
    np.testing.assert_allclose(views[:, 1], 0.3 * pupil.right.sum(), rtol=1e-12)


def test_a_mirrored_scene_gives_mirrored_and_swapped_views() -> None:
    alpha, field = half_plane(145, 5.0), np.array([300.0, 200.0])
    scene = [Surface(random_light(145), FOCUS[12]), Surface(alpha * random_light(145, 1), FOCUS[20], alpha)]
    mirrored = [
        Surface(s.radiance[:, ::-1], s.diopters, s.alpha if s.alpha is None else s.alpha[:, ::-1]) for s in scene
    ]
    views = render_views(scene, FOCUS[::8], field, size=32, pupil=make_pupil(field=(0.24, 0.16)))
    there = make_pupil(field=(-0.24, 0.16))
    other = render_views(mirrored, FOCUS[::8], field * [-1.0, 1.0], size=32, pupil=there)
    np.testing.assert_allclose(other[:, ::-1, :, ::-1], views, atol=1e-12)


# ---------------------------------------------------------------------- breathing and shifts
@pytest.mark.parametrize("breathing", [0.0, 1.0, 1.3])
def test_content_moves_outward_as_the_lens_focuses_nearer(breathing: float) -> None:
    field = np.array([700.0, -300.0])
    scene = [Surface(blob(225), FOCUS[24])]
    views = square(scene, FOCUS, field, size=128, pupil=PUPIL, breathing=breathing).mean(axis=1)
    scale = (magnification(FOCUS) / magnification(FOCUS[24])) ** breathing
    np.testing.assert_allclose(centroids(views), field[0] * (scale - 1.0), rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(centroids(views.swapaxes(-1, -2)), field[1] * (scale - 1.0), rtol=2e-3, atol=1e-6)
    if breathing:
        assert (np.diff(centroids(views)) > 0).all()


def test_a_point_64_pixels_out_moves_to_66_84() -> None:
    ends = FOCUS[[0, -1]]
    scene = [Surface(blob(185), float(ends.mean()))]
    views = square(scene, ends, (64.0, 0.0), size=96, pupil=PUPIL, reference=FOCUS[0]).mean(axis=1)
    np.testing.assert_allclose(64.0 + centroids(views), [64.0, 66.84], atol=0.01)


def test_shifts_move_the_content() -> None:
    shifts = np.array([[0.0, 0.0], [0.3, 0.0], [0.0, -2.25], [1.0, 4.0]])
    scene = [Surface(blob(145), FOCUS[24])]
    views = square(scene, np.full(4, FOCUS[24]), (500.0, 0.0), size=96, pupil=PUPIL, shifts_px=shifts).mean(axis=1)
    found = np.stack((centroids(views), centroids(views.swapaxes(-1, -2))), axis=1)
    np.testing.assert_allclose(found, shifts, rtol=2e-3, atol=1e-6)


# ---------------------------------------------------------------------- sampling
def test_in_focus_the_reference_slice_shows_the_plane_through_lens_and_pixel() -> None:
    # A cosine at a quarter of the sampling rate keeps 0.80 of its contrast, at half a pixel's offset.
    side = 135
    x = np.arange(side) - side // 2
    cycles = 34 / side
    radiance = np.broadcast_to(1.0 + 0.5 * np.cos(2.0 * np.pi * cycles * x), (side, side))
    views = square([Surface(radiance, FOCUS[24])], FOCUS[[24]], CENTRE, size=32, pupil=PUPIL)
    expected = 1.0 + 0.5 * 0.803 * np.cos(2.0 * np.pi * cycles * (np.arange(32) - 15.5))
    # Fading the border leaks a little from the one frequency.
    np.testing.assert_allclose(views, np.broadcast_to(expected, views.shape), atol=5e-3)


@pytest.mark.parametrize("sigma", [0.0, 0.7])
def test_a_native_row_is_the_mean_of_two_rows_of_square_pixels(sigma: float) -> None:
    scene, field, focus = [Surface(random_light(165), FOCUS[15])], (350.0, 500.0), FOCUS[::16]
    native = render_views(scene, focus, field, size=32, pupil=PUPIL, sigma_px=sigma)
    fine = square(scene, focus, field, size=36, pupil=PUPIL, sigma_px=sigma)[..., 2:-2]
    assert native.shape == (4, 2, 18, 32)
    np.testing.assert_allclose(native, (fine[:, :, 0::2] + fine[:, :, 1::2]) / 2.0, atol=1e-12)


def test_a_hard_edge_does_not_ring_far_from_it() -> None:
    side = 145
    step = np.broadcast_to(np.arange(side) >= side // 2, (side, side)).astype(np.float64)
    seen = square([Surface(step, FOCUS[24])], FOCUS[[24]], CENTRE, size=64, pupil=PUPIL)
    assert np.abs(seen[..., :18] - 0.0).max() < 2e-3
    assert np.abs(seen[..., -18:] - 1.0).max() < 2e-3


@pytest.mark.parametrize("field", [(0.0, 0.0), (944.0, 692.0), (-944.0, 692.0)])
@pytest.mark.parametrize("model", ["soft_split", "gaussian"])
def test_a_canvas_holds_all_that_the_patch_sees(field: tuple[float, float], model: str) -> None:
    depth, size, pupil = FOCUS[6], 48, make_pupil(model, field=(field[0] / 1260.0, field[1] / 1260.0))
    ends = FOCUS[[0, 24, 48]]
    side = canvas_size(FOCUS, (depth, depth), field, size, breathing=1.3, drift_px=1.0, support=pupil.support)
    plane = np.random.default_rng(1).uniform(0.2, 1.0, (side + 80, side + 80))
    see = partial(
        square, focus=ends, field_px=field, size=size, pupil=pupil, breathing=1.3, shifts_px=np.ones((3, 2))
    )
    wide, narrow = (see([Surface(crop, depth)]) for crop in (plane, plane[40:-40, 40:-40]))
    # What is left of the border are the fading tails of sampled discs.
    np.testing.assert_allclose(narrow, wide, atol=5e-3)


# ---------------------------------------------------------------------- the same, however computed
def test_single_slices_are_those_of_the_stack() -> None:
    alpha, field = half_plane(165), (120.0, 340.0)
    scene = [Surface(random_light(165), FOCUS[15]), Surface(alpha * random_light(165, 1), FOCUS[22], alpha)]
    see = partial(render_views, scene, field_px=field, size=32, pupil=PUPIL, reference=FOCUS[24])
    whole = see(focus=FOCUS[::6])
    for k, focus in enumerate(FOCUS[::6]):
        np.testing.assert_array_equal(see(focus=[focus])[0], whole[k])


def test_threads_change_nothing() -> None:
    def see(i: int) -> Any:
        return render_views([Surface(random_light(99, i), FOCUS[24])], FOCUS[20:28], CENTRE, size=32, pupil=PUPIL)

    with ThreadPoolExecutor(2) as pool:
        for i, views in enumerate(pool.map(see, range(4))):
            np.testing.assert_array_equal(views, see(i))


def test_single_precision_is_double_to_a_hundredth_of_a_digital_number() -> None:
    scene, field = [Surface(random_light(225), FOCUS[8] + 0.2 * half_plane(225))], (700.0, 500.0)
    double = render_views(scene, FOCUS[::8], field, size=64, pupil=PUPIL)
    single = render_views(scene, FOCUS[::8], field, size=64, pupil=PUPIL, precision="single")
    assert double.dtype == np.dtype(np.float64)
    assert single.dtype == np.dtype(np.float32)
    np.testing.assert_allclose(single, double, atol=1e-5)


# ---------------------------------------------------------------------- refusals
def test_a_canvas_that_is_too_small_is_refused_by_its_size() -> None:
    needed = canvas_size(FOCUS, (1.0, 1.0), CENTRE, 32)
    assert needed % 2 == 1
    render_views([Surface(np.ones((needed, needed)), 1.0)], FOCUS, CENTRE, size=32, pupil=PUPIL)
    side = needed - 12
    with pytest.raises(AfsimError, match=rf"side of {side} pixels; needed: odd and at least {needed}"):
        render_views([Surface(np.ones((side, side)), 1.0)], FOCUS, CENTRE, size=32, pupil=PUPIL)


ONES = np.ones((145, 145))


@pytest.mark.parametrize(
    ("scene", "options", "message"),
    [
        ([], {}, "at least one surface"),
        ([Surface(np.ones((146, 146)), 1.0)], {}, "needed: odd"),
        ([Surface(np.ones((145, 143)), 1.0)], {}, "surface 0: radiance"),
        ([Surface(ONES, np.ones(145))], {}, "surface 0: diopters"),
        ([Surface(ONES, 1.0), Surface(ONES, 1.0, np.ones((3, 3)))], {}, "surface 1: alpha"),
        ([Surface(ONES, 1.0), Surface(ONES, 2.0)], {}, "surface 1: only the rearmost"),
        ([Surface(ONES * np.nan, 1.0)], {}, "surface 0: radiance must be finite"),
        ([Surface(ONES, 1.0)], {"size": 31}, "even"),
        ([Surface(ONES, 1.0)], {"shifts_px": np.zeros((3, 2))}, "one .x, y. a slice"),
        ([Surface(ONES, 1.0), Surface(ONES, 2.0, 1.5 * ONES)], {}, "surface 1: alpha must be in 0 ... 1, got 1.5"),
        ([Surface(ONES, 1.0, -0.1 * ONES)], {}, "surface 0: alpha must be in 0 ... 1, got -0.1"),
    ],
)
def test_what_does_not_fit_together_is_refused(scene: list[Surface], options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        render_views(scene, FOCUS, CENTRE, **{"size": 32, "pupil": PUPIL, **options})


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("precision", ("half", None)),
        ("sigma_px", (np.nan, -0.5, np.inf, "wide")),
        ("breathing", (np.nan, -1.0, np.inf)),
        ("size", (0, -2, 32.0)),
        ("reference", (np.nan, -1.0, 226.0, FOCUS)),
        ("focus", ([], [FOCUS], [1.0, np.nan], [-0.1], [226.0])),
        ("field_px", (np.nan, [1.0], [1.0, 2.0, 3.0], [np.nan, 0.0])),
        ("shifts_px", (np.full((49, 2), np.nan), 1.0)),
    ],
)
def test_a_number_that_no_camera_can_have_is_refused_by_name(name: str, bad: tuple[Any, ...]) -> None:
    options: dict[str, Any] = {"focus": FOCUS, "field_px": CENTRE, "size": 32, "pupil": PUPIL}
    for value in bad:
        with pytest.raises(AfsimError, match=name):
            render_views([Surface(ONES, 1.0)], **{**options, name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("drift_px", -1.0), ("support", np.nan), ("diopters_range", (0.0, np.inf))]
)
def test_a_canvas_for_what_cannot_be_is_refused_by_name(name: str, value: Any) -> None:
    options: dict[str, Any] = {"focus": FOCUS, "diopters_range": (0.0, 1.0), "field_px": CENTRE, "size": 32}
    with pytest.raises(AfsimError, match=name):
        canvas_size(**{**options, name: value})
