"""What hides what: occlusion at depth edges, and surfaces that are slanted."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import afsim.render
from afsim.canvas import Surface
from afsim.optics import blur_diameter_px
from afsim.pupil import Pupil, alpha_of, make_pupil
from afsim.transfer import diffraction_transfer, sampling_transfer
from tests.canvases import (
    CENTRE,
    FOCUS,
    PUPIL,
    FloatArray,
    blob,
    centroids,
    half_plane,
    random_light,
    square,
)


# ---------------------------------------------------------------------- occlusion
def _see(scene: list[Surface], focus: npt.ArrayLike = FOCUS[::12], **options: Any) -> FloatArray:
    return np.asarray(square(scene, focus, CENTRE, size=48, pupil=PUPIL, **options))


def test_an_opaque_surface_hides_what_is_behind_it() -> None:
    side = 145
    front = Surface(random_light(side, 1), FOCUS[30], np.ones((side, side)))
    dark, bright = (_see([Surface(level * np.ones((side, side)), FOCUS[10]), front]) for level in (0.0, 9.0))
    np.testing.assert_allclose(dark, bright, atol=1e-12)


def test_away_from_its_edge_a_surface_hides_or_shows_all() -> None:
    side, focus = 145, FOCUS[[20, 24, 30]]  # front blurred by 8 pixels at most
    alpha = half_plane(side)
    back, front = (
        Surface(_smooth(random_light(side)), FOCUS[26]),
        Surface(_smooth(random_light(side, 1)), FOCUS[30]),
    )
    both = _see([back, Surface(alpha * front.radiance, FOCUS[30], alpha)], focus)
    np.testing.assert_allclose(both[..., 34:], _see([front], focus)[..., 34:], atol=4e-3)
    np.testing.assert_allclose(both[..., :14], _see([back], focus)[..., :14], atol=4e-3)


def test_a_transparent_surface_changes_nothing() -> None:
    side = 145
    back, nothing = Surface(random_light(side), FOCUS[10]), np.zeros((side, side))
    np.testing.assert_allclose(_see([back, Surface(nothing, FOCUS[30], nothing)]), _see([back]), atol=1e-12)


def test_surfaces_at_one_depth_are_one_flat_image() -> None:
    side, depth = 145, FOCUS[14]
    masks = [half_plane(side, -9.0), half_plane(side).T, 0.5 * half_plane(side, 7.0)]
    pile = [Surface(random_light(side), depth)]
    flat = pile[0].radiance
    for i, alpha in enumerate(masks):
        pile.append(Surface(alpha * random_light(side, i), depth, alpha))
        flat = flat * (1.0 - alpha) + pile[-1].radiance
    np.testing.assert_allclose(_see(pile), _see([Surface(flat, depth)]), atol=1e-12)


def test_an_edge_between_equal_colours_does_not_show() -> None:
    side = 145
    alpha = half_plane(side)
    pile = [Surface(np.full((side, side), 0.4), FOCUS[10]), Surface(0.4 * alpha, FOCUS[30], alpha)]
    np.testing.assert_allclose(_see(pile), 0.4, rtol=1e-9)


def test_layers_go_from_back_to_front() -> None:
    side = 145
    alpha = np.ones((side, side))
    red, blue = (Surface(np.full((side, side), level), FOCUS[20], None) for level in (0.2, 0.7))
    seen = _see([red, blue._replace(diopters=FOCUS[26], alpha=alpha)])
    np.testing.assert_allclose(seen, 0.7, rtol=1e-9)


def _traced(front: Surface, back: Surface, focus: float, pupil: Pupil) -> FloatArray:
    """Follow the light through each cell of the pupil: shift both surfaces, lay them over each other, add up."""
    N = len(front.radiance)
    fy, fx = np.fft.fftfreq(N)[:, None], np.fft.rfftfreq(N)
    sharp = diffraction_transfer(fy[:, 0], fx) * sampling_transfer(fy) * sampling_transfer(fx)

    def shifted(image: FloatArray, blur: float, y: float, x: float) -> FloatArray:
        turn = np.exp(-1j * np.pi * blur * (fy * y + fx * x))
        return np.fft.irfft2(np.fft.rfft2(image) * turn, (N, N))

    assert front.alpha is not None
    near, far = (float(blur_diameter_px(focus, surface.diopters)) for surface in (front, back))
    views = np.zeros((2, N, N))
    for i, y in enumerate(pupil.centres):
        for j, x in enumerate(pupil.centres):
            light = np.array([pupil.left[i, j], pupil.right[i, j]])
            if light.any():
                clear = 1.0 - shifted(front.alpha, near, y, x)
                seen = shifted(front.radiance, near, y, x) + clear * shifted(back.radiance, far, y, x)
                views += light[:, None, None] * seen
    return np.fft.irfft2(np.fft.rfft2(views) * sharp, (N, N))


@pytest.mark.parametrize(
    ("at", "error", "worst"),
    [(30, 3e-4, 2e-3), (10, 5e-4, 3e-3), (20, 2e-3, 2e-2), (48, 2e-3, 1e-2)],
)
def test_occlusion_is_near_to_traced_rays(at: int, error: float, worst: float) -> None:
    # In focus: the front, the back, what lies between, nothing.
    side, pupil = 145, make_pupil(cells=16)
    alpha = half_plane(side)
    back = Surface(_smooth(random_light(side)), FOCUS[10])
    front = Surface(alpha * _smooth(random_light(side, 1)), FOCUS[30], alpha)
    options: dict[str, Any] = {"size": 49, "pupil": pupil, "reference": FOCUS[at]}
    views = square([back, front], FOCUS[[at]], CENTRE, **options)[0]
    middle = slice(side // 2 - 24, side // 2 + 25)
    difference = views - _traced(front, back, FOCUS[at], pupil)[:, middle, middle]
    assert difference.std() < error
    assert np.abs(difference).max() < worst


def _smooth(image: FloatArray) -> FloatArray:
    """Take from a texture what the cells of a coarse pupil would alias."""
    f = np.fft.fftfreq(len(image))
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(-30.0 * (f[:, None] ** 2 + f**2))).real


# ---------------------------------------------------------------------- slanted surfaces
def _slant(side: int, indices: float) -> FloatArray:
    """Return depths that change by so many indices across 128 pixels, FOCUS[15] in the middle."""
    slope = indices * 0.199 / 128.0
    return np.broadcast_to(FOCUS[15] + slope * (np.arange(side) - side // 2), (side, side))


def test_an_even_slanted_surface_looks_even() -> None:
    side = 145
    seen = _see([Surface(np.full((side, side), 0.4), _slant(side, 8.0))])
    np.testing.assert_allclose(seen, 0.4, rtol=1e-9)


def test_a_slanted_opaque_surface_hides_what_is_behind_it() -> None:
    side = 145
    front = Surface(random_light(side, 1), _slant(side, 8.0), np.ones((side, side)))
    dark, bright = (_see([Surface(level * np.ones((side, side)), FOCUS[5]), front]) for level in (0.0, 9.0))
    np.testing.assert_allclose(dark, bright, atol=1e-9)


def test_a_slanted_surface_looks_locally_like_a_plane_at_its_depth() -> None:
    side, columns = 145, slice(22, 26)
    texture = _smooth(random_light(side))
    slanted, plane = (_see([Surface(texture, depth)]) for depth in (_slant(side, 3.0), FOCUS[15]))
    np.testing.assert_allclose(slanted[..., columns], plane[..., columns], atol=4e-3)


def test_a_disparity_grows_along_a_slanted_surface() -> None:
    side, focus = 185, FOCUS[[15]]
    dots = sum((np.roll(blob(side, 1.5), shift, axis=1) for shift in (-40, 40)), np.zeros((side, side)))
    views = square([Surface(dots, _slant(side, 8.0))], focus, CENTRE, size=128, pupil=PUPIL)[0]
    far, near = (centroids(half) for half in (views[..., :64], views[..., 64:]))
    blur = blur_diameter_px(focus, FOCUS[15] + np.array([-1.0, 1.0]) * 40.0 * 8.0 * 0.199 / 128.0)
    np.testing.assert_allclose([far[1] - far[0], near[1] - near[0]], alpha_of(PUPIL) * blur, rtol=0.05)


def test_strips_are_fine_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = [Surface(random_light(165), _slant(165, 8.0))]
    coarse = _see(scene)
    monkeypatch.setattr(afsim.render, "_STRIP_PX", 0.1)
    fine = _see(scene)
    assert (coarse - fine).std() < 2e-3
