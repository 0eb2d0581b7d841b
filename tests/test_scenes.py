"""Scene families: what they pile up, in which order, and how far away."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from afsim import scenes
from afsim.errors import AfsimError
from afsim.mixture import MIXTURES, V6, Mixture
from afsim.optics import diopters_of_index, fractional_index, lta49_diopters
from afsim.scenes import FAMILIES, Canvas, Scene, draw_scene

FloatArray = npt.NDArray[np.float64]
FOCUS = lta49_diopters()
SIDE, SIZE = 101, 64
CANVAS = Canvas(SIDE, SIZE, FOCUS, ("chelsea", "gravel"))
PATCH = np.s_[18:82, 18:82]


def _scene(mixture: Mixture, seed: int, canvas: Canvas = CANVAS) -> Scene:
    return draw_scene(mixture, np.random.default_rng([30, seed]), canvas)


def _seen(scene: Scene) -> FloatArray:
    """Lay the surfaces over each other, all in focus."""
    image = np.zeros((SIDE, SIDE))
    for surface in scene.surfaces:
        image = surface.radiance + (0.0 if surface.alpha is None else 1.0 - surface.alpha) * image
    return image[PATCH]


# ---------------------------------------------------------------------- all families
def test_every_mixture_has_a_family() -> None:
    assert {mixture.family for mixture in MIXTURES.values()} == set(FAMILIES)
    with pytest.raises(AfsimError, match="unknown scene family 'street'; expected one of: composition"):
        _scene(replace(V6, family="street"), 0)


@pytest.mark.parametrize("name", MIXTURES)
def test_a_scene_is_a_pile_in_depth_whose_rearmost_surface_alone_is_opaque(name: str) -> None:
    mixture = MIXTURES[name]
    least, most = diopters_of_index(mixture.reach_index, FOCUS)
    for seed in range(5):
        scene = _scene(mixture, seed)
        behind: float | FloatArray = 0.0
        for i, surface in enumerate(scene.surfaces):
            assert surface.radiance.shape == (SIDE, SIDE)
            assert surface.radiance.min() >= 0
            assert (surface.alpha is None) == (i == 0)
            assert np.all(surface.diopters >= behind)
            behind = surface.diopters
            if surface.alpha is not None:
                # Light is premultiplied: where nothing is, nothing shines.
                assert surface.radiance[surface.alpha == 0].max(initial=0.0) == 0
        assert len(scene.textures) == len(scene.surfaces)
        assert scene.depth.shape == (SIZE, SIZE)
        assert least <= scene.depth.min() <= scene.depth.max() <= most


@pytest.mark.parametrize("name", MIXTURES)
def test_a_scene_depends_on_its_generator_alone(name: str) -> None:
    first, again, other = (_scene(MIXTURES[name], seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.depth, again.depth)
    assert len(first.surfaces) == len(again.surfaces)
    for a, b in zip(first.surfaces, again.surfaces, strict=True):
        np.testing.assert_array_equal(a.radiance, b.radiance)
    assert (first.surfaces[0].radiance != other.surfaces[0].radiance).any()


def test_the_patch_has_mean_1_and_its_peak_is_known() -> None:
    for seed in range(8):
        scene = _scene(replace(V6, highlighted=0.0), seed)
        seen = _seen(scene)
        assert seen.mean() == pytest.approx(1.0)
        assert np.percentile(seen, 99.9) == pytest.approx(scene.peak)


# ---------------------------------------------------------------------- depth
def test_a_slanted_surface_is_flat_in_dioptres_and_runs_through_its_range() -> None:
    mixture = replace(V6, single=0.0, single_slanted=1.0, two=0.0, several=0.0, slant_index=(4.0, 4.0))
    mixture = replace(mixture, depth_range=(20.0, 25.0))
    scene = _scene(mixture, 1)
    depth = np.asarray(scene.surfaces[0].diopters)
    np.testing.assert_allclose(np.diff(depth, n=2, axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.diff(depth, n=2, axis=1), 0.0, atol=1e-12)
    # Four mean steps of the table across the patch, along the steepest direction.
    slope = np.hypot(depth[1, 0] - depth[0, 0], depth[0, 1] - depth[0, 0])
    assert slope * SIZE == pytest.approx(4.0 * (FOCUS[-1] - FOCUS[0]) / 48)
    np.testing.assert_array_equal(scene.depth, depth[PATCH])


def test_what_hides_at_least_half_is_what_is_seen() -> None:
    mixture = replace(V6, single=0.0, single_slanted=0.0, two=1.0, several=0.0, slanted=0.0)
    for seed in range(6):
        rear, front = (scene := _scene(mixture, seed)).surfaces
        assert front.alpha is not None
        expected = np.where(front.alpha[PATCH] >= 0.5, front.diopters, rear.diopters)
        np.testing.assert_array_equal(scene.depth, expected)


def test_a_surface_that_would_cut_through_the_one_behind_is_bent_to_touch_it() -> None:
    mixture = replace(V6, single=0.0, single_slanted=0.0, two=1.0, several=0.0, slanted=1.0)
    mixture = replace(mixture, slant_index=(8.0, 8.0), separation_index=1.0)
    touching = 0
    for seed in range(10):
        rear, front = _scene(mixture, seed).surfaces
        assert (np.asarray(front.diopters) >= rear.diopters).all()
        touching += bool((np.asarray(front.diopters) == rear.diopters).any())
    assert touching > 3


# ---------------------------------------------------------------------- composition
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        scenes, "_radiance", lambda mixture, rng, canvas, texture: rng.uniform(0.5, 1.5, (SIDE, SIDE))
    )


def test_compositions_come_in_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    _cheap(monkeypatch)
    found = [_scene(replace(V6, highlighted=0.0), seed).surfaces for seed in range(500)]
    counts = np.bincount([len(surfaces) for surfaces in found], minlength=6) / len(found)
    np.testing.assert_allclose(counts[[1, 2]], [0.75, 0.20], atol=0.06)
    assert counts[3:].sum() == pytest.approx(0.05, abs=0.03)
    slanted = [np.ndim(surfaces[0].diopters) == 2 for surfaces in found if len(surfaces) == 1]
    assert np.mean(slanted) == pytest.approx(0.33 / 0.75, abs=0.08)


def test_textures_come_in_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    _cheap(monkeypatch)
    names = [name for seed in range(500) for name in _scene(V6, seed).textures]
    for name, share in V6.textures:
        assert names.count(name) / len(names) == pytest.approx(0.99 * share, abs=0.05)
    assert 0 < names.count("even") / len(names) < 0.03


def test_further_surfaces_lie_as_far_and_as_often_behind_as_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    _cheap(monkeypatch)
    mixture = replace(V6, single=0.0, single_slanted=0.0, two=1.0, several=0.0, slanted=0.0, highlighted=0.0)
    mixture = replace(mixture, depth_range=(24.0, 24.0))
    depths = [[float(s.diopters) for s in _scene(mixture, seed).surfaces] for seed in range(400)]
    index = fractional_index(np.array(depths), FOCUS)
    away = np.where(np.isclose(index[:, 0], 24.0), index[:, 1], index[:, 0]) - 24.0
    assert (away < 0).mean() == pytest.approx(0.6, abs=0.07)
    assert np.median(np.abs(away)) == pytest.approx(8.0 * np.log(2.0), rel=0.15)


def test_all_photographs_of_a_scene_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def crop(rng: np.random.Generator, side: int, name: str, scale: tuple[float, float]) -> FloatArray:
        shown.append(name)
        return rng.uniform(0.5, 1.5, (side, side))

    monkeypatch.setattr(scenes, "photograph_crop", crop)
    mixture = replace(V6, single=0.0, single_slanted=0.0, two=0.0, several=1.0, textures=(("photograph", 1.0),))
    owners = set()
    for seed in range(12):
        shown.clear()
        scene = _scene(replace(mixture, textureless=0.0), seed)
        assert set(shown) == {scene.photograph}
        assert len(shown) == len(scene.surfaces) >= 3
        owners.add(scene.photograph)
    assert owners == {"chelsea", "gravel"}


def test_a_scene_without_a_photograph_belongs_to_none() -> None:
    mixture = replace(V6, textures=(("leaves", 1.0),))
    assert _scene(mixture, 0, CANVAS._replace(photographs=())).photograph == ""
    with pytest.raises(AfsimError, match="mixture 'v6' shows photographs, but none may be used"):
        _scene(replace(V6, textures=(("photograph", 1.0),)), 0, CANVAS._replace(photographs=()))


def test_scenes_with_too_little_texture_are_drawn_again_and_given_up_at_last() -> None:
    smooth = replace(V6, textures=(("cloth", 1.0),), textureless=0.0, least_gradient=9.0)
    with pytest.raises(AfsimError, match="least_gradient 9: 100 scenes of mixture 'v6' had less texture"):
        _scene(smooth, 0, Canvas(31, 16, FOCUS, ()))


# ---------------------------------------------------------------------- single families
def test_families_show_what_they_are_named_for() -> None:
    assert {name for seed in range(5) for name in _scene(MIXTURES["planes"], seed).textures} == {"photograph"}
    assert {name for seed in range(5) for name in _scene(MIXTURES["text"], seed).textures} == {"text"}
    assert {name for seed in range(5) for name in _scene(MIXTURES["low_texture"], seed).textures} == {"even"}


def test_leaves_lie_at_many_depths_and_some_cut_the_border_of_the_patch() -> None:
    for seed in range(5):
        scene = _scene(MIXTURES["leaves"], seed)
        assert 4 <= len(scene.surfaces) <= 8
        assert len(np.unique(scene.depth)) >= 3
        border = np.concatenate((scene.depth[0], scene.depth[-1], scene.depth[:, 0], scene.depth[:, -1]))
        assert len(np.unique(border)) >= 2


def test_thin_structures_leave_the_label_to_what_lies_behind() -> None:
    behind = 0
    for seed in range(20):
        scene = _scene(MIXTURES["thin"], seed)
        gaps = np.diff([fractional_index(np.min(surface.diopters), FOCUS) for surface in scene.surfaces])
        assert (gaps > 1.0).all()
        rear = scene.surfaces[0].diopters
        rear = np.asarray(rear)[PATCH] if np.ndim(rear) else rear
        behind += bool(np.median(scene.depth) <= np.max(rear))
    assert behind >= 12


def test_low_texture_has_little_and_a_night_has_lamps() -> None:
    low = [np.abs(np.diff(_seen(_scene(MIXTURES["low_texture"], seed)))).mean() for seed in range(12)]
    usual = [np.abs(np.diff(_seen(_scene(V6, seed)))).mean() for seed in range(12)]
    assert np.median(low) < 0.3 * np.median(usual)
    for seed in range(4):
        night = _scene(MIXTURES["night"], seed)
        assert night.surfaces[0].radiance.max() > 30 * night.peak**0.5
