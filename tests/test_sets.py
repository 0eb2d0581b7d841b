"""Rendered sets: what a stack is, that it is always the same, the named sets, and how the demo is cached."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import laplace

from afsim import setconfig, sets
from afsim.errors import AfsimError, StoreError
from afsim.mixture import V6
from afsim.optics import lta49_diopters, nearest_index
from afsim.photographs import PHOTOGRAPHS
from afsim.setconfig import DEMO, SetConfig, description_hash
from afsim.sets import cache_folder, demo_stacks, open_demo, render_in_order, render_stack
from afsim.stack import FocalStack
from afsim.stackset import StackSet

FloatArray = npt.NDArray[np.float64]

# Faces the camera, near the middle of the stack and of the field: a canvas little larger than the patch.
_PLAIN = replace(
    V6,
    single=1.0,
    single_slanted=0.0,
    two=0.0,
    several=0.0,
    field_px=(0.0, 300.0),
    depth_range=(3.0, 30.0),
    highlighted=0.0,
)
TINY = replace(DEMO, size=8, count=3, mixture=replace(_PLAIN, reach_index=(0.0, 30.0)))


@pytest.fixture(scope="module")
def rendered() -> StackSet:
    return demo_stacks(16, replace(DEMO, size=48))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder that does not exist yet, so that no test touches the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("AFSIM_CACHE", str(folder))
    return folder


# ---------------------------------------------------------------------- what is rendered
def test_default_stack_has_the_geometry_of_the_recordings() -> None:
    stack = render_stack(DEMO, 0)
    assert stack.images.shape == (49, 2, 128, 128)
    assert stack.levels == (1024, 16368)
    assert (stack.images % 4 == 0).all()
    assert stack.diopters is not None
    np.testing.assert_array_equal(stack.diopters, lta49_diopters())
    assert stack.geometry == DEMO.geometry
    assert stack.metadata["dp_axis"] == "columns"
    assert stack.metadata["dp_sign"] == 1


def test_the_demos_label_is_the_slice_nearest_to_the_truth_in_dioptres(rendered: StackSet) -> None:
    depths = np.interp(rendered.best_index_exact, np.arange(49), lta49_diopters())
    np.testing.assert_array_equal(rendered.best_index, nearest_index(depths, lta49_diopters()))
    assert len(set(rendered.best_index_exact)) > 12


def test_truth_is_the_median_depth_clamped_to_the_stack() -> None:
    focus = lta49_diopters()
    beyond = replace(TINY, mixture=replace(TINY.mixture, depth_range=(-1.0, -0.5), reach_index=(-1.28, 30.0)))
    stack = render_stack(beyond, 0)
    assert stack.best_index_exact == 0
    assert stack.best_index == 0
    near = replace(TINY, mixture=replace(TINY.mixture, depth_range=(49.0, 50.0), reach_index=(-1.28, 50.0)))
    assert render_stack(near, 0).best_index_exact == 48
    depth = np.full((4, 4), focus[7])
    depth[:2] = focus[30]
    depth[2, 0] = focus[40]
    assert sets._truth(replace(TINY, label_noise=False), 0, depth, focus) == (30.0, 30)


def test_sharpest_slice_is_near_the_truth() -> None:
    config = replace(
        TINY, size=48, noise=False, mixture=replace(_PLAIN, textures=(("leaves", 0.5), ("photograph", 0.5)))
    )
    stacks = demo_stacks(8, config)
    sharpest = [np.argmax([laplace(image.astype(np.float64)).var() for image in stack.green()]) for stack in stacks]
    assert np.median(np.abs(sharpest - stacks.best_index_exact)) < 0.6
    assert np.mean(np.abs(sharpest - stacks.best_index) <= 1) >= 0.75


def test_views_are_shifted_one_way_before_and_the_other_behind_the_focus() -> None:
    config = replace(TINY, size=64, mismatch=False, mixture=replace(_PLAIN, depth_range=(12.0, 30.0)))
    for stack in demo_stacks(6, config):
        assert stack.best_index is not None
        # Focused farther than the object (lower index): disparity x_right - x_left is negative, later positive.
        assert _disparity(stack, stack.best_index - 10) < -1.5 < 1.5 < _disparity(stack, stack.best_index + 10)


def _disparity(stack: FocalStack, k: int) -> float:
    """Return the shift x_right - x_left that makes the views agree best, in pixels."""
    left, right = stack.normalized()[k].astype(np.float64)
    shifts = range(-8, 9)
    errors = [np.mean((right[:, 8 + s : 56 + s] - left[:, 8:56]) ** 2) for s in shifts]
    return float(shifts[int(np.argmin(errors))])


def test_stacks_of_one_photograph_share_their_scene_and_others_stand_alone(rendered: StackSet) -> None:
    photographs = {scene for scene in rendered.scenes if scene in PHOTOGRAPHS}
    assert photographs <= set(DEMO.photographs)
    alone = [scene for scene in rendered.scenes if scene not in PHOTOGRAPHS]
    assert len(alone) == len(set(alone)) > 0
    for stack in rendered:
        textures = stack.metadata["textures"]
        assert isinstance(textures, list)
        assert ("photograph" in textures) == (stack.scene in PHOTOGRAPHS)


def test_regions_spread_over_the_field(rendered: StackSet) -> None:
    assert np.abs(rendered.regions).max() < 1
    assert rendered.regions.std(axis=0).min() > 0.2


def test_usual_stacks_are_exposed_below_white(rendered: StackSet) -> None:
    saturated = [(stack.images == stack.levels.white).mean() for stack in rendered]
    assert np.median(saturated) == 0
    assert np.mean(np.array(saturated) > 0.01) < 0.3


def test_noise_has_the_stated_variance_and_is_independent_in_the_views() -> None:
    config = replace(TINY, size=48, mixture=replace(_PLAIN, shot_log_mean=np.log(2e-3), shot_log_sd=0.0, read=5e-5))
    config = replace(config, mixture=replace(config.mixture, level_range=(0.2, 0.25), highest=0.7))
    noisy, clean = (render_stack(replace(config, noise=noise), 1) for noise in (True, False))
    assert noisy.noise is not None
    signal = clean.normalized().astype(np.float64)
    residual = noisy.normalized() - signal
    order = np.array_split(np.argsort(signal, axis=None), 20)
    slope, floor = np.polyfit(
        [signal.ravel()[part].mean() for part in order], [residual.ravel()[part].var() for part in order], 1
    )
    assert slope == pytest.approx(noisy.noise[0], rel=0.05)
    assert floor == pytest.approx(noisy.noise[1], abs=0.1 * noisy.noise[0] * float(signal.mean()))
    assert abs(np.corrcoef(residual[:, 0].ravel(), residual[:, 1].ravel())[0, 1]) < 0.02
    assert clean.noise == pytest.approx((0.0, 0.625 * 9.06e-8), rel=1e-3)


def test_noise_slope_of_flat_patches() -> None:
    flat = replace(_PLAIN, textures=(("even", 1.0),), textureless=1.0, shaded=0.0, edged=0.0, level_log_sd=1.5)
    flat = replace(
        flat, shot_log_mean=np.log(1e-3), shot_log_sd=0.0, contrast_log_mean=-9.0, flicker_share=(1.0, 0.0, 0.0)
    )
    stacks = demo_stacks(10, replace(TINY, size=32, mixture=flat, mismatch=False))
    images = np.stack([stack.normalized() for stack in stacks]).astype(np.float64)
    variance, mean = images.var(axis=(3, 4)).mean(axis=(1, 2)), images.mean(axis=(1, 2, 3, 4))
    slope, floor = np.polyfit(mean, variance, 1)
    # Per view twice green's 1e-3, and 5/8 of that on the stored grid.
    assert slope == pytest.approx(0.625 * 2e-3, rel=0.03)
    assert floor == pytest.approx(0.0, abs=2e-6)


def test_switches_change_nothing_but_what_they_name() -> None:
    base = replace(TINY, noise=False, flicker=False, mismatch=False, shake=False, label_noise=False)
    plain = render_stack(base, 2)
    for switched in (
        replace(base, noise=True),
        replace(base, flicker=True),
        replace(base, mismatch=True),
        replace(base, shake=True),
    ):
        changed = render_stack(switched, 2)
        assert (changed.images != plain.images).any()
        assert changed.best_index_exact == plain.best_index_exact
        assert changed.region == plain.region
        assert changed.metadata["level"] == plain.metadata["level"]
    mislabelled = [render_stack(replace(base, label_noise=True), i) for i in range(8)]
    assert len({stack.best_index == round(stack.best_index_exact or 0.0) for stack in mislabelled}) == 2
    np.testing.assert_array_equal(mislabelled[2].images, plain.images)


def test_the_same_scene_is_rendered_without_breathing() -> None:
    moving = replace(
        TINY, noise=False, shake=False, size=32, mixture=replace(TINY.mixture, field_px=(200.0, 300.0))
    )
    still = replace(moving, mixture=replace(moving.mixture, breathing=0.0))
    with_breathing, without = (render_stack(config, 1).green() for config in (moving, still))
    np.testing.assert_array_equal(with_breathing[24], without[24])  # the scale of the middle slice is kept
    assert np.abs(with_breathing[48] - without[48]).max() > 0.01


def test_a_margin_shows_more_around_the_same_patch() -> None:
    # The canvas grows, so the texture is another one: what is placed and labelled by the patch stays.
    plain, wide = (render_stack(replace(TINY, margin=margin), 0) for margin in (0, 6))
    assert wide.images.shape == (49, 2, 20, 20)
    assert wide.region == plain.region
    assert wide.best_index_exact == plain.best_index_exact
    assert wide.metadata["margin"] == 6


# ---------------------------------------------------------------------- always the same
def test_a_stack_depends_on_no_other(rendered: StackSet) -> None:
    config = replace(DEMO, size=48)
    for i in (7, 2):
        alone = render_stack(config, i)
        np.testing.assert_array_equal(alone.images, rendered.images[i])
        assert alone.best_index_exact == rendered[i].best_index_exact
        assert alone.metadata == rendered[i].metadata
    assert demo_stacks(3, config).digest == rendered[:3].digest
    # The count is part of the set, not of its stacks: there is no last one.
    np.testing.assert_array_equal(
        render_stack(replace(TINY, count=1), 4321).images, render_stack(replace(TINY, count=9), 4321).images
    )


def test_order_and_bytes_do_not_depend_on_the_number_of_workers() -> None:
    config = replace(TINY, count=7)
    one, three = (list(render_in_order(config, workers=workers)) for workers in (1, 3))
    assert [stack.name for stack in one] == [f"demo-{i:06d}" for i in range(7)]
    for a, b in zip(one, three, strict=True):
        np.testing.assert_array_equal(a.images, b.images)
    assert [stack.name for stack in render_in_order(config, 5, workers=2)] == ["demo-000005", "demo-000006"]
    with pytest.raises(AfsimError, match="workers must be at least 1, got 0"):
        next(render_in_order(config, workers=0))


def test_seeds_give_other_stacks() -> None:
    first, other = (render_stack(replace(TINY, seed=seed), 0) for seed in (0, 1))
    assert first.best_index_exact != other.best_index_exact
    assert (first.images != other.images).mean() > 0.5


# ---------------------------------------------------------------------- the cache
def _refuse(config: SetConfig, i: int) -> FocalStack:
    raise AssertionError(f"stack {i} was rendered again ({config})")


def test_first_opening_renders_and_the_second_reads(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_demo(2, TINY)
    assert first.path is not None
    assert first.path.parent == cache
    assert isinstance(first.images, np.memmap)
    monkeypatch.setattr(sets, "render_stack", _refuse)
    again = open_demo(2, TINY)
    assert again.digest == first.digest
    assert again.path == first.path


def test_opened_set_is_the_rendered_one() -> None:
    opened, rendered = open_demo(2, TINY), demo_stacks(2, TINY)
    assert opened.digest == rendered.digest
    assert opened[1].metadata == rendered[1].metadata
    assert opened.metadata == rendered.metadata
    assert opened.metadata["mixture"] == "v6, version 1"
    assert opened.metadata["description_sha256"] == description_hash(replace(TINY, count=2))


def test_another_configuration_count_or_renderer_is_another_set(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {open_demo(1, TINY).path, open_demo(2, TINY).path, open_demo(1, replace(TINY, seed=1)).path}
    monkeypatch.setattr(setconfig, "RENDERER_VERSION", setconfig.RENDERER_VERSION + 1)
    paths.add(open_demo(1, TINY).path)
    assert len(paths) == 4


def test_interruption_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(config: SetConfig, i: int) -> FocalStack:
        if i == 1:
            raise KeyboardInterrupt
        return render_stack(config, i)

    monkeypatch.setattr(sets, "render_stack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_demo(2, TINY)
    assert not cache.exists() or not list(cache.iterdir())


def test_who_renders_second_opens_the_set_of_the_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner: list[StackSet] = []

    def overtaken(config: SetConfig, i: int) -> FocalStack:
        if i == 0:
            monkeypatch.setattr(sets, "render_stack", render_stack)
            inner.append(open_demo(2, TINY))
        return render_stack(config, i)

    monkeypatch.setattr(sets, "render_stack", overtaken)
    outer = open_demo(2, TINY)
    assert inner[0].path is not None
    assert [path.name for path in cache.iterdir()] == [inner[0].path.name]
    assert outer.digest == inner[0].digest
    np.testing.assert_array_equal(outer.images, inner[0].images)


def test_cache_that_cannot_be_written_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AFSIM_CACHE", str(tmp_path / "file" / "inside"))
    with pytest.raises(StoreError, match=r"file/inside.*set the environment variable AFSIM_CACHE"):
        open_demo(1, TINY)


def test_damaged_set_says_what_to_remove() -> None:
    path = open_demo(1, TINY).path
    assert path is not None
    (path / "images.u16").write_bytes(b"short")
    with pytest.raises(StoreError, match=rf"damaged.*remove the folder {path}"):
        open_demo(1, TINY)


def test_cache_folder_by_environment(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == cache
    monkeypatch.delenv("AFSIM_CACHE")
    assert cache_folder() == Path("/xdg/afsim")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/afsim")


def test_bar_appears_only_on_a_terminal_that_has_waited(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sets, "_SECONDS_BEFORE_BAR", 0.0)
    stacks = [render_stack(TINY, i) for i in range(3)]
    assert list(sets._with_bar(iter(stacks), 3)) == stacks
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert list(sets._with_bar(iter(stacks), 3)) == stacks
    assert "rendering the demo set" in capsys.readouterr().err
